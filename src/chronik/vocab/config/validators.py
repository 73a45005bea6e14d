"""Rules for values, with Kafka's error texts (org.apache.kafka.common.config.ConfigDef).

Plain classes, because creating a dataclass costs half a millisecond of every start.
"""

import re

from chronik.vocab.config.definition import ConfigValue

_THROTTLED_REPLICA = r"[0-9]+:[0-9]+"


class Range:
    """A number between two inclusive bounds; either may be absent."""

    __slots__ = ("maximum", "minimum")

    def __init__(self, minimum: int | float | None = None, maximum: int | float | None = None) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def problem(self, value: ConfigValue) -> str | None:
        if not isinstance(value, (int, float)):
            return "Value must be a number"
        if self.minimum is not None and value < self.minimum:
            return f"Value must be at least {self.minimum}"
        if self.maximum is not None and value > self.maximum:
            return f"Value must be no more than {self.maximum}"
        return None

    def __str__(self) -> str:
        minimum = "..." if self.minimum is None else f"{self.minimum},..."
        return f"[{minimum}]" if self.maximum is None else f"[{minimum},{self.maximum}]"


def at_least(minimum: int | float) -> Range:
    return Range(minimum)


def between(minimum: int | float, maximum: int | float) -> Range:
    return Range(minimum, maximum)


class OneOf:
    """A string out of a closed list."""

    __slots__ = ("allowed",)

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self.allowed = allowed

    def problem(self, value: ConfigValue) -> str | None:
        return None if value in self.allowed else f"String must be one of: {', '.join(self.allowed)}"

    def __str__(self) -> str:
        return f"[{', '.join(self.allowed)}]"


def one_of(*allowed: str) -> OneOf:
    return OneOf(allowed)


class ListOf:
    """A list without duplicates or empty items, out of a closed list when `allowed` is not empty."""

    __slots__ = ("allowed", "may_be_empty")

    def __init__(self, allowed: tuple[str, ...] = (), *, may_be_empty: bool = True) -> None:
        self.allowed = allowed
        self.may_be_empty = may_be_empty

    def problem(self, value: ConfigValue) -> str | None:
        if not isinstance(value, tuple):
            return "Value must be a list"
        if not value and not self.may_be_empty:
            return "List must not be empty"
        if "" in value:
            return "List items must not be empty"
        if len(set(value)) < len(value):
            return "List items must not be duplicated"
        if self.allowed and any(item not in self.allowed for item in value):
            return f"String must be one of: {', '.join(self.allowed)}"
        return None

    def __str__(self) -> str:
        items = f"[{', '.join(self.allowed)}]" if self.allowed else "any items, each once"
        return items if self.may_be_empty else f"{items} (not empty)"


def list_of(*allowed: str, may_be_empty: bool = True) -> ListOf:
    return ListOf(allowed, may_be_empty=may_be_empty)


class RangeOr:
    """A number in a range, or one number outside of it that means something else."""

    __slots__ = ("maximum", "minimum", "special")

    def __init__(self, minimum: int, maximum: int, special: int) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.special = special

    def problem(self, value: ConfigValue) -> str | None:
        if isinstance(value, int) and (self.minimum <= value <= self.maximum or value == self.special):
            return None
        return f"Value must be between {self.minimum} and {self.maximum} or equal to {self.special}"

    def __str__(self) -> str:
        return f"[{self.minimum},...,{self.maximum}] or {self.special}"


class ThrottledReplicas:
    """`*`, or a list of partition:broker pairs."""

    def problem(self, value: ConfigValue) -> str | None:
        if isinstance(value, tuple) and (
            value == ("*",) or all(re.fullmatch(_THROTTLED_REPLICA, item) for item in value)
        ):
            return None
        return (
            "Value must be the literal '*' or a list of replicas in the format [partitionId]:[brokerId],..."
        )

    def __str__(self) -> str:
        return "[partitionId]:[brokerId],[partitionId]:[brokerId],... or *"


class NotEmpty:
    """Any string but the empty one."""

    def problem(self, value: ConfigValue) -> str | None:
        return None if value else "String must be non-empty"

    def __str__(self) -> str:
        return "non-empty string"


class AutoOffsetReset:
    """`earliest`, `latest`, or `by_duration:` with an ISO 8601 duration that is not negative (KIP-1106)."""

    # As java.time.Duration reads it: days, then hours, minutes and seconds.
    _DURATION = r"(?i:P(?=.)([0-9]+D)?(T(?=.)([0-9]+H)?([0-9]+M)?([0-9]+([.,][0-9]{0,9})?S)?)?)"

    def problem(self, value: ConfigValue) -> str | None:
        if value in ("earliest", "latest"):
            return None
        kind, _, duration = str(value).partition(":")
        if kind == "by_duration" and re.fullmatch(self._DURATION, duration) is not None:
            return None
        return (
            f"Invalid value `{value}` for configuration share.auto.offset.reset. The value must be either "
            "'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
        )

    def __str__(self) -> str:
        return "[latest, earliest, by_duration:PnDTnHnMn.nS]"


class AddressCounts:
    """`address:count` pairs; an IPv6 address may have colons of its own."""

    def problem(self, value: ConfigValue) -> str | None:
        pairs = [pair.strip() for pair in str(value).split(",")] if value else []
        for pair in pairs:
            address, _, count = pair.rpartition(":")
            if not address or re.fullmatch("[0-9]{1,10}", count) is None:
                return f"not of the form address:count,...: {pair}"
        return None

    def __str__(self) -> str:
        return "address:count,..."
