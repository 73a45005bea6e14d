"""Every message in every version: our bytes are kio's, and each reads what the other wrote."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronik.wire.codec import decoder, encode

from .kio_oracle import Case, all_cases, from_bytes, to_bytes, to_ours, values

pytestmark = pytest.mark.long

CASES = list(all_cases())

# Produce below 3 is what test_bad_records.py sends; the rest has bytes of its own in test_later_than_kio.py.
NOT_IN_KIO = {"Produce": {0, 1, 2}, "ApiVersions": {5}, "DeleteGroups": {3}, "TxnOffsetCommit": {6}}

# Few examples each: there are more than five hundred classes and versions, which share their fields' code.
EXAMPLES = settings(
    max_examples=8, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("case", CASES, ids=str)
@EXAMPLES
@given(data=st.data())
def test_same_bytes_as_kio(case: Case, data: st.DataObject) -> None:
    kio_message = data.draw(values(case.kio))
    ours = to_ours(kio_message, case.ours)
    encoded = to_bytes(kio_message)

    assert encode(ours, case.version) == encoded
    decoded, end = decoder(case.ours, case.version)(memoryview(b"head" + encoded), 4)
    assert end == 4 + len(encoded)
    assert decoded == ours
    assert from_bytes(case.kio, encode(decoded, case.version)) == kio_message


def test_every_version_is_covered() -> None:
    covered = {(case.ours, case.version) for case in CASES}
    for ours in {case.ours for case in CASES}:
        first, last = ours.VERSIONS
        missing = {version for version in range(first, last + 1) if (ours, version) not in covered}
        assert missing == NOT_IN_KIO.get(
            ours.__name__.removesuffix("Request").removesuffix("Response"), set()
        )
