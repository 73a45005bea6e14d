"""One partition on disk, in Kafka's own files: segments, indexes, producer snapshots, epoch checkpoint.

Knows bytes, offsets and files. Knows nothing of clients, topics' meaning, replication or the network.
"""
