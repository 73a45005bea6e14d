"""Three real nodes and unmodified clients: what a cluster promises, measured. One command per module."""
