"""Keys of feeds: sent to the address that is named, read anew each time, shown nowhere."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.service.test_calendars import demo_with
from tests.service.test_feeds import FEED
from vpp.errors import UnavailableError
from vpp.model.horizon import Horizon
from vpp.model.time import QUARTER
from vpp.service.feeds import feeds
from vpp.service.park.config import ConfigErrors
from vpp.service.plant import Plant
from vpp.service.secretfiles import SecretSection, read_secret
from vpp.service.wiring import open_feeds

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
SECRET = "Bearer 7f3a-not-to-be-seen"
HEADERS = "{Authorization: {env: VPP_TEST_TOKEN}, X-Key: {file: key.txt}}"


def http_feed(url: str, headers: str = HEADERS) -> str:
    return FEED.replace(
        "kind: csv\n    folder: inbox", f"kind: http\n    url: {url}\n    headers: {headers}"
    ).replace("every_s: 30", "every_s: 30\n    form: csv")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both secrets where the park file says; the file with the second one."""
    monkeypatch.setenv("VPP_TEST_TOKEN", SECRET)
    file = tmp_path / "key.txt"
    file.write_text("first\n", encoding="utf-8")
    return file


def test_headers_carry_what_is_kept_and_a_renewed_key_is_sent_at_once(
    plant: Plant, tmp_path: Path, kept: Path
) -> None:
    got: list[tuple[str | None, str | None]] = []

    async def answer(request: web.Request) -> web.Response:
        got.append((request.headers.get("Authorization"), request.headers.get("X-Key")))
        table = f"interval_start,temp\n2025-12-02T11:00+01:00,{len(got)}\n"
        return web.Response(text=table, content_type="text/csv")

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/weather", answer)
        async with TestServer(app, host="127.0.0.1") as server, AsyncExitStack() as stack:
            plant.file = demo_with(tmp_path, http_feed(str(server.make_url("/weather"))))
            plant.feeds = await open_feeds(plant.file, stack)
            await feeds.look(plant, NOW)
            await asyncio.to_thread(kept.write_text, "second", encoding="utf-8")
            await feeds.look(plant, NOW + QUARTER)

    asyncio.run(run())

    assert got == [(SECRET, "first"), (SECRET, "second")]
    assert (
        plant.series.known("outdoor.mill", Horizon(NOW, QUARTER, 1), NOW + QUARTER).values[0] == 2
    )
    shown = f"{plant.feeds!r} {plant.file!r} {[event.text for event in plant.events.recent()]}"
    assert "not-to-be-seen" not in shown


def test_a_key_that_is_gone_makes_the_feed_ill_and_names_only_its_place(
    plant: Plant, tmp_path: Path, kept: Path
) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            plant.file = demo_with(tmp_path, http_feed("http://127.0.0.1:9/none"))
            plant.feeds = await open_feeds(plant.file, stack)
            await asyncio.to_thread(kept.unlink)
            await feeds.look(plant, NOW)

    asyncio.run(run())

    (told,) = [event.text for event in plant.events.recent() if event.kind == "feed"]
    assert "key.txt" in told
    assert "not-to-be-seen" not in told


@pytest.mark.parametrize(
    ("headers", "path", "says"),
    [
        pytest.param("{X-Key: {env: VPP_NO_SUCH}}", "X-Key", "VPP_NO_SUCH: there is no value"),
        pytest.param("{X-Key: {file: gone.txt}}", "X-Key", "gone.txt: cannot be read: No such"),
        pytest.param(f"{{X-Key: {SECRET}}}", "X-Key", "say where the value is kept"),
        pytest.param(f"{{X-Key: {{env: {SECRET}}}}}", "X-Key.env", "no name of an environment"),
        pytest.param("{X-Key: {env: A, file: b}}", "X-Key", "say where the value is kept"),
        pytest.param("{X-Key: {env: 12345678901}}", "X-Key.env", "no name of an environment"),
        pytest.param("{X-Key: {file: 12345678901}}", "X-Key.file", "no name of a file"),
        pytest.param("{Host: {env: HOME}}", "Host", "not for a park file to say"),
    ],
)
def test_a_header_that_cannot_be_sent_is_a_fault_at_its_place_and_its_value_is_not_shown(
    headers: str, path: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigErrors) as error:
        demo_with(tmp_path, http_feed("https://example.org/x", headers))

    assert f"feeds.0.headers.{path}" in str(error.value)
    assert says in str(error.value)
    assert "not-to-be-seen" not in str(error.value)
    assert "12345678901" not in str(error.value)


@pytest.mark.parametrize("headers", [f'"X-Key: {SECRET}"', f'["X-Key: {SECRET}"]', "12345678901"])
def test_headers_that_are_no_mapping_are_refused_and_not_repeated(
    headers: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigErrors, match="give a mapping of names") as error:
        demo_with(tmp_path, http_feed("https://example.org/x", headers))

    assert "not-to-be-seen" not in str(error.value)
    assert "12345678901" not in str(error.value)


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "tab\there", "é", "x" * 9000])
def test_a_value_that_no_header_can_carry_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text(content, encoding="utf-8")

    with pytest.raises(UnavailableError, match=r"key\.txt"):
        read_secret(SecretSection(file="key.txt"), tmp_path)
