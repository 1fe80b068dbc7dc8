"""Nobody from elsewhere gets in: loopback, Host, Origin, declared JSON, headers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vpp.errors import ConfigError
from vpp.service.plant import Plant
from vpp.service.security import HEADERS, require_loopback

KILL = {"killed": True, "reason": "drill"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost"])
def test_loopback_may_be_listened_on(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.5", "park.example", "127.0.0.1.example", "1270.0.1"]
)
def test_anything_else_is_refused_in_one_line(host: str) -> None:
    with pytest.raises(ConfigError, match="not loopback") as refused:
        require_loopback(host)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("127.0.0.1:{port}", 200, id="address and port"),
        pytest.param("localhost:{port}", 200, id="name and port"),
        pytest.param("[::1]:{port}", 200, id="IPv6 loopback"),
        pytest.param("evil.example:{port}", 421, id="a name that was bound to loopback"),
        pytest.param("evil.example", 421, id="another name without a port"),
        pytest.param("127.0.0.1:1", 421, id="another port"),
        pytest.param("127.0.0.1", 421, id="port 80 by default"),
        pytest.param("127.0.0.1:{port}@evil.example", 421, id="a disguise"),
        pytest.param("127.0.0.1:port", 421, id="no number"),
        pytest.param("", 421, id="empty"),
    ],
)
def test_the_host_header_must_mean_us(plant: Plant, serving: Any, host: str, status: int) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            told = host.format(port=client.port)
            answer = await client.get("/v1/park", headers={"Host": told})
            assert answer.status == status
            if status == 421:
                assert (await answer.json())["code"] == "host_not_allowed"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        pytest.param({}, 200, None, id="a program sends no Origin"),
        pytest.param({"Origin": "http://127.0.0.1:{port}"}, 200, None, id="our own page"),
        pytest.param(
            {"Origin": "http://evil.example"}, 403, "origin_not_allowed", id="another site"
        ),
        pytest.param({"Origin": "null"}, 403, "origin_not_allowed", id="a sandboxed frame"),
        pytest.param(
            {"Origin": "https://127.0.0.1:{port}"}, 403, "origin_not_allowed", id="another scheme"
        ),
        pytest.param(
            {"Origin": "http://127.0.0.1:1"}, 403, "origin_not_allowed", id="another port here"
        ),
        pytest.param(
            {"Content-Type": "text/plain"}, 415, "unsupported_media_type", id="a form's type"
        ),
        pytest.param(
            {"Content-Type": "application/json; charset=utf-16"},
            415,
            "unsupported_media_type",
            id="another charset",
        ),
        pytest.param({"Content-Encoding": "gzip"}, 415, "unsupported_media_type", id="compressed"),
    ],
)
def test_writes_come_from_us_and_are_json(
    plant: Plant, serving: Any, headers: dict[str, str], status: int, code: str | None
) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            told = {k: v.format(port=client.port) for k, v in headers.items()}
            body = b'{"killed": true, "reason": "drill"}'
            sent = {"Content-Type": "application/json"} | told
            answer = await client.post("/v1/kill", data=body, headers=sent)
            assert answer.status == status, await answer.text()
            if code is not None:
                assert (await answer.json())["code"] == code
        assert plant.kill.killed == (status == 200)

    asyncio.run(run())


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/v1/park", "/nowhere", "/static/app.js", "/metrics", "/openapi.json"]
)
def test_every_answer_carries_the_headers(plant: Plant, serving: Any, path: str) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.get(path)
            missing = [name for name in HEADERS if name not in answer.headers]
            policy = answer.headers["Content-Security-Policy"]
        assert missing == []
        assert "script-src 'self';" in policy
        assert "default-src 'none'" in policy
        assert ("unsafe-inline" in policy) == (path == "/docs")

    asyncio.run(run())
