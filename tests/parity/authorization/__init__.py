"""Answers to clients without permissions, or with some: recorded from Apache Kafka with its authorizer."""
