"""Parity with Apache Kafka: recorded answers of Kafka, and Chronik's answers beside them. See README.md."""
