"""The mark "accepted, no effect yet" is true: what has an effect is read somewhere, what has none is not.

A change that makes a setting work, or stops reading one, changes `has_effect` in its table and runs
tools/generate_config_docs.py.
"""

import re
from functools import cache
from pathlib import Path

from chronik.vocab.config.names import BROKER_ALIASES, BROKER_CONFIGS, TOPIC_CONFIGS, TOPIC_SYNONYMS

SOURCES = Path(__file__).resolve().parents[4] / "src" / "chronik"

# Read to check them or to pass them on, and still without effect.
READ_IN_VAIN = {
    "log.cleaner.max.compaction.lag.ms": "only compared with its lower bound",
    "log.cleaner.min.compaction.lag.ms": "only compared with its upper bound",
    "transaction.state.log.min.isr": "nobody creates the topic yet",
    "transaction.state.log.num.partitions": "nobody creates the topic yet",
    "transaction.state.log.replication.factor": "nobody creates the topic yet",
    "transaction.state.log.segment.bytes": "nobody creates the topic yet",
    "unclean.leader.election.enable": "only written into the settings of internal topics",
}

# Obeyed by what the tables of constants cannot show.
OBEYED_ELSEWHERE = {
    "group.coordinator.rebalance.protocols": "its only value says what is served",
    "cleanup.policy": "TopicConfig.compacts and TopicConfig.deletes",
    "message.timestamp.type": "TopicConfig.is_log_append_time",
    "internal.segment.bytes": "TopicConfig.segment_bytes",
}


@cache
def source_text() -> str:
    tables = SOURCES / "vocab" / "config"
    files = [path for path in sorted(SOURCES.rglob("*.py")) if tables not in path.parents]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def is_read(name: str) -> bool:
    aliases = next((group for group in BROKER_ALIASES if name in group), (name,))
    return any(f'"{alias}"' in source_text() for alias in aliases)


def is_field_read(name: str) -> bool:
    return re.search(rf"config\.{name.replace('.', '_')}\b", source_text()) is not None


def test_broker_settings() -> None:
    obeyed_by_topics = {
        synonym.name
        for name, synonyms in TOPIC_SYNONYMS.items()
        if TOPIC_CONFIGS[name].has_effect
        for synonym in synonyms
    }
    for name, definition in BROKER_CONFIGS.items():
        expected = name in obeyed_by_topics or name in OBEYED_ELSEWHERE
        expected = expected or (is_read(name) and name not in READ_IN_VAIN)
        assert definition.has_effect == expected, f"{name}: see the docstring of this module"


def test_topic_settings() -> None:
    for name, definition in TOPIC_CONFIGS.items():
        expected = is_field_read(name) or name in OBEYED_ELSEWHERE
        assert definition.has_effect == expected, f"{name}: see the docstring of this module"
