"""The table of all subjects of the metadata: one line registers one.

The order is that of records in snapshots, where settings must come after the topics that have them.
"""

from chronik.cluster.metadata import brokers, config_decisions, features, producer_ids, topic_decisions
from chronik.cluster.metadata.table import SubjectTable

SUBJECTS = SubjectTable(
    (
        brokers.SUBJECT,
        topic_decisions.SUBJECT,
        config_decisions.SUBJECT,
        producer_ids.SUBJECT,
        features.SUBJECT,
    )
)
