"""The deterministic node: replicas, metadata and background tasks, given disk, clock, chance, network."""
