"""A process that hosts librdkafka's mock cluster: prints its address, and lives until it is ended.

The mock lives inside a client; other processes may connect to it like to any broker. It checks nothing
and keeps the last 5 MB of a partition: it shows what the load generators can do, not what a broker can.
"""

import signal

from confluent_kafka import Producer

_METADATA_TIMEOUT_S = 10


def main() -> None:
    # The address is not used: librdkafka replaces it by the mock's.
    client = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "localhost:1", "log_level": 3})
    (broker,) = client.list_topics(timeout=_METADATA_TIMEOUT_S).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.pause()


if __name__ == "__main__":
    main()
