"""The settings, one module per subject: names, types, defaults, bounds and words, nothing else.

Facts follow Apache Kafka 4.1. `has_effect=False` marks what is accepted and shown but not obeyed yet;
`kafka_default` and `note` say where a default differs and why.
"""
