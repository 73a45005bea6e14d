"""Cluster metadata: records, immutable image, pure controller, placement, leadership table."""
