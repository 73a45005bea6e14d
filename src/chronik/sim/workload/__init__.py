"""Clients of a simulated cluster, which follow Kafka's retry rules and record the answers they receive."""
