"""Differences that are meant, with the reason a user reads in docs/compatibility.md.

Every entry must match a difference on each number of nodes it names: one that matches none is an error.
"""

from tests.parity.differences import ABSENT, Known

_EVERYTHING = ("*",)

_NOT_SERVED = (
    Known(
        scenarios=("not_served.*",),
        paths=_EVERYTHING,
        nodes=(1,),
        reason="Not served yet: transactions, delegation tokens, quotas, SCRAM users, moving replicas, "
        "adding and removing nodes, the KIP-848 and share group protocols, client telemetry. None of "
        "them is advertised, and a request all the same ends the connection, as Kafka ends it for an "
        "API it does not know.",
    ),
    Known(
        scenarios=("cluster.api_versions*", "cluster.an_unknown_version_of_api_versions*"),
        paths=("*/api_keys/*",),
        chronik=ABSENT,
        reason="Only what is served is advertised (see above).",
    ),
    Known(
        scenarios=("cluster.api_versions*", "cluster.an_empty_client*", "cluster.a_client_software_name*"),
        paths=("*_features/*",),
        reason="Features of Kafka that Chronik does not have are not among those supported and finalized, "
        "metadata.version has no history here to be compatible with, and the metadata log has levels of its "
        "own, chronik.metadata.version.",
    ),
    Known(
        scenarios=("idempotence.init_with_a_transactional_id*", "groups.finding_a_coordinator_of_type/*"),
        paths=_EVERYTHING,
        nodes=(1,),
        reason="Transactions are not served yet. Each client is answered with the error it raises at once "
        "instead of trying again.",
    ),
    Known(
        scenarios=(
            "producing.a_transactional_batch_of_nobody*",
            "producing.a_batch_with/a transactional bit*",
        ),
        paths=("*/error_code",),
        chronik="INVALID_TXN_STATE",
        reason="Transactions are not served yet, so no batch belongs to an open one.",
    ),
)

_PRODUCE = (
    Known(
        scenarios=("producing.*", "idempotence.*"),
        paths=("*/partition_responses/*/error_message",),
        kafka=None,
        reason="Chronik says why a batch was refused where Kafka leaves the message out.",
    ),
    Known(
        scenarios=("producing.*", "idempotence.*"),
        paths=("*/partition_responses/*/log_start_offset",),
        kafka=0,
        chronik=-1,
        reason="The answer for a refused batch says nothing about the log. Kafka adds the log start to some "
        "errors.",
    ),
    Known(
        scenarios=("producing.a_version_that_only_is_advertised*",),
        paths=_EVERYTHING,
        reason="Produce is advertised from version 0 (KAFKA-18659). Versions 0 to 2 are answered "
        "UNSUPPORTED_VERSION; Kafka ends the connection.",
    ),
    Known(
        scenarios=("producing.records_that_are/*/null",),
        paths=_EVERYTHING,
        reason="Null records are answered INVALID_RECORD. Kafka 4.4 fails inside and never answers.",
    ),
    Known(
        scenarios=("producing.no_partitions*", "offsets.committing_no_partitions*"),
        paths=("*/orders",),
        kafka=ABSENT,
        reason="A topic named without partitions comes back in the answer without partitions.",
    ),
    Known(
        scenarios=("producing.a_topic_named_twice*", "producing.a_partition_named_twice*"),
        paths=_EVERYTHING,
        reason="What is named twice in one Produce is taken, or refused, each time, and answered each time "
        "in the request's order. Kafka keeps only the last batch of a partition without a word about "
        "the others.",
    ),
    Known(
        scenarios=("producing.a_batch_with/an unknown codec*",),
        paths=("*/error_code",),
        kafka="UNKNOWN_SERVER_ERROR",
        reason="A codec that does not exist is named as such.",
    ),
    Known(
        scenarios=("producing.a_compressed_batch_of/*", "producing.a_batch_with/a codec that it is not*"),
        paths=("*/error_code",),
        kafka="UNKNOWN_SERVER_ERROR",
        chronik="INVALID_RECORD",
        reason="Records that are not compressed as their batch says are refused as such.",
    ),
    Known(
        scenarios=("producing.a_batch_with/a log append time bit*", "producing.a_batch_with/trailing bytes*"),
        paths=_EVERYTHING,
        reason="A producer may not claim the broker's timestamp, nor send bytes behind its batch. Kafka 4.4 "
        "drops both without a word.",
    ),
    Known(
        scenarios=(
            "producing.a_batch_with/a max timestamp that no record has*",
            "producing.a_timestamp_of/-2",
        ),
        paths=("*/max_timestamp",),
        reason="Batches are stored byte for byte as they were sent; Kafka sets the header's largest "
        "timestamp again.",
    ),
    Known(
        scenarios=("list_offsets.a_time_in_a_batch_whose*", "list_offsets.the_largest_timestamp_where*"),
        paths=_EVERYTHING,
        reason="The header's largest timestamp is checked for its range only, and believed where times are "
        "looked for: Kafka counts again, and finds the record. The time of each record would have to be "
        "read: 290 microseconds for a batch of 16 KiB that is checked in 10 now. Clients count right.",
    ),
    Known(
        scenarios=("idempotence.a_batch_sent_again", "idempotence.the_sixth_last_batch_sent_again"),
        paths=("*/log_append_time_ms",),
        chronik=-1,
        reason="A duplicate is answered as the first was. Kafka puts the producer's timestamp where the time"
        " of the append would be.",
    ),
)

