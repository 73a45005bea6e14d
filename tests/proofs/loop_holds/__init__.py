"""How long one request may hold the event loop, measured from outside on a real node.

`watched_node` is a node that watches its own loop, `attacks` are the requests, `__main__` prints the table.
"""
