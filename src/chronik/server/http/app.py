"""The pages: `/`, `/health/live`, `/health/ready`, `/metrics`."""

import time

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chronik import __version__
from chronik.server.http.view import NodeView
from chronik.server.metrics import render

# Answers describe a moment; no proxy may store them.
_HEADERS = {"cache-control": "no-store"}


class Pages:
    """Handlers with the node they query. All run on the node's event loop."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def root(self, request: Request) -> Response:
        """Describes the node for a person with a browser."""
        about = self._node.about()
        content = {
            "name": "chronik",
            "version": __version__,
            "node_id": about.node_id,
            "cluster_id": about.cluster_id,
            "listeners": dict(about.listeners),
            "is_ready": self._node.is_ready,
            "uptime_seconds": max(0, int(time.time() - about.started_ms / 1000)),
            "pages": ["/health/live", "/health/ready", "/metrics"],
        }
        return JSONResponse(content, headers=_HEADERS)

    async def live(self, request: Request) -> Response:
        """Succeeds if the event loop turns; means nothing else."""
        return JSONResponse({"status": "live"}, headers=_HEADERS)

    async def ready(self, request: Request) -> Response:
        """200 when clients can connect and use the node, else 503 with the reasons."""
        if self._node.is_ready:
            # Degraded is no reason to send clients elsewhere, or to start the node again.
            content = {"status": "ready", "reasons": [], "warnings": list(self._node.warnings)}
            return JSONResponse(content, headers=_HEADERS)
        content = {"status": "not ready", "reasons": list(self._node.reasons)}
        return JSONResponse(content, status_code=503, headers=_HEADERS)

    async def metrics(self, request: Request) -> Response:
        """Taken and written in pieces, between which the loop turns."""
        statistics = await self._node.statistics()
        text = await render(statistics, is_ready=self._node.is_ready)
        return Response(text, headers=_HEADERS, media_type=CONTENT_TYPE_LATEST)


def make_app(node: NodeView) -> Starlette:
    pages = Pages(node)
    return Starlette(
        routes=[
            Route("/", pages.root),
            Route("/health/live", pages.live),
            Route("/health/ready", pages.ready),
            Route("/metrics", pages.metrics),
        ]
    )
