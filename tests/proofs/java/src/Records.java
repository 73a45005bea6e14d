import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Writes records that are known by their number: to partition `number % partitions`, a minute apart.
 *
 * Arguments: bootstrap servers, topic, partitions, number of records, codec, the first one's timestamp (ms).
 */
public final class Records {
    private static final long MINUTE_MS = 60_000;

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("compression.type", arguments[4]);
        int partitions = Integer.parseInt(arguments[2]);
        long start = Long.parseLong(arguments[5]);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            Future<RecordMetadata> last = null;
            for (int number = 0; number < Integer.parseInt(arguments[3]); number++) {
                last = producer.send(new ProducerRecord<>(arguments[1], number % partitions, start + number * MINUTE_MS,
                    "key-" + number, "value-" + number));
                // One batch for each: what is asked by time or offset does not depend on how they were batched.
                last.get();
            }
        }
        System.out.println("written: " + arguments[3]);
    }
}
