"""What other processes see of a plant, and that a plant does not notice how its window fares."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.redisserver import RedisServer
from tests.patience import PATIENCE_S
from tests.service.smallpark import PARK, faults_of, loading_in
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.sense.state import freeze
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.window.desk import WindowDesk
from vpp.service.window.picture import picture
from vpp.service.window.schema import RedisSection
from vpp.service.window.window import follow, note, retry_s
from vpp.service.window.wiring import open_window

PREFIX = "vpp:v1:demo"
STORE = "steel-battery"
DOCS = Path(__file__).parents[2] / "docs"


def freeze_now(plant: Plant) -> None:
    """As a control cycle does."""
    now = plant.clock.now()
    plant.state = freeze(plant.file.park, plant.intake.newest, now)
    note(plant)


def command(plant: Plant, seq: int, power_kw: float) -> None:
    now = plant.clock.now()
    name = ResourceId(STORE)
    plant.setpoints = {
        name: Setpoint(
            command_id=f"c-{seq}",
            seq=seq,
            resource_id=name,
            enterprise_id=EnterpriseId("steel"),
            issued_at=now,
            expires_at=now + timedelta(seconds=150),
            power_kw=power_kw,
            serves="plan-1",
        )
    }


@asynccontextmanager
async def opened(plant: Plant, server: RedisServer, **more: Any) -> AsyncIterator[WindowDesk]:
    """The plant with a window that is followed, as `open_plant` and `loops_of` give it one."""
    said = {"url": server.url, "timeout_s": 0.3, "longest_retry_s": 0.1} | more
    file = replace(plant.file, redis=RedisSection.model_validate(said))
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        desk = plant.window = await open_window(file, stack)
        assert desk is not None
        following = asyncio.create_task(follow(plant, desk, stop))
        try:
            yield desk
        finally:
            stop.set()
            await following


async def until(plant: Plant, *, up: bool) -> None:
    """Wait for the event that the window came or went."""
    assert plant.window is not None
    with plant.events.listen() as queue:
        async with asyncio.timeout(PATIENCE_S):
            while plant.window.up is not up:
                await queue.get()


Play = Callable[[Plant, RedisServer, WindowDesk], Awaitable[None]]


def play(plant: Plant, program: Path, folder: Path, one: Play, *options: str) -> None:
    async def run() -> None:
        async with (
            RedisServer(program, folder, *options) as server,
            opened(plant, server) as desk,
        ):
            await one(plant, server, desk)

    asyncio.run(run())


def hash_of(server: RedisServer, name: str) -> dict[str, str]:
    with server.client() as client:
        found: dict[str, str] = client.hgetall(f"{PREFIX}:{name}")
        return found


def stream_of(server: RedisServer, name: str) -> list[dict[str, str]]:
    with server.client() as client:
        return [fields for _, fields in client.xrange(f"{PREFIX}:{name}:stream")]


def window_events(plant: Plant) -> list[tuple[bool, Severity]]:
    return [(e.data["up"], e.severity) for e in plant.events.recent() if e.kind == "window"]


# ---------------------------------------------------------------- the picture


def test_a_picture_holds_state_setpoints_and_plan_of_each_enterprise(plant: Plant) -> None:
    freeze_now(plant)
    command(plant, 7, 250.0)

    news, shown = picture(plant, None, RedisSection(url="redis://localhost").streams)

    assert news.whole
    owners = {r.enterprise_id for r in plant.file.park.resources}
    for owner in owners:
        ours = {r.resource_id for r in plant.file.park.resources if r.enterprise_id == owner}
        assert news.hashes[f"{owner}:state"].keys() == ours
        assert news.hashes[f"{owner}:plan"].keys() == ours
    store = json.loads(news.hashes["steel:state"][STORE])
    assert (store["known"], store["soc"], store["power_kw"]) == (True, 0.5, 0.0)
    assert json.loads(news.hashes["steel:setpoints"][STORE])["power_kw"] == 250.0
    row = json.loads(news.hashes["steel:plan"][STORE])
    assert (row["step_s"], len(row["power_kw"])) == (900, 148)
    about = news.hashes["about"]
    assert (about["format"], about["plan_id"], about["owed_kw"]) == (b"1", b"plan-1", b"")
    assert shown.seqs == {STORE: 7}


def test_the_next_picture_holds_what_has_changed(plant: Plant) -> None:
    lengths = RedisSection(url="redis://localhost").streams
    freeze_now(plant)
    command(plant, 7, 250.0)
    _, shown = picture(plant, None, lengths)
    freeze_now(plant)

    news, shown = picture(plant, shown, lengths)

    assert not news.whole
    assert news.entries == []
    assert {name for name, fields in news.hashes.items() if fields} == {"about"}
    assert "steel:setpoints" in news.hashes  # lives on
    command(plant, 8, 100.0)
    news, _ = picture(plant, shown, lengths)
    assert [entry.stream for entry in news.entries] == ["steel:setpoints:stream"]


def test_who_becomes_unknown_is_told_once_and_since_when(empty_plant: Plant) -> None:
    lengths = RedisSection(url="redis://localhost").streams
    freeze_now(empty_plant)
    news, shown = picture(empty_plant, None, lengths)
    entry = json.loads(news.hashes["steel:state"][STORE])
    assert entry == {"known": False, "at": "2025-12-02T10:00:00Z", "reason": "never heard"}
    freeze_now(empty_plant)
    assert picture(empty_plant, shown, lengths)[0].entries == []


# ---------------------------------------------------------------- life and death


def test_other_processes_see_the_plant(plant: Plant, redis_server: Path, tmp_path: Path) -> None:
    async def one(plant: Plant, server: RedisServer, desk: WindowDesk) -> None:
        command(plant, 7, 250.0)
        freeze_now(plant)
        await until(plant, up=True)
        assert json.loads(hash_of(server, "steel:setpoints")[STORE])["seq"] == 7
        assert hash_of(server, "plan")["plan_id"] == "plan-1"
        [line] = stream_of(server, "steel:setpoints")
        assert json.loads(line["entries"])[STORE]["power_kw"] == 250.0
        assert window_events(plant) == [(True, Severity.INFO)]
        assert plant.metrics.registry.get_sample_value("vpp_window_up") == 1

    play(plant, redis_server, tmp_path, one)


@pytest.mark.parametrize("fate", ["killed", "frozen", "full", "read-only"])
def test_a_window_that_fails_is_told_once_and_refills_itself(
    plant: Plant, redis_server: Path, tmp_path: Path, fate: str
) -> None:
    """Row F9, target DK2: recovery within 30 s; here the bound is the retry of a tenth of a second."""

    async def one(plant: Plant, server: RedisServer, desk: WindowDesk) -> None:
        freeze_now(plant)
        await until(plant, up=True)
        with server.client() as client:
            spoil(server, client, fate)
            for seq in range(1, 20):  # meanwhile the plant goes on, and nothing piles up
                command(plant, seq, float(seq))
                freeze_now(plant)
                await asyncio.sleep(0)
            await until(plant, up=False)
            assert desk.shown is None
            await mend(server, client, fate)
        began = asyncio.get_running_loop().time()
        await until(plant, up=True)
        assert asyncio.get_running_loop().time() - began <= 30
        assert json.loads(hash_of(server, "steel:setpoints")[STORE])["seq"] == 19
        assert len(hash_of(server, "steel:state")) > 1
        severities = [(True, Severity.INFO), (False, Severity.WARNING), (True, Severity.INFO)]
        assert window_events(plant) == severities

    play(plant, redis_server, tmp_path, one)


def test_the_example_on_the_page_reads_what_is_shown(
    plant: Plant, redis_server: Path, tmp_path: Path
) -> None:
    spec = importlib.util.spec_from_file_location("example_window", DOCS / "example_window.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    async def one(plant: Plant, server: RedisServer, desk: WindowDesk) -> None:
        freeze_now(plant)
        await until(plant, up=True)
        reading = asyncio.create_task(
            asyncio.to_thread(example.look, server.url, PREFIX, "steel", 1)
        )
        for seq in range(7, 1000):  # it reads from when it began, which is not known here
            command(plant, seq, 250.0)
            freeze_now(plant)
            if (await asyncio.wait({reading}, timeout=0.02))[0]:
                break
        lines = reading.result()
        assert lines[0] == "demo at 2025-12-02T10:00:00Z: normal"
        assert f"{STORE}: 0.0 kW" in lines
        assert lines[-1] == f"{STORE}: 250.0 kW until 2025-12-02T10:02:30Z"

    play(plant, redis_server, tmp_path, one)


def spoil(server: RedisServer, client: Any, fate: str) -> None:
    match fate:
        case "killed":
            server.kill()
        case "frozen":
            server.freeze()
        case "full":
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")
        case "read-only":
            client.replicaof("127.0.0.1", "1")


async def mend(server: RedisServer, client: Any, fate: str) -> None:
    match fate:
        case "killed":
            await server.start()
        case "frozen":
            server.thaw()
        case "full":
            client.config_set("maxmemory", "0")
        case "read-only":
            client.replicaof("NO", "ONE")


def test_a_flushed_window_is_whole_again_after_the_next_cycle(
    plant: Plant, redis_server: Path, tmp_path: Path
) -> None:
    async def one(plant: Plant, server: RedisServer, desk: WindowDesk) -> None:
        freeze_now(plant)
        await until(plant, up=True)
        before = hash_of(server, "steel:state")
        with server.client() as client:
            client.flushall()
        freeze_now(plant)
        refilled = plant.metrics.registry.get_sample_value
        async with asyncio.timeout(PATIENCE_S):
            while refilled("vpp_window_pictures_total") != 2:  # noqa: ASYNC110  a counter has no event
                await asyncio.sleep(0.001)
        assert refilled("vpp_window_refills_total") == 1
        assert hash_of(server, "steel:state") == before
        assert window_events(plant) == [(True, Severity.INFO)]

    play(plant, redis_server, tmp_path, one)


def test_a_wrong_password_shows_in_health_without_it_and_its_correction_is_read(
    plant: Plant, redis_server: Path, tmp_path: Path, serving: Any
) -> None:
    async def run() -> None:
        secret = tmp_path / "password"
        secret.write_text("the-wrong-one\n", encoding="ascii")
        async with (
            RedisServer(redis_server, tmp_path, "--requirepass", "the-right-one") as server,
            opened(plant, server, password={"file": str(secret)}) as desk,
            serving(plant) as client,
        ):
            freeze_now(plant)
            async with asyncio.timeout(PATIENCE_S):
                while desk.since is None:  # noqa: ASYNC110  the first try tells by its moment
                    await asyncio.sleep(0.001)
            health = await (await client.get("/healthz")).json()
            assert health["status"] == "ok"
            assert health["window"]["up"] is False
            assert "the-wrong-one" not in json.dumps(health)
            ready = await client.get("/readyz")
            assert "window" not in await ready.text()
            secret.write_text("the-right-one\n", encoding="ascii")
            await until(plant, up=True)
            health = await (await client.get("/healthz")).json()
            assert health["window"]["fault"] is None

    asyncio.run(run())


def test_a_server_that_never_was_there_costs_nothing_but_the_window(plant: Plant) -> None:
    async def run() -> None:
        nowhere = RedisServer(Path("/nowhere"), Path("/nowhere"))
        async with opened(plant, nowhere) as desk:
            freeze_now(plant)
            async with asyncio.timeout(PATIENCE_S):
                while desk.since is None:  # noqa: ASYNC110  as above
                    await asyncio.sleep(0.001)
            assert not desk.up
            assert desk.fault is not None
            assert "Connect" in desk.fault or "refused" in desk.fault

    asyncio.run(run())


def test_tries_are_never_further_apart_than_the_park_file_says(plant: Plant) -> None:
    section = RedisSection(url="redis://localhost", longest_retry_s=10.0)
    assert [retry_s(section, n) for n in (1, 2, 3, 4, 7, 1000)] == [0.2, 0.4, 0.8, 1.6, 10.0, 10.0]


# ---------------------------------------------------------------- the park file


def wrong(**said: object) -> Mapping[str, object]:
    return {"url": "rediss://redis.example:6379/0", **said}


@pytest.mark.parametrize(
    "said",
    [
        wrong(url="redis://redis.example"),
        wrong(url="redis://10.0.0.1:6379"),
        wrong(url="rediss://:secret@redis.example"),
        wrong(url="rediss://redis.example/first"),
        wrong(url="http://redis.example"),
        wrong(url="unix://socket"),
        wrong(url="redis://localhost:99999"),
        wrong(url="redis://localhost", certificate={"cert": "a", "key": "b"}),
        wrong(prefix="a b"),
        wrong(ttl_s=1),
        wrong(streams={"state": 0}),
        wrong(longest_retry_s=60),
        wrong(unknown=1),
        wrong(password="secret"),
    ],
)
def test_a_section_that_cannot_be_is_refused(said: Mapping[str, object]) -> None:
    with pytest.raises(ValueError):
        RedisSection.model_validate(said)


@pytest.mark.parametrize(
    ("url", "socket", "db"),
    [
        ("redis://localhost", None, 0),
        ("redis://127.0.0.1:7000/3", None, 3),
        ("redis://[::1]/1", None, 1),
        ("rediss://redis.example/2", None, 2),
        ("unix:///run/redis/redis.sock", "/run/redis/redis.sock", 0),
    ],
)
def test_a_url_says_where_the_window_is(url: str, socket: str | None, db: int) -> None:
    section = RedisSection(url=url)
    assert (section.unix_socket, section.db) == (socket, db)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("redis: {url: redis://localhost, password: {file: nowhere}}", "nowhere"),
        ("redis: {url: redis://localhost, password: the-secret}", "say where the value is kept"),
        (
            "redis: {url: 'rediss://r', certificate: {cert: no.pem, key: no.key}}",
            "no file 'no.pem'",
        ),
        ("redis: {url: redis://localhost, ttl_s: 100}", "ends before the second control cycle"),
        ("redis: {url: redis://elsewhere}", "without TLS"),
    ],
)
def test_a_park_file_is_told_what_is_wrong_with_its_window_and_no_secret(
    tmp_path: Path, section: str, told: str
) -> None:
    faults = faults_of(loading_in(tmp_path), tmp_path, f"{PARK}{section}\n")
    assert any(told in fault for fault in faults), faults
    assert not any("the-secret" in fault for fault in faults)


def test_a_park_file_without_the_section_has_no_window(tmp_path: Path) -> None:
    assert loading_in(tmp_path)().redis is None


def test_a_park_file_may_keep_its_password_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "redis.secret").write_text("word\n", encoding="ascii")
    file = loading_in(tmp_path)(
        f"{PARK}redis: {{url: redis://localhost/2, password: {{file: redis.secret}}}}\n"
    )
    assert file.redis is not None
    assert (file.redis.db, file.redis.ttl_s) == (2, 300)
