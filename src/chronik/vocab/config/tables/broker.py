"""The form of the broker's settings; the modules next to this one hold them by subject."""

from chronik.vocab.config.definition import (
    SAME_AS_KAFKA,
    ConfigDefinition,
    ConfigType,
    ConfigValue,
    Importance,
    SameAsKafka,
    UpdateMode,
    Validator,
)

HIGH, MEDIUM, LOW = Importance.HIGH, Importance.MEDIUM, Importance.LOW
DYNAMIC = UpdateMode.CLUSTER_WIDE


def define(
    name: str,
    type: ConfigType,
    default: ConfigValue | None,
    documentation: str,
    *,
    importance: Importance = MEDIUM,
    validator: Validator | None = None,
    update_mode: UpdateMode = UpdateMode.READ_ONLY,
    has_effect: bool = True,
    kafka_default: ConfigValue | SameAsKafka | None = SAME_AS_KAFKA,
    note: str = "",
) -> ConfigDefinition:
    """A broker setting; without `update_mode` it is fixed while the broker runs."""
    return ConfigDefinition(
        name=name,
        type=type,
        default=default,
        importance=importance,
        documentation=documentation,
        validator=validator,
        update_mode=update_mode,
        has_effect=has_effect,
        kafka_default=kafka_default,
        note=note,
    )
