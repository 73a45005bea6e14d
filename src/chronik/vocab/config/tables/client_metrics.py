"""Settings of a subscription to client metrics (KIP-714), which is not served yet: they can be read, not
changed.
"""

from chronik.vocab.config.definition import ConfigDefinition, ConfigType, ConfigValue, Importance, Validator
from chronik.vocab.config.validators import between, list_of


def _metrics(
    name: str, type: ConfigType, default: ConfigValue, validator: Validator, documentation: str
) -> ConfigDefinition:
    return ConfigDefinition(
        name=name,
        type=type,
        default=default,
        importance=Importance.MEDIUM,
        documentation=documentation,
        validator=validator,
        has_effect=False,
    )


CLIENT_METRICS_DEFINITIONS = (
    _metrics(
        "interval.ms",
        ConfigType.INT,
        300_000,
        between(100, 3_600_000),
        "How often clients send their metrics.",
    ),
    _metrics(
        "match",
        ConfigType.LIST,
        (),
        list_of(),
        "Which clients are asked, as `parameter=pattern,...`; an empty list asks all.",
    ),
    _metrics(
        "metrics",
        ConfigType.LIST,
        (),
        list_of(),
        "The metrics to send, by the beginnings of their names; `*` is all of them.",
    ),
)
