import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's own client as a process: `write SERVERS TOPIC CODEC` reads `key|value` lines; `read SERVERS TOPIC GROUP`
 * prints `partition offset value` lines, and `assigned N` when its share of the partitions has changed.
 */
public final class LineClient {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[1]);
        if (arguments[0].equals("write")) {
            settings.put("compression.type", arguments[3]);
            write(settings, arguments[2]);
        } else {
            settings.put("group.id", arguments[3]);
            settings.put("auto.offset.reset", "earliest");
            read(settings, arguments[2]);
        }
    }

    private static void write(Properties settings, String topic) throws Exception {
        AtomicReference<Exception> failed = new AtomicReference<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                int at = line.indexOf('|');
                producer.send(new ProducerRecord<>(topic, line.substring(0, at), line.substring(at + 1)),
                    (metadata, error) -> failed.compareAndSet(null, error));
            }
        }
        if (failed.get() != null) {
            throw failed.get();
        }
    }

    private static void read(Properties settings, String topic) {
        var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        PrintStream out = new PrintStream(System.out, false);
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }));
        try (consumer) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    out.println("assigned " + consumer.assignment().size());
                    out.flush();
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) { }
            });
            while (true) {
                consumer.poll(Duration.ofMillis(500)).forEach(record ->
                    out.println(record.partition() + " " + record.offset() + " " + record.value()));
                out.flush();
            }
        } catch (WakeupException over) {
            // Closing leaves the group.
        }
    }
}
