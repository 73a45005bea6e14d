import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member that stays in its group while other tools look at the group, in a thread of this process.
 *
 * Arguments: `start`, bootstrap servers, group, topic, number of records, which returns when it has read and committed
 * so many; or `stop`, group.
 */
public final class GroupMember extends Thread {
    private static final int JOINING_SECONDS_MAX = 30;
    private static final Map<String, GroupMember> MEMBERS = new ConcurrentHashMap<>();

    private final KafkaConsumer<String, String> consumer;
    private final CountDownLatch committed = new CountDownLatch(1);
    private final int expected;
    private volatile boolean over;

    private GroupMember(String servers, String group, String topic, int expected) {
        this.expected = expected;
        Properties settings = new Properties();
        settings.put("bootstrap.servers", servers);
        settings.put("group.id", group);
        settings.put("client.id", "member");
        settings.put("auto.offset.reset", "earliest");
        consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic));
        setDaemon(true);
    }

    @Override
    public void run() {
        try (consumer) {
            int read = 0;
            while (!over) {
                read += consumer.poll(Duration.ofMillis(100)).count();
                if (committed.getCount() > 0 && read >= expected) {
                    consumer.commitSync();
                    committed.countDown();
                }
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("stop")) {
            GroupMember member = MEMBERS.remove(arguments[1]);
            member.over = true;
            member.join();
            System.out.println("left");
            return;
        }
        GroupMember member = new GroupMember(arguments[1], arguments[2], arguments[3],
            Integer.parseInt(arguments[4]));
        MEMBERS.put(arguments[2], member);
        member.start();
        boolean joined = member.committed.await(JOINING_SECONDS_MAX, TimeUnit.SECONDS);
        System.out.println(joined ? "joined" : "has not read them");
    }
}
