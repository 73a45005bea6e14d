"""What is asked of the tools. Each case has topics and groups of its own, so that it can be run alone."""

from collections.abc import Mapping

from tests.proofs.java.cases import admin, cluster, groups, offsets, records, settings, streams, topics
from tests.proofs.java.session import Case

CASES: Mapping[str, Case] = {
    "topics": topics.run,
    "groups": groups.run,
    "reset-offsets": groups.reset_offsets,
    "get-offsets": offsets.run,
    "configs": settings.run,
    "records": records.run,
    "performance": records.measure,
    "dump-log": records.dump_log,
    "cluster": cluster.run,
    "admin": admin.run,
    "streams": streams.run,
}
