"""The settings, one module per subject: names, types, defaults, bounds and documentation, nothing else.

Facts follow Apache Kafka 4.1. `has_effect=False` marks settings that are accepted and shown but have no
effect yet; `kafka_default` and `note` have the differences of defaults and their reasons.
"""
