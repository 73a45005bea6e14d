import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/**
 * Calls each method of Kafka's Admin client once, and prints what came of it: `method: result`, or the class of
 * the error.
 *
 * Arguments: bootstrap servers, a topic with two partitions and ten records, a group that has committed on it and
 * has no member, a group with one member, the id of a node. Names that belong to this program begin with the
 * topic's. What differs from run to run (ids, addresses, times) is not printed.
 */
public final class AdminMethods {
    private static final int SECONDS_MAX = 20;

    private interface Call {
        Object answer() throws Exception;
    }

    private final Admin admin;
    private final TreeSet<String> called = new TreeSet<>();

    private AdminMethods(Admin admin) {
        this.admin = admin;
    }

    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("request.timeout.ms", "8000");
        settings.put("default.api.timeout.ms", "12000");
        try (Admin admin = Admin.create(settings)) {
            AdminMethods methods = new AdminMethods(admin);
            methods.topics(arguments[1], Integer.parseInt(arguments[4]));
            methods.groups(arguments[1], arguments[2], arguments[3]);
            methods.cluster(arguments[1], Integer.parseInt(arguments[4]));
            methods.security();
            methods.transactions(arguments[1]);
            methods.shares(arguments[1]);
            methods.streams(arguments[1]);
            methods.client();
            methods.reportUncalled();
        }
    }

    private void topics(String topic, int node) {
        TopicPartition first = new TopicPartition(topic, 0);
        String made = topic + "-made";
        report("createTopics", () -> {
            CreateTopicsResult result = admin.createTopics(List.of(new NewTopic(made, 2, (short) 1)));
            get(result.all());
            return "partitions=" + get(result.numPartitions(made)) + " replicas=" + get(result.replicationFactor(made));
        });
        report("describeTopics", () -> {
            TopicDescription found = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
            return found.partitions().stream()
                .map(p -> p.partition() + ":elr=" + p.elr() + ",last=" + p.lastKnownElr())
                .collect(Collectors.joining(" ")) + " internal=" + found.isInternal();
        });
        report("listTopics", () -> get(admin.listTopics().names()).contains(topic));
        report("createPartitions", () -> get(admin.createPartitions(Map.of(made, NewPartitions.increaseTo(4))).all()));
        report("listOffsets", () -> List.of(OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.maxTimestamp(),
                OffsetSpec.forTimestamp(0), OffsetSpec.earliestLocal(), OffsetSpec.latestTiered(),
                OffsetSpec.earliestPendingUpload()).stream()
            .map(spec -> spec.getClass().getSimpleName() + "=" + outcome(
                () -> get(admin.listOffsets(Map.of(first, spec)).all()).get(first).offset()))
            .collect(Collectors.joining(" ")));
        report("deleteRecords", () -> get(admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(2)))
            .lowWatermarks().get(first)).lowWatermark());
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        report("incrementalAlterConfigs", () -> get(admin.incrementalAlterConfigs(Map.of(resource, List.of(
            new AlterConfigOp(new ConfigEntry("segment.bytes", "2097152"), AlterConfigOp.OpType.SET)))).all()));
        report("describeConfigs", () -> {
            ConfigEntry entry = get(admin.describeConfigs(List.of(resource)).all()).get(resource).get("segment.bytes");
            return entry.name() + "=" + entry.value() + " " + entry.source();
        });
        report("describeLogDirs", () -> get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node).values()
            .stream().map(dir -> "error=" + dir.error() + " has=" + dir.replicaInfos().containsKey(first))
            .collect(Collectors.joining(" ")));
        report("describeReplicaLogDirs", () -> get(admin.describeReplicaLogDirs(List.of(
            new TopicPartitionReplica(topic, 0, node))).all()).values().stream()
            .map(info -> "lag=" + info.getCurrentReplicaOffsetLag() + " moving to=" + info.getFutureReplicaLogDir())
            .collect(Collectors.joining()));
        report("alterReplicaLogDirs", () -> get(admin.alterReplicaLogDirs(Map.of(
            new TopicPartitionReplica(topic, 0, node), "/no/such/directory")).all()));
        report("describeProducers", () -> "active=" + get(admin.describeProducers(List.of(first)).all()).get(first)
            .activeProducers().size());
        report("electLeaders", () -> get(admin.electLeaders(ElectionType.PREFERRED, Set.of(first)).all()));
        report("alterPartitionReassignments", () -> get(admin.alterPartitionReassignments(
            Map.of(first, Optional.empty())).all()));
        report("listPartitionReassignments", () -> get(admin.listPartitionReassignments().reassignments()));
        report("listConfigResources", () -> get(admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC),
            new ListConfigResourcesOptions()).all()).contains(resource));
        report("deleteTopics", () -> get(admin.deleteTopics(List.of(made)).all()));
    }

    private void groups(String topic, String idle, String active) {
        TopicPartition first = new TopicPartition(topic, 0);
        TopicPartition second = new TopicPartition(topic, 1);
        report("listGroups", () -> get(admin.listGroups().all()).stream().filter(group -> group.groupId().equals(idle))
            .map(group -> group.type() + " " + group.protocol() + " " + group.groupState())
            .collect(Collectors.joining()));
        report("listConsumerGroups", () -> get(admin.listConsumerGroups().all()).stream()
            .filter(group -> group.groupId().equals(active))
            .map(group -> group.type() + " " + group.groupState() + " simple=" + group.isSimpleConsumerGroup())
            .collect(Collectors.joining()));
        report("describeConsumerGroups", () -> {
            ConsumerGroupDescription found = get(admin.describeConsumerGroups(List.of(active)).all()).get(active);
            return found.groupState() + " " + found.partitionAssignor() + " members=" + found.members().size()
                + " partitions=" + found.members().iterator().next().assignment().topicPartitions().size();
        });
        report("describeClassicGroups", () -> {
            ClassicGroupDescription found = get(admin.describeClassicGroups(List.of(active)).all()).get(active);
            return found.state() + " " + found.protocol() + " " + found.protocolData() + " members="
                + found.members().size();
        });
        report("listConsumerGroupOffsets", () -> sorted(get(admin.listConsumerGroupOffsets(idle)
            .partitionsToOffsetAndMetadata()).entrySet().stream().map(each -> each.getKey() + "="
            + each.getValue().offset()).toList()));
        report("alterConsumerGroupOffsets", () -> get(admin.alterConsumerGroupOffsets(idle,
            Map.of(first, new OffsetAndMetadata(3))).all()));
        report("deleteConsumerGroupOffsets", () -> get(admin.deleteConsumerGroupOffsets(idle, Set.of(second)).all()));
        report("removeMembersFromConsumerGroup", () -> get(admin.removeMembersFromConsumerGroup(active,
            new RemoveMembersFromConsumerGroupOptions()).all()));
        report("deleteConsumerGroups", () -> get(admin.deleteConsumerGroups(List.of(idle)).all()));
    }

    private void cluster(String topic, int node) {
        report("describeCluster", () -> {
            DescribeClusterResult result = admin.describeCluster();
            return "nodes=" + get(result.nodes()).size() + " controller is one="
                + get(result.nodes()).contains(get(result.controller()));
        });
        report("describeFeatures", () -> {
            FeatureMetadata found = get(admin.describeFeatures().featureMetadata());
            return "finalized=" + found.finalizedFeatures().keySet().stream().sorted().toList()
                + " supported=" + found.supportedFeatures().keySet().stream().sorted().toList();
        });
        report("updateFeatures", () -> get(admin.updateFeatures(Map.of("no.such.feature",
            new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions()).all()));
        report("describeMetadataQuorum", () -> {
            QuorumInfo found = get(admin.describeMetadataQuorum().quorumInfo());
            return "voters=" + found.voters().size() + " leader is one="
                + found.voters().stream().anyMatch(voter -> voter.replicaId() == found.leaderId());
        });
        report("addRaftVoter", () -> get(admin.addRaftVoter(77, Uuid.ONE_UUID,
            Set.of(new RaftVoterEndpoint("CONTROLLER", "127.0.0.1", 1))).all()));
        report("removeRaftVoter", () -> get(admin.removeRaftVoter(77, Uuid.ONE_UUID).all()));
        report("unregisterBroker", () -> get(admin.unregisterBroker(77).all()));
        report("unregisterController", () -> get(admin.unregisterController(77).all()));
        report("describeClientQuotas", () -> get(admin.describeClientQuotas(ClientQuotaFilter.all()).entities()));
        report("alterClientQuotas", () -> get(admin.alterClientQuotas(List.of(new ClientQuotaAlteration(
            new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, topic)),
            List.of(new ClientQuotaAlteration.Op("consumer_byte_rate", 1e9))))).all()));
    }

    private void security() {
        report("describeAcls", () -> get(admin.describeAcls(AclBindingFilter.ANY).values()));
        AclBinding binding = new AclBinding(new ResourcePattern(ResourceType.TOPIC, "t", PatternType.LITERAL),
            new AccessControlEntry("User:u", "*", AclOperation.READ, AclPermissionType.ALLOW));
        report("createAcls", () -> get(admin.createAcls(List.of(binding)).all()));
        report("deleteAcls", () -> get(admin.deleteAcls(List.of(binding.toFilter())).all()));
        report("createDelegationToken", () -> get(admin.createDelegationToken().delegationToken()));
        report("renewDelegationToken", () -> get(admin.renewDelegationToken(new byte[] {1}).expiryTimestamp()));
        report("expireDelegationToken", () -> get(admin.expireDelegationToken(new byte[] {1}).expiryTimestamp()));
        report("describeDelegationToken", () -> get(admin.describeDelegationToken().delegationTokens()));
        report("describeUserScramCredentials", () -> get(admin.describeUserScramCredentials().users()));
        report("alterUserScramCredentials", () -> get(admin.alterUserScramCredentials(List.of(
            new UserScramCredentialDeletion("nobody", ScramMechanism.SCRAM_SHA_256))).all()));
    }

    private void transactions(String topic) {
        report("listTransactions", () -> get(admin.listTransactions().all()).size());
        report("describeTransactions", () -> get(admin.describeTransactions(List.of(topic)).all()));
        report("abortTransaction", () -> get(admin.abortTransaction(new AbortTransactionSpec(
            new TopicPartition(topic, 0), 4711, (short) 0, 0)).all()));
        report("fenceProducers", () -> get(admin.fenceProducers(List.of(topic)).all()));
        report("forceTerminateTransaction", () -> get(admin.forceTerminateTransaction(topic).result()));
    }

    private void shares(String topic) {
        TopicPartition first = new TopicPartition(topic, 0);
        String group = topic + "-shares";
        report("describeShareGroups", () -> get(admin.describeShareGroups(List.of(group)).all()));
        report("listShareGroupOffsets", () -> get(admin.listShareGroupOffsets(
            Map.of(group, new ListShareGroupOffsetsSpec())).all()).get(group));
        report("alterShareGroupOffsets", () -> get(admin.alterShareGroupOffsets(group, Map.of(first, 1L)).all()));
        report("deleteShareGroupOffsets", () -> get(admin.deleteShareGroupOffsets(group, Set.of(topic)).all()));
        report("deleteShareGroups", () -> get(admin.deleteShareGroups(List.of(group)).all()));
    }

    private void streams(String topic) {
        TopicPartition first = new TopicPartition(topic, 0);
        String group = topic + "-streams";
        report("describeStreamsGroups", () -> get(admin.describeStreamsGroups(List.of(group)).all()));
        report("alterStreamsGroupOffsets", () -> get(admin.alterStreamsGroupOffsets(group,
            Map.of(first, new OffsetAndMetadata(1))).all()));
        report("listStreamsGroupOffsets", () -> get(admin.listStreamsGroupOffsets(
            Map.of(group, new ListStreamsGroupOffsetsSpec())).all()).get(group).values().stream()
            .map(OffsetAndMetadata::offset).toList());
        report("deleteStreamsGroupOffsets", () -> get(admin.deleteStreamsGroupOffsets(group, Set.of(first)).all()));
        report("deleteStreamsGroups", () -> get(admin.deleteStreamsGroups(List.of(group)).all()));
    }

    private void client() {
        report("listClientMetricsResources", () -> get(admin.listClientMetricsResources().all()));
        report("clientInstanceId", () -> admin.clientInstanceId(Duration.ofSeconds(5)));
        report("metrics", () -> !admin.metrics().isEmpty());
    }

    /** Of the interface in this version; those that ask the server nothing need no call. */
    private void reportUncalled() {
        Set<String> asksNothing = Set.of("create", "close", "registerMetricForSubscription",
            "unregisterMetricFromSubscription");
        List<String> uncalled = Arrays.stream(Admin.class.getMethods())
            .filter(method -> !Modifier.isStatic(method.getModifiers())).map(Method::getName).distinct()
            .filter(name -> !called.contains(name) && !asksNothing.contains(name)).sorted().toList();
        System.out.println("not called: " + uncalled);
    }

    private void report(String method, Call call) {
        called.add(method);
        System.out.println(method + ": " + outcome(call));
    }

    private static String outcome(Call call) {
        try {
            Object answer = call.answer();
            return answer == null ? "done" : String.valueOf(answer);
        } catch (Throwable error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            return cause.getClass().getSimpleName();
        }
    }

    private static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(SECONDS_MAX, TimeUnit.SECONDS);
    }

    private static List<String> sorted(Collection<String> texts) {
        List<String> list = new ArrayList<>(texts);
        list.sort(null);
        return list;
    }
}
