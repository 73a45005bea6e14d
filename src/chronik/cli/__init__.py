"""The `chronik` command: starts nodes and talks to them as any Kafka client would."""
