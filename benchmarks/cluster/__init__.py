"""Three nodes beside one: what replication costs. `python -m benchmarks.cluster`, see `__main__`."""
