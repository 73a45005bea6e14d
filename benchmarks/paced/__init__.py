"""How long records wait for their acknowledgement while a cluster is given a steady load."""