_PRODUCE_TO_SEVERAL = (
    Known(
        scenarios=("idempotence.*",),
        paths=("*/partition_responses/*/error_code",),
        chronik="NOT_LEADER_OR_FOLLOWER",
        nodes=(3,),
        reason="A leader that sees a hole in a producer's sequences may have been replaced without knowing. "
        "For 1.5 s it answers NOT_LEADER_OR_FOLLOWER, so that the producer looks for the leader and tries "
        "again, and only then as Kafka does.",
    ),
)

_FETCH = (
    Known(
        scenarios=(
            "fetching.max_bytes/*/-1",
            "fetching.partition_max_bytes/*/-1",
            "fetching.isolation_level/*/2",
            "fetching.isolation_level/*/-1",
            "list_offsets.isolation_level/2",
        ),
        paths=_EVERYTHING,
        reason="Negative sizes count as 0, so that the first batch comes, and isolation levels that do not "
        "exist as read_uncommitted. Kafka answers UNKNOWN_SERVER_ERROR.",
    ),
    Known(
        scenarios=("fetching.partition_max_bytes/*/100",),
        paths=("*/records",),
        reason="Answers end with a whole batch. Kafka cuts the last one where the limit is, and clients drop"
        " it.",
    ),
    Known(
        scenarios=("fetching.a_last_fetched_epoch/*/5",),
        paths=_EVERYTHING,
        reason="The last fetched epoch (KIP-595) is what Kafka's followers send; no consumer does, and it is"
        " not looked at. Consumers learn of truncation by OffsetForLeaderEpoch, which is served.",
    ),
    Known(
        scenarios=("fetching.a_replica_id/*/7",),
        paths=_EVERYTHING,
        reason="Chronik's followers do not use Fetch: a client that sends a replica id is answered as a "
        "consumer.",
    ),
    Known(
        scenarios=("fetching.a_session_that_is_unknown/*/0",),
        paths=("*/session_id",),
        chronik=0,
        reason="A session is made where there is something to remember: not for no partitions.",
    ),
    Known(
        scenarios=("list_offsets.the_end_of_an_epoch_with_a_current_one/v4/negative",),
        paths=_EVERYTHING,
        reason="Any negative current epoch means that the client knows none, not only -1.",
    ),
)

