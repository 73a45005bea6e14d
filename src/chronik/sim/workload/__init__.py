"""Clients of a simulated cluster, who follow Kafka's retry rules and write down what they are told."""
