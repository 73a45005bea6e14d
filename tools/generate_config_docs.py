"""Writes docs/configuration.md from the tables of settings in chronik.vocab.config.

python tools/generate_config_docs.py            write the page
python tools/generate_config_docs.py --check    fail when the committed page differs
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from chronik.vocab.config.definition import SAME_AS_KAFKA, ConfigDefinition, ConfigTable, ConfigValue
from chronik.vocab.config.names import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    TOPIC_SYNONYMS,
)
from chronik.vocab.config.tables.coordinator import GROUP_COORDINATOR_DEFINITIONS, TRANSACTION_DEFINITIONS
from chronik.vocab.config.tables.log import CLEANER_DEFINITIONS, LOG_DEFINITIONS
from chronik.vocab.config.tables.network import NETWORK_DEFINITIONS
from chronik.vocab.config.tables.node import NODE_DEFINITIONS
from chronik.vocab.config.tables.quorum import QUORUM_DEFINITIONS
from chronik.vocab.config.tables.replication import REPLICATION_DEFINITIONS
from chronik.vocab.config.values import DOUBLE_MAX, INT_MAX, LONG_MAX, format_value

TARGET = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

NO_EFFECT = "**Accepted, no effect yet.**"

BROKER_SECTIONS = (
    ("The node", NODE_DEFINITIONS),
    ("The cluster", QUORUM_DEFINITIONS),
    ("Listeners, connections and requests", NETWORK_DEFINITIONS),
    ("Topics and logs", LOG_DEFINITIONS),
    ("Groups and offsets", GROUP_COORDINATOR_DEFINITIONS),
    ("Idempotent producers and transactions", TRANSACTION_DEFINITIONS),
    ("Compaction", CLEANER_DEFINITIONS),
    ("Replication and threads", REPLICATION_DEFINITIONS),
)

TIME_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second"))
SIZE_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
LARGEST = {INT_MAX, LONG_MAX, DOUBLE_MAX}

MARKER = (
    "<!-- Written by tools/generate_config_docs.py from the tables in chronik.vocab.config, "
    "from here to the end. -->"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    is_check = parser.parse_args().check
    before = TARGET.read_text(encoding="utf-8")
    prose, marker, _ = before.partition(MARKER)
    if not marker:
        raise SystemExit(f"{TARGET} has lost the line {MARKER}")
    after = "\n".join([f"{prose}{MARKER}\n", *table_lines()])
    if not is_check:
        TARGET.write_text(after, encoding="utf-8")
    elif after != before:
        print(f"{TARGET} is not what the tables say: run tools/generate_config_docs.py", file=sys.stderr)
        return 1
    print("up to date")
    return 0


def table_lines() -> Iterator[str]:
    yield from difference_lines()
    yield "\n## Topic settings\n"
    yield "Where a topic sets nothing, the first of its broker settings that is set counts.\n"
    yield from topic_lines()
    yield "\n## Broker settings\n"
    yield f"*Dynamic* settings change while the node runs. {NO_EFFECT} marks what is taken and shown as by"
    yield "Kafka, so that configurations written for Kafka work."
    for title, definitions in BROKER_SECTIONS:
        yield f"\n### {title}\n"
        yield from broker_lines(definitions)
    yield "\n## Settings of groups and client metrics\n"
    yield "These are checked, stored and shown as by Kafka 4.4; nothing obeys them yet, because the protocols"
    yield "that they belong to (KIP-848, share and streams groups, KIP-714) are not served.\n"
    yield from resource_lines(GROUP_CONFIGS)
    yield ""
    yield from resource_lines(CLIENT_METRICS_CONFIGS)
    yield ""


def difference_lines() -> Iterator[str]:
    yield "## Defaults that differ from Kafka's\n"
    yield from table_head("Setting", "Kafka's default", "Here", "Why")
    for definition in sorted(BROKER_CONFIGS.values(), key=lambda definition: definition.name):
        if definition.kafka_default is not SAME_AS_KAFKA:
            theirs = shown(definition, definition.kafka_default)
            yield row(f"`{definition.name}`", theirs, shown(definition, definition.default), definition.note)


def topic_lines() -> Iterator[str]:
    yield from table_head("Setting", "Type", "Default", "Valid values", "Broker settings", "Meaning")
    for definition in TOPIC_CONFIGS.values():
        if not definition.is_internal:
            synonyms = ", ".join(f"`{synonym.name}`" for synonym in TOPIC_SYNONYMS.get(definition.name, ()))
            yield row(*common_cells(definition), synonyms, meaning(definition))


def broker_lines(definitions: Iterable[ConfigDefinition]) -> Iterator[str]:
    yield from table_head("Setting", "Type", "Default", "Valid values", "Dynamic", "Meaning")
    # What works stands before what does not.
    for definition in sorted(definitions, key=lambda each: (not each.has_effect, each.name)):
        yield row(*common_cells(definition), "yes" if definition.is_dynamic else "", meaning(definition))


def resource_lines(table: ConfigTable) -> Iterator[str]:
    yield from table_head("Setting", "Type", "Default", "Valid values", "Meaning")
    for definition in table.values():
        if not definition.is_internal:
            yield row(*common_cells(definition), definition.documentation)


def common_cells(definition: ConfigDefinition) -> tuple[str, str, str, str]:
    valid = "" if definition.validator is None else f"`{definition.validator}`"
    return f"`{definition.name}`", definition.type.name.lower(), shown(definition, definition.default), valid


def meaning(definition: ConfigDefinition) -> str:
    parts = ["" if definition.has_effect else NO_EFFECT, definition.documentation, definition.note]
    return " ".join(part for part in parts if part)


def shown(definition: ConfigDefinition, value: ConfigValue | None) -> str:
    """A default as text, in a unit that people read."""
    text = format_value(value)
    if text is None:
        return "unset"
    if text == "":
        return "empty"
    if value in LARGEST and not isinstance(value, bool):
        return "no limit"
    return f"`{text}`{in_units(definition, value)}"


def in_units(definition: ConfigDefinition, value: ConfigValue | None) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return ""
    if definition.name.endswith(".ms"):
        unit, name = next(((unit, name) for unit, name in TIME_UNITS if value % unit == 0), (0, ""))
        return f" ({value // unit} {name}{'s' if value > unit else ''})" if unit else ""
    if definition.name.endswith((".bytes", ".size")):
        unit, name = next(((unit, name) for unit, name in SIZE_UNITS if value % unit == 0), (0, ""))
        return f" ({value // unit} {name})" if unit else ""
    return ""


def table_head(*titles: str) -> Iterator[str]:
    yield row(*titles)
    yield "|" + " --- |" * len(titles)


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    raise SystemExit(main())
