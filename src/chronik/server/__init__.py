"""The real world: sockets, files, threads, clock, HTTP. `node.py` wires them around a `node.local_broker`."""
