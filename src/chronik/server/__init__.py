"""The real world: sockets, files, threads, clock, HTTP. Objects are wired together in `local_broker.py` and
`node.py`, and nowhere else.
"""
