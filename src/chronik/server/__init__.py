"""The real world: sockets, files, threads, clock, HTTP. `node.py` is the only place where objects are
wired.
"""
