"""What is wrong with a node's storage: reported once in the log when it is found, and here for as long as it
is.

Made by the node, told of damaged logs by those who open them.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from chronik.log.damage import Damage, DamageKind, Damages
from chronik.vocab.ids import TopicPartition

_log = logging.getLogger(__name__)

# Of damaged partitions, health names so many.
_NAMED_MAX = 5

# Of one log so many places get a line of their own; the metric counts all.
_LINES_MAX = 20


class StorageHealth:
    """One per node. Damage may be reported in any thread."""

    def __init__(self) -> None:
        self._logs: dict[TopicPartition, Damages] = {}
        self.found: Counter[DamageKind] = Counter()

    def watch(self, name: TopicPartition, damages: Damages) -> None:
        """Report what is damaged in a log that was opened, and what will be found later."""
        self._logs[name] = damages
        damages.listen(self._listener(name, damages))

    def forget(self, name: TopicPartition) -> None:
        """It is deleted, or closed."""
        self._logs.pop(name, None)

    def _listener(self, name: TopicPartition, damages: Damages) -> Callable[[Damage], None]:
        def on_damage(damage: Damage) -> None:
            self.found[damage.kind] += 1
            if damages.total > _LINES_MAX and damage.is_loss:
                return
            extra = {
                "partition": str(name),
                "what": damage.kind.value,
                "file": damage.path,
                "position": damage.position,
                "first_offset": damage.first_offset,
                "end_offset": damage.end_offset,
            }
            if damage.is_loss:
                _log.error(
                    "durable records damaged or missing; their readers get CORRUPT_MESSAGE", extra=extra
                )
            else:
                _log.warning("index disagrees with its log; it is rebuilt", extra=extra)

        return on_damage

    @property
    def damaged(self) -> Sequence[TopicPartition]:
        """Partitions of which records are damaged or missing."""
        return [name for name, damages in list(self._logs.items()) if damages.has_loss]

    def warnings(self) -> list[str]:
        """What whoever runs the node should know; empty when all is well."""
        damaged = self.damaged
        return [f"damaged or missing records: {_names(damaged)}"] if damaged else []


def _names(partitions: Sequence[TopicPartition]) -> str:
    named = ", ".join(map(str, partitions[:_NAMED_MAX]))
    rest = len(partitions) - _NAMED_MAX
    return f"{named} and {rest} more" if rest > 0 else named
