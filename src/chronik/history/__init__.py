"""The actions of clients and their answers, in one form, and the one check of it against the logs.

Pure except for `files`. The simulator's clients, those of the chaos run and those of the proofs on real
clusters write the same events; the room knows nothing of the cluster that it checks, and no room of the
product knows it.
"""
