"""The catalogue of clients, and which of them are available on this machine."""

from collections.abc import Callable, Sequence

from tests.proofs.clients.aiokafka_client import Aiokafka
from tests.proofs.clients.client import Client
from tests.proofs.clients.compiled import find_franz_go, find_rskafka, find_sarama
from tests.proofs.clients.confluent import Confluent
from tests.proofs.clients.java_client import find_java
from tests.proofs.clients.kafka_python import KafkaPython
from tests.proofs.clients.kafkajs import find_kafkajs
from tests.proofs.clients.kcat import find_kcat
from tests.proofs.clients.missing import Missing

# By the name that chooses it. Each returns the client or says why there is none.
CLIENTS: dict[str, Callable[[], Client | Missing]] = {
    "kafka-python": KafkaPython,
    "aiokafka": Aiokafka,
    "confluent-kafka": Confluent,
    "kafkajs": find_kafkajs,
    "kcat": find_kcat,
    "java": find_java,
    "franz-go": find_franz_go,
    "sarama": find_sarama,
    "rskafka": find_rskafka,
}


def available(names: Sequence[str] | None = None) -> tuple[list[Client], list[Missing]]:
    """The clients of these names, or all."""
    clients: list[Client] = []
    missing: list[Missing] = []
    for name in names or CLIENTS:
        found = CLIENTS[name]()
        if isinstance(found, Missing):
            missing.append(found)
        else:
            clients.append(found)
    return clients, missing
