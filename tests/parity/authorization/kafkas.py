"""Apache Kafka with its authorizer: clients are anonymous, brokers and the administrator are not."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chronik.cli.local_cluster.ports import free_ports
from chronik.wire.apis import ApiKey
from tests.parity.apache_kafka.server import ApacheKafka
from tests.parity.authorization.permissions import Permission
from tests.parity.codec import Values, decode, encode, skip_header_tags
from tests.parity.connection import Connection
from tests.parity.schemas import has_flexible_response_header, request_layout, response_layout

_USER, _PASSWORD = "admin", "of-this-run"
_TYPES = {"topic": 2, "group": 3, "cluster": 4, "transactional-id": 5}
_OPERATIONS = {"All": 2, "Read": 3, "Create": 5, "Describe": 8}
_LITERAL, _ALLOW, _ANYTHING = 3, 3, 1
_CLUSTER = "kafka-cluster"
_ANONYMOUS = "User:ANONYMOUS"
_SECONDS_MAX = 30.0


class KafkaWithAuthorizer(ApacheKafka):
    """One node. `client_id` of the administrator is as of all."""

    def __init__(self, jars: Path, directory: Path) -> None:
        super().__init__(jars, 1, directory)
        (self._admin_port,) = free_ports(1)

    def _settings(self, node: int) -> list[str]:
        client, controller = (f"127.0.0.1:{ports[node]}" for ports in (self._ports, self._controller_ports))
        admin = f"127.0.0.1:{self._admin_port}"
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        login = f'{login} username="{_USER}" password="{_PASSWORD}" user_{_USER}="{_PASSWORD}";'
        return [
            *super()._settings(node),
            f"listeners=PLAINTEXT://{client},ADMIN://{admin},CONTROLLER://{controller}",
            f"advertised.listeners=PLAINTEXT://{client},ADMIN://{admin}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,ADMIN:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
            "inter.broker.listener.name=ADMIN",
            "sasl.enabled.mechanisms=PLAIN",
            "sasl.mechanism.inter.broker.protocol=PLAIN",
            "sasl.mechanism.controller.protocol=PLAIN",
            f"listener.name.admin.plain.sasl.jaas.config={login}",
            f"listener.name.controller.plain.sasl.jaas.config={login}",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            f"super.users=User:{_USER}",
        ]

    def allow(self, permissions: Iterable[Permission]) -> None:
        """What anonymous clients may do from now on, and nothing else."""
        admin = _Administrator("127.0.0.1", self._admin_port)
        try:
            admin.allow(list(permissions))
        finally:
            admin.close()


class _Administrator:
    """A connection that has authenticated."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = Connection(host, port)
        self._ask(ApiKey.SASL_HANDSHAKE, 1, {"mechanism": "PLAIN"})
        self._ask(ApiKey.SASL_AUTHENTICATE, 2, {"auth_bytes": f"\0{_USER}\0{_PASSWORD}".encode()})

    def close(self) -> None:
        self._connection.close()

    def allow(self, permissions: list[Permission]) -> None:
        self._ask(ApiKey.DELETE_ACLS, 3, {"filters": [_everything()]})
        self._wait(0)
        if permissions:
            self._ask(ApiKey.CREATE_ACLS, 3, {"creations": [_creation(each) for each in permissions]})
            self._wait(len(permissions))

    def _wait(self, count: int) -> None:
        deadline = time.monotonic() + _SECONDS_MAX
        while True:
            found = self._ask(ApiKey.DESCRIBE_ACLS, 3, _everything())
            if sum(len(each["acls"]) for each in found["resources"]) == count:
                return
            assert time.monotonic() < deadline, f"not {count} permissions: {found}"
            time.sleep(0.02)

    def _ask(self, api_key: ApiKey, version: int, fields: Values) -> dict[str, Any]:
        self._connection.send_request(api_key, version, encode(request_layout(api_key), version, fields))
        _, data = self._connection.receive()
        if has_flexible_response_header(api_key, version):
            data = skip_header_tags(data)
        answer = decode(response_layout(api_key), version, data)
        codes = [answer.get("error_code", 0), *(each["error_code"] for each in answer.get("results", ()))]
        assert not any(codes), answer
        return answer


def _everything() -> Values:
    return {
        "resource_type_filter": _ANYTHING,
        "pattern_type_filter": _ANYTHING,
        "resource_name_filter": None,
        "principal_filter": _ANONYMOUS,
        "host_filter": None,
        "operation": _ANYTHING,
        "permission_type": _ANYTHING,
    }


def _creation(permission: Permission) -> Values:
    is_cluster = permission.resource_type == "cluster"
    return {
        "resource_type": _TYPES[permission.resource_type],
        "resource_name": _CLUSTER if is_cluster else permission.name,
        "resource_pattern_type": _LITERAL,
        "principal": _ANONYMOUS,
        "host": "*",
        "operation": _OPERATIONS[permission.operation],
        "permission_type": _ALLOW,
    }
