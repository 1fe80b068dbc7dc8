"""The proxy between market and service: a request is addressed to the service's own name, whoever carries it."""

from __future__ import annotations

from tests.chaos.proxy import Proxy


class HttpProxy(Proxy):
    """It knows no HTTP beyond the name of the host."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def addressed(self, request: bytes) -> bytes:
        ours = b"Host: 127.0.0.1:%d" % self.port
        return request.replace(ours, b"Host: 127.0.0.1:%d" % self.upstream, 1)
