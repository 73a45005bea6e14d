"""HTTP on a port of its own: health for whoever watches the process, metrics for Prometheus.

`server` is imported with the node and costs nothing; all that speaks HTTP (`app`, starlette, uvicorn,
prometheus-client) is imported when somebody first connects, in a thread.
"""
