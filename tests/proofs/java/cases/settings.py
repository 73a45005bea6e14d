"""kafka-configs: topics, brokers, groups, and what is not served."""

from tests.proofs.java.session import Session

_TOOL = "kafka-configs"


def run(session: Session) -> None:
    session.tool("kafka-topics", "--create", "--topic", "configs-t")
    topic = ("--entity-type", "topics", "--entity-name", "configs-t")
    _alter(session, topic, "retention.ms=60000,segment.bytes=2097152", "retention.ms")
    _alter(session, topic, "cleanup.policy=[compact,delete]", "cleanup.policy")
    session.tool(_TOOL, "--alter", *topic, "--add-config", "retention.ms=soon")
    session.tool(_TOOL, "--alter", *topic, "--add-config", "no.such.setting=1")
    session.tool(_TOOL, "--alter", *topic, "--delete-config", "retention.bytes")
    session.tool(
        _TOOL, "--describe", "--topic", "configs-t", "--all", keep=r"max\.message\.bytes|segment\.bytes"
    )
    session.tool(_TOOL, "--describe", "--topic", "configs-no")
    session.tool(_TOOL, "--describe", "--entity-type", "topics", keep="configs-t|Error")
    _alter(session, ("--broker", "1"), "log.retention.ms=7200000", "log.retention.ms")
    if session.target.nodes == 1:
        # Any node may be asked for them, and one of several in Kafka may not have heard of the change.
        _alter(session, ("--broker-defaults",), "log.retention.ms=7200000", "log.retention.ms")
    session.tool(
        _TOOL, "--describe", "--broker", "1", "--all", keep=r"^\s*(num\.partitions|log\.segment\.bytes)="
    )
    session.tool(_TOOL, "--alter", "--broker", "1", "--add-config", "num.partitions=7")
    session.tool(_TOOL, "--describe", "--broker", "9")
    session.tool(_TOOL, "--describe", "--broker-logger", "1", keep="Error|Exception|^Dynamic")
    _alter(
        session, ("--group", "configs-g"), "consumer.session.timeout.ms=50000", "consumer.session.timeout.ms"
    )
    session.tool(_TOOL, "--describe", "--user", "somebody")
    session.tool(_TOOL, "--describe", "--client", "some-client")
    session.tool(_TOOL, "--describe", "--client-metrics", "some-metrics")


def _alter(session: Session, entity: tuple[str, ...], add: str, delete: str) -> None:
    """Adds, looks, deletes, looks."""
    session.tool(_TOOL, "--alter", *entity, "--add-config", add)
    session.tool(_TOOL, "--describe", *entity, is_sorted=True)
    session.tool(_TOOL, "--alter", *entity, "--delete-config", delete)
    session.tool(_TOOL, "--describe", *entity, is_sorted=True)