_METADATA = (
    Known(
        scenarios=("metadata.the_zero_id_and_no_name*", "topic_partitions.a_bad_name/empty"),
        paths=_EVERYTHING,
        kafka="UNKNOWN_SERVER_ERROR",
        reason="Kafka fails inside where a topic has neither name nor id; Chronik names the mistake.",
    ),
    Known(
        scenarios=("topic_partitions.a_bad_name/empty",),
        paths=("*/topic_authorized_operations",),
        reason="As for every other name that does not exist.",
    ),
    Known(
        scenarios=(
            "metadata.ids_are_not_asked_for_in_version*",
            "metadata.by_name_and_by_id_in_one_request*",
        ),
        paths=_EVERYTHING,
        reason="Topics are found by id from version 10 on, and beside topics found by name. Kafka refuses "
        "ids before version 12, and leaves the names out when one topic is named by id.",
    ),
)

_TOPICS_AND_CONFIGS = (
    Known(
        scenarios=("topics.growing*",),
        paths=("*/results/*/error_message",),
        kafka=None,
        reason="CreatePartitions says why it refuses.",
    ),
    Known(
        scenarios=("topics.only_validating/v7", "large.creating_partitions_at_the_limit/v7/9,999"),
        paths=("*/topic_id",),
        chronik="zero id",
        reason="A topic that was only validated has no id that anybody could find it by.",
    ),
    Known(
        scenarios=("topics.the_settings_of_a_new_topic*", "configs.all_settings_of_a_topic*"),
        paths=("*/configs/write.caching",),
        kafka=ABSENT,
        reason="`write.caching` is Chronik's own: acknowledge before the fsync, or after it.",
    ),
    Known(
        scenarios=(
            "topics.the_settings_of_a_new_topic*",
            "configs.all_settings_of_a_topic*",
            "configs.settings_of_a_broker/*",
        ),
        paths=("*/min.insync.replicas/config_source", "*/node.id/config_source", "*/node.id/synonyms/*"),
        reason="A node starts without configuration, so these are defaults here. Kafka has no default node "
        "id, and for min.insync.replicas with KIP-966 a default of the cluster.",
    ),
    Known(
        scenarios=("topics.the_settings_of_a_new_topic*", "configs.all_settings_of_a_topic*"),
        paths=("*/min.insync.replicas/value",),
        kafka="2",
        chronik="1",
        nodes=(3,),
        reason="Kafka was recorded with min.insync.replicas=2, which three nodes need there to keep what "
        "is acknowledged. Here a majority has each acknowledged record whatever it says.",
    ),
    Known(
        scenarios=("configs.a_topics_settings_with_synonyms*",),
        paths=("*/synonyms/log.retention.hours",),
        kafka=ABSENT,
        reason="All broker settings that a topic setting falls back to are listed. Kafka leaves out those "
        "that have their defaults.",
    ),
    Known(
        scenarios=("configs.replacing_one_topics_settings_twice*",),
        paths=_EVERYTHING,
        reason="A resource named twice in AlterConfigs is INVALID_REQUEST. Kafka 4.4 fails inside and never "
        "answers.",
    ),
    Known(
        scenarios=("configs.changing_a_topic/*operation",),
        paths=_EVERYTHING,
        reason="An operation that does not exist is INVALID_REQUEST; Kafka answers UNKNOWN_SERVER_ERROR.",
    ),
)

_GROUPS = (
    Known(
        scenarios=("groups.joining_with/*/a protocol twice",),
        paths=_EVERYTHING,
        reason="A protocol named twice counts once. Kafka 4.4 fails inside and never answers.",
    ),
    Known(
        scenarios=("groups.joining_with/v9/a protocol without name",),
        paths=("*/protocol_name",),
        kafka=None,
        chronik="",
        reason="A protocol whose name is empty is named as it is.",
    ),
)

_LEFT_BEFORE_JOINING = (
    Known(
        scenarios=("groups.describing_a_group_whose_only_member_left_before_it_joined/*",),
        paths=_EVERYTHING,
        reason="A group that nobody has joined, and nobody committed for, goes with the last member id that "
        "was handed out. Kafka keeps it in memory until its next cleanup.",
    ),
)

