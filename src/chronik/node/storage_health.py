"""Problems of a node's storage: logged once when found, and reported here for as long as they last.

Created by the node; code that opens logs reports damage to it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from chronik.log.damage import Damage, DamageKind, Damages
from chronik.vocab.ids import TopicPartition

_log = logging.getLogger(__name__)

# Health names at most this many damaged partitions.
_NAMED_MAX = 5

# At most this many places of one log get a line of their own; the metric counts all.
_LINES_MAX = 20


class StorageHealth:
    """One per node. Damage may be reported in any thread."""

    def __init__(self) -> None:
        self._logs: dict[TopicPartition, Damages] = {}
        self.found: Counter[DamageKind] = Counter()

    def watch(self, name: TopicPartition, damages: Damages) -> None:
        """Reports damage in a log that was opened, and damage found later."""
        self._logs[name] = damages
        damages.listen(self._listener(name, damages))

    def forget(self, name: TopicPartition) -> None:
        """The partition is deleted, or closed."""
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
        """Returns the problems for the operator; empty when there are none."""
        damaged = self.damaged
        return [f"damaged or missing records: {_names(damaged)}"] if damaged else []


def _names(partitions: Sequence[TopicPartition]) -> str:
    named = ", ".join(map(str, partitions[:_NAMED_MAX]))
    rest = len(partitions) - _NAMED_MAX
    return f"{named} and {rest} more" if rest > 0 else named
