"""Three nodes with thousands of partitions. `python -m tests.proofs.cluster.scale`, see `__main__`."""