_CLUSTER = (
    Known(
        scenarios=("cluster.describing_the_quorum*", "cluster.describing_no_quorum*"),
        paths=("*/replica_directory_id", "*/listeners/*", "*/leader_id", "*/nodes/*"),
        reason="Nodes have one kind of listener for clients, which is named, and directories have ids. Where"
        " another partition is asked for, no leader is named, and nodes are listed all the same.",
    ),
    Known(
        scenarios=("cluster.log_directories_of_partitions/*/twice",),
        paths=("*/partitions/*",),
        kafka=ABSENT,
        reason="A partition asked for twice is answered twice.",
    ),
    Known(
        scenarios=("protocol.a_string_that_is_not_utf8",),
        paths=_EVERYTHING,
        reason="Strings are UTF-8, and a request with another string is malformed: the connection ends. "
        "Kafka takes such bytes for question marks.",
    ),
)

# Records that are refused one by one, and what is inside of compressed batches (decision 0015).
_REJECTED_RECORDS = (
    Known(
        scenarios=("rejected_records.a_payload_that_is/*",),
        paths=("*/partition_responses/*/error_code",),
        kafka="UNKNOWN_SERVER_ERROR",
        chronik="INVALID_RECORD",
        nodes=(1,),
        reason="A batch that does not unpack is INVALID_RECORD, as one that unpacks to garbage is. "
        "Kafka fails inside and answers UNKNOWN_SERVER_ERROR.",
    ),
    Known(
        scenarios=("rejected_records.*",),
        paths=("*/partition_responses/*/error_message",),
        kafka=None,
        nodes=(1,),
        reason="Chronik says why a batch was refused where Kafka leaves the message out.",
    ),
    Known(
        scenarios=("rejected_records.*",),
        paths=("*/partition_responses/*/log_start_offset",),
        kafka=0,
        chronik=-1,
        nodes=(1,),
        reason="The answer for a refused batch says nothing about the log. Kafka adds the log start to some "
        "errors.",
    ),
)

# What one request may hold (decision 0016).
_LARGE = (
    Known(
        scenarios=(
            "large.deleting_very_many_topics_that_are_not_there/*",
            "large.changing_very_many_topics_that_are_not_there/*",
        ),
        paths=("*/error_code",),
        chronik="POLICY_VIOLATION",
        reason="More than 10,000 topics to delete or to change in one request are refused as such, there or "
        "not. Kafka counts what it finds.",
    ),
    Known(
        scenarios=(
            "large.joining_with_very_many_protocols/*",
            "large.syncing_with_very_many_assignments/*",
            "large.listing_groups_in_very_many_states/*",
            "large.fetching_very_many_partitions/*",
        ),
        paths=_EVERYTHING,
        reason="More than 10,000 protocols, assignments or filters, and a Fetch of more than 30,000 "
        "partitions, are INVALID_REQUEST: each takes some microseconds, and no client sends so many.",
    ),
    Known(
        scenarios=("large.metadata_that_creates_very_many_topics",),
        paths=_EVERYTHING,
        nodes=(1,),
        reason="A request for metadata creates 250 topics, and shows them with their leaders; the next one "
        "creates the rest. Kafka creates all, and shows them later.",
    ),
)

_MADE_AGAIN = (
    Known(
        scenarios=("recreation.committing_late_with_an_epoch_of_the_topic_before/*",),
        paths=_EVERYTHING,
        reason="A commit that comes late, by name and with an epoch of the topic that was deleted, is not "
        "taken for the topic that has its name now. Kafka takes it, and consumers begin there.",
    ),
)

INTENDED: tuple[Known, ...] = (
    *_NOT_SERVED,
    *_PRODUCE,
    *_REJECTED_RECORDS,
    *_PRODUCE_TO_SEVERAL,
    *_FETCH,
    *_METADATA,
    *_TOPICS_AND_CONFIGS,
    *_GROUPS,
    *_LEFT_BEFORE_JOINING,
    *_CLUSTER,
    *_LARGE,
    *_MADE_AGAIN,
)
