"""ACLs and SASL where there is neither: Kafka 4.4's answers on a PLAINTEXT listener, without authorizer."""

import pytest

from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.create_acls import AclCreation, CreateAclsRequest, CreateAclsResponse
from chronik.wire.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest, DeleteAclsResponse
from chronik.wire.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse
from chronik.wire.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse
from chronik.wire.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from tests.support.broker_room import BrokerRoom

ACL_VERSIONS = range(1, 4)


@pytest.mark.parametrize("version", ACL_VERSIONS)
@virtual
async def test_describe_acls(version: int) -> None:
    room = await BrokerRoom().open()
    request = DescribeAclsRequest(resource_type_filter=1, operation=1, permission_type=1)
    response = await room.ask(request, version, DescribeAclsResponse)
    assert response.error_code == ErrorCode.SECURITY_DISABLED
    assert response.error_message == "No Authorizer is configured on the broker"
    assert response.resources == []
    await room.close()


@pytest.mark.parametrize("version", ACL_VERSIONS)
@virtual
async def test_create_and_delete_acls_answer_each(version: int) -> None:
    room = await BrokerRoom().open()
    expected = [(ErrorCode.SECURITY_DISABLED, "No Authorizer is configured.")] * 2
    creation = AclCreation(resource_type=2, resource_name="t", principal="User:a", host="*", operation=3)
    create = CreateAclsRequest(creations=[creation, creation])
    created = await room.ask(create, version, CreateAclsResponse)
    assert [(r.error_code, r.error_message) for r in created.results] == expected
    delete = DeleteAclsRequest(filters=[DeleteAclsFilter(resource_type_filter=1)] * 2)
    deleted = await room.ask(delete, version, DeleteAclsResponse)
    assert [(r.error_code, r.error_message) for r in deleted.filter_results] == expected
    assert (await room.ask(CreateAclsRequest(), version, CreateAclsResponse)).results == []
    await room.close()


@pytest.mark.parametrize("version", [0, 1])
@virtual
async def test_a_sasl_handshake_comes_too_late(version: int) -> None:
    room = await BrokerRoom().open()
    for _ in range(2):  # and the connection goes on
        request = SaslHandshakeRequest(mechanism="PLAIN")
        response = await room.ask(request, version, SaslHandshakeResponse)
        assert (response.error_code, response.mechanisms) == (ErrorCode.ILLEGAL_SASL_STATE, [])
    await room.close()


@pytest.mark.parametrize("version", range(3))
@virtual
async def test_sasl_authentication_comes_too_late(version: int) -> None:
    room = await BrokerRoom().open()
    request = SaslAuthenticateRequest(auth_bytes=b"\0user\0password")
    response = await room.ask(request, version, SaslAuthenticateResponse)
    assert response.error_code == ErrorCode.ILLEGAL_SASL_STATE
    expected = "SaslAuthenticate request received after successful authentication"
    assert (response.error_message, response.auth_bytes) == (expected, b"")
    await room.close()


def test_versions_are_kafkas() -> None:
    assert SUPPORTED[ApiKey.DESCRIBE_ACLS] == SUPPORTED[ApiKey.DELETE_ACLS] == (1, 3)
    assert (SUPPORTED[ApiKey.SASL_HANDSHAKE], SUPPORTED[ApiKey.SASL_AUTHENTICATE]) == ((0, 1), (0, 2))
