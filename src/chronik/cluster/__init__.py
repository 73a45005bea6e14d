"""What the cluster knows: metadata records, immutable image, pure controller, placement, leadership table."""
