"""What clients did and were told, in one form, and the one check of it against the logs.

Pure but for `files`. The simulator's clients, those of the chaos run and those of the proofs on real clusters
write the same events; the room knows nothing of the cluster that it checks, and no room of the product knows
it.
"""
