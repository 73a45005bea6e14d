"""Kafka semantics: a handler module per API, partitions, purgatory, fetch sessions, coordinators,
configuration.
"""
