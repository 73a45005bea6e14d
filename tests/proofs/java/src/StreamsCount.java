import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Counts words with Kafka Streams, at least once: the words go through a repartition topic, the counts into a
 * changelog. Stopped after the first half, started again without its files, it must find its counts in the
 * changelog and go on.
 *
 * Arguments: bootstrap servers, a prefix for names, number of sentences (even), a directory for state, replication
 * factor. Topics exist: PREFIX-in (with two partitions) and PREFIX-out.
 */
public final class StreamsCount {
    private static final List<String> WORDS = List.of("kafka", "raft", "log", "record", "segment");
    private static final Duration ENDING = Duration.ofSeconds(30);
    private static final int SECONDS_MAX = 60;

    private final String servers;
    private final String prefix;
    private final AtomicLong restored = new AtomicLong();

    private StreamsCount(String servers, String prefix) {
        this.servers = servers;
        this.prefix = prefix;
    }

    public static void main(String[] arguments) throws Exception {
        StreamsCount count = new StreamsCount(arguments[0], arguments[1]);
        int half = Integer.parseInt(arguments[2]) / 2;
        Path state = Path.of(arguments[3]);
        count.round("first", 0, half, state.resolve("first"), arguments[4]);
        long before = count.restored.getAndSet(0);
        count.round("second", half, 2 * half, state.resolve("second"), arguments[4]);
        System.out.println("restored before the first round: " + before);
        System.out.println("restored from the changelog: " + (count.restored.get() > 0));
    }

    /** Writes sentences, runs the application until their counts are out, and stops it. */
    private void round(String name, int first, int end, Path state, String replicas) throws Exception {
        write(first, end);
        KafkaStreams streams = new KafkaStreams(topology(), settings(state, replicas));
        CountDownLatch running = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) {
                running.countDown();
            }
        });
        streams.setGlobalStateRestoreListener(new Restored());
        streams.start();
        try {
            if (!running.await(SECONDS_MAX, TimeUnit.SECONDS)) {
                throw new IllegalStateException("the application is " + streams.state());
            }
            System.out.println(name + " round: " + counts(end));
        } finally {
            System.out.println("stopped: " + streams.close(ENDING));
        }
    }

    private org.apache.kafka.streams.Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(prefix + "-in", Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(sentence -> List.of(sentence.split(" ")))
            .groupBy((key, word) -> word, Grouped.with("by-word", Serdes.String(), Serdes.String()))
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts"))
            .toStream()
            .to(prefix + "-out", Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    private Properties settings(Path state, String replicas) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", servers);
        settings.put("application.id", prefix + "-app");
        settings.put("processing.guarantee", "at_least_once");
        settings.put("state.dir", state.toString());
        settings.put("replication.factor", replicas);
        settings.put("commit.interval.ms", "200");
        // Its members do not leave when they are closed: the second round waits until the first one's is given up.
        settings.put("session.timeout.ms", "6000");
        settings.put("heartbeat.interval.ms", "1000");
        settings.put("default.key.serde", Serdes.StringSerde.class.getName());
        settings.put("default.value.serde", Serdes.StringSerde.class.getName());
        return settings;
    }

    private void write(int first, int end) {
        Map<String, Object> settings = Map.of("bootstrap.servers", servers);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int number = first; number < end; number++) {
                producer.send(new ProducerRecord<>(prefix + "-in", "" + number, sentence(number)));
            }
            producer.flush();
        }
    }

    /** The number says which words: the first one always, the next with every second, third, … sentence. */
    private static String sentence(int number) {
        List<String> words = new ArrayList<>();
        for (int word = 0; word < WORDS.size(); word++) {
            if (number % (word + 1) == 0) {
                words.add(WORDS.get(word));
            }
        }
        return String.join(" ", words);
    }

    private static Map<String, Long> expected(int end) {
        Map<String, Long> counts = new TreeMap<>();
        for (int number = 0; number < end; number++) {
            for (String word : sentence(number).split(" ")) {
                counts.merge(word, 1L, Long::sum);
            }
        }
        return counts;
    }

    /** The last count of each word, when all are as they must be, or after a while. */
    private String counts(int end) {
        Map<String, Long> wanted = expected(end);
        Map<String, Long> seen = new TreeMap<>();
        Map<String, Object> settings = Map.of("bootstrap.servers", servers);
        TopicPartition out = new TopicPartition(prefix + "-out", 0);
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS_MAX);
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new LongDeserializer())) {
            consumer.assign(List.of(out));
            consumer.seekToBeginning(List.of(out));
            while (!seen.equals(wanted) && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> seen.put(record.key(), record.value()));
            }
        }
        return seen.equals(wanted) ? "counts are right" : "counted " + seen + " instead of " + wanted;
    }

    private final class Restored implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long start, long end) { }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long count) { }

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long count) {
            restored.addAndGet(count);
        }
    }
}
