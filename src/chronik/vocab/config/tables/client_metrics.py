"""Settings of a subscription to client metrics (KIP-714), which is not served yet: they are checked
(`vocab/config/resources.py`), stored and shown.
"""

from chronik.vocab.config.definition import ConfigDefinition, ConfigType, ConfigValue, Importance


def _metrics(name: str, type: ConfigType, default: ConfigValue, documentation: str) -> ConfigDefinition:
    return ConfigDefinition(
        name=name,
        type=type,
        default=default,
        importance=Importance.MEDIUM,
        documentation=documentation,
        has_effect=False,
    )


CLIENT_METRICS_DEFINITIONS = (
    _metrics(
        "interval.ms",
        ConfigType.INT,
        300_000,
        "How often clients send their metrics.",
    ),
    _metrics(
        "match",
        ConfigType.LIST,
        (),
        "Which clients are asked, as `parameter=pattern,...`; an empty list asks all.",
    ),
    _metrics(
        "metrics",
        ConfigType.LIST,
        (),
        "The metrics to send, by the beginnings of their names; `*` is all of them.",
    ),
)
