"""HTTP on a port of its own: health for process monitors, metrics for Prometheus.

`server` is imported with the node and costs nothing; everything that speaks HTTP (`app`, starlette, uvicorn,
prometheus-client) is imported at the first connection, in a thread.
"""
