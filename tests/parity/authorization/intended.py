"""Intended differences from Kafka with its authorizer."""

from tests.parity.differences import Known

INTENDED: tuple[Known, ...] = (
    Known(
        scenarios=("*",),
        paths=("*/answer/responses//error_message", "*/answer/responses/1/error_message"),
        kafka=None,
        chronik="Cluster authorization failed.",
        reason="Who may not alter brokers' settings and loggers is told so, as for other resources.",
    ),
)
