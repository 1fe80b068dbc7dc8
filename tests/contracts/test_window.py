"""What a `StateWindow` promises, on a real Redis and a real Valkey: and what befalls it harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from adapters.certificate import ClientCertificate
from adapters.redis_state import RedisAccess, RedisWindow
from tests.adapters.papers import Papers
from tests.chaos.proxy import CLEAN, Proxy, Toxic
from tests.contracts.redisserver import RedisServer
from vpp.errors import UnavailableError
from vpp.ports import StreamEntry, WindowNews
from vpp.service.http import reserved_port

PREFIX = "vpp:v1:park"
SOON_S = 0.3
"""Time limit of a picture where a test waits for it to pass."""


def news(
    hashes: Mapping[str, Mapping[str, bytes]], *, whole: bool = False, lines: int = 0
) -> WindowNews:
    entries = [
        StreamEntry(stream="steel:state:stream", fields={"at": b"%d" % n}, keep=3)
        for n in range(lines)
    ]
    return WindowNews(whole=whole, hashes=hashes, entries=entries)


BATTERY = {"steel:state": {"battery": b"1"}}
PV = {"steel:state": {"pv": b"2"}}
ALIVE: dict[str, dict[str, bytes]] = {"steel:state": {}}

Play = Callable[[RedisServer, RedisWindow], Awaitable[None]]


def play(program: Path, folder: Path, one: Play) -> None:
    async def run() -> None:
        async with (
            RedisServer(program, folder) as server,
            window(server) as shown,
        ):
            await one(server, shown)

    asyncio.run(run())


def window(
    server: RedisServer,
    *,
    port: int = 0,
    password: Callable[[], str | None] = lambda: None,
    timeout_s: float = 5.0,
) -> RedisWindow:
    return RedisWindow(
        RedisAccess(
            prefix=PREFIX,
            ttl_s=100,
            port=port or server.port,
            password=password,
            timeout_s=timeout_s,
        )
    )


def field(server: RedisServer, name: str, **more: str) -> object:
    with server.client(**more) as client:
        return client.hget(f"{PREFIX}:steel:state", name)


def test_a_picture_is_laid_beside_the_last_or_in_its_place(
    redis_program: Path, tmp_path: Path
) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        assert await shown.show(news(BATTERY, whole=True))
        assert await shown.show(news(PV))
        with server.client() as client:
            assert client.hgetall(f"{PREFIX}:steel:state") == {"battery": "1", "pv": "2"}
            assert 0 < client.ttl(f"{PREFIX}:steel:state") <= 100
            assert 0 < client.ttl(f"{PREFIX}:about") <= 100
        assert await shown.show(news(PV, whole=True))
        with server.client() as client:
            assert client.hgetall(f"{PREFIX}:steel:state") == {"pv": "2"}

    play(redis_program, tmp_path, one)


def test_a_stream_keeps_its_newest_entries_and_does_not_expire(
    redis_program: Path, tmp_path: Path
) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        await shown.show(news(BATTERY, whole=True, lines=5))
        with server.client() as client:
            entries = client.xrange(f"{PREFIX}:steel:state:stream")
            assert [fields["at"] for _, fields in entries] == ["2", "3", "4"]
            assert client.ttl(f"{PREFIX}:steel:state:stream") == -1

    play(redis_program, tmp_path, one)


def test_each_picture_lets_every_hash_live_on(redis_program: Path, tmp_path: Path) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        await shown.show(news(BATTERY, whole=True))
        with server.client() as client:
            client.expire(f"{PREFIX}:steel:state", 7)
            assert await shown.show(news(ALIVE))
            assert client.ttl(f"{PREFIX}:steel:state") > 7

    play(redis_program, tmp_path, one)


@pytest.mark.parametrize("lost", ["flushed", "a hash evicted", "the mark taken back"])
def test_what_is_gone_is_noticed_at_the_next_picture(
    redis_program: Path, tmp_path: Path, lost: str
) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        await shown.show(news(BATTERY, whole=True))
        with server.client() as client:
            before = client.hget(f"{PREFIX}:about", "mark")
            await shown.show(news(ALIVE))
            if lost == "flushed":
                client.flushall()
            elif lost == "a hash evicted":
                client.delete(f"{PREFIX}:steel:state")
            else:  # a replica that was behind has taken over
                client.hset(f"{PREFIX}:about", "mark", str(before))
        assert not await shown.show(news(ALIVE))
        assert await shown.show(news(BATTERY, whole=True))
        assert await shown.show(news(ALIVE))
        assert field(server, "battery") == "1"

    play(redis_program, tmp_path, one)


def test_a_server_that_was_killed_is_filled_again(redis_program: Path, tmp_path: Path) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        await shown.show(news(BATTERY, whole=True))
        server.kill()
        with pytest.raises(UnavailableError):
            await shown.show(news(ALIVE))
        with pytest.raises(UnavailableError):
            await shown.show(news(ALIVE))
        await server.start()
        assert not await shown.show(news(ALIVE))
        assert await shown.show(news(BATTERY, whole=True))
        assert field(server, "battery") == "1"

    play(redis_program, tmp_path, one)


def test_a_frozen_server_costs_one_time_limit_and_its_late_answer_is_nobodys(
    redis_program: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        async with RedisServer(redis_program, tmp_path) as server:
            async with window(server, timeout_s=SOON_S) as shown:
                await shown.show(news(BATTERY, whole=True))
                server.freeze()
                loop = asyncio.get_running_loop()
                began = loop.time()
                for _ in range(2):  # on the old connection, and on one that is never taken up
                    with pytest.raises(UnavailableError, match="no answer"):
                        await shown.show(news(PV))
                assert loop.time() - began < 2 * SOON_S + 2
                server.thaw()
            async with window(server) as again:
                assert await again.show(news(BATTERY, whole=True))
                assert await again.show(news(ALIVE))

    asyncio.run(run())


def test_a_full_server_refuses_and_takes_again(redis_program: Path, tmp_path: Path) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        await shown.show(news(BATTERY, whole=True))
        with server.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")
            with pytest.raises(UnavailableError, match="memory"):
                await shown.show(news(PV))
            assert client.hgetall(f"{PREFIX}:steel:state") == {"battery": "1"}
            client.config_set("maxmemory", "0")
        assert await shown.show(news(PV))
        assert field(server, "pv") == "2"

    play(redis_program, tmp_path, one)


def test_a_wrong_password_is_told_without_it_and_a_new_one_is_read(
    redis_program: Path, tmp_path: Path
) -> None:
    said = "wrong-one"

    async def run() -> None:
        nonlocal said
        async with (
            RedisServer(redis_program, tmp_path, "--requirepass", "right-one") as server,
            window(server, password=lambda: said) as shown,
        ):
            with pytest.raises(UnavailableError) as told:
                await shown.show(news(BATTERY, whole=True))
            assert "wrong-one" not in str(told.value)
            said = "right-one"
            assert await shown.show(news(BATTERY, whole=True))
            assert field(server, "battery", password="right-one") == "1"

    asyncio.run(run())


def test_a_read_only_replica_is_told_and_its_promotion_is_filled(
    redis_program: Path, tmp_path: Path
) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        await shown.show(news(BATTERY, whole=True))
        with server.client() as client:
            client.replicaof("127.0.0.1", "1")  # of nobody who answers
            with pytest.raises(UnavailableError, match=r"(?i)read.?only"):
                await shown.show(news(PV))
            client.replicaof("NO", "ONE")
        assert await shown.show(news(BATTERY, whole=True))
        assert field(server, "battery") == "1"

    play(redis_program, tmp_path, one)


def test_a_second_writer_is_told(redis_program: Path, tmp_path: Path) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        await shown.show(news(BATTERY, whole=True))
        async with window(server) as other:
            assert await other.show(news(PV, whole=True))  # as after a restart of ours
            for whole in (False, True, True):
                with pytest.raises(UnavailableError, match="another service"):
                    await shown.show(news(BATTERY, whole=whole))
                with suppress(UnavailableError):
                    await other.show(news(PV, whole=True))
        with pytest.raises(UnavailableError, match="another service"):
            await shown.show(news(BATTERY, whole=True))
        assert await shown.show(news(BATTERY, whole=True))  # the other one is gone

    play(redis_program, tmp_path, one)


def test_a_key_of_another_kind_is_told_and_taken_back(redis_program: Path, tmp_path: Path) -> None:
    async def one(server: RedisServer, shown: RedisWindow) -> None:
        await shown.show(news(BATTERY, whole=True))
        with server.client() as client:
            client.delete(f"{PREFIX}:steel:state")
            client.set(f"{PREFIX}:steel:state", "a text")
        with pytest.raises(UnavailableError, match="WRONGTYPE"):
            await shown.show(news(PV))
        assert await shown.show(news(BATTERY, whole=True))
        assert field(server, "battery") == "1"

    play(redis_program, tmp_path, one)


def test_calls_that_are_cancelled_leave_no_answer_for_the_next(
    redis_program: Path, tmp_path: Path
) -> None:
    """Row F8: whatever moment a call ends at, the next one reads its own answers."""

    async def run() -> None:
        async with (
            RedisServer(redis_program, tmp_path) as server,
            Proxy(server.port) as proxy,
            window(server, port=proxy.port) as shown,
        ):
            for turn in range(60):
                proxy.down = Toxic(latency_s=0.001 * (turn % 4))
                name = f"battery-{turn}"
                call = asyncio.create_task(
                    shown.show(news({"steel:state": {name: b"x"}}, whole=True))
                )
                for _ in range(turn):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
                if turn % 10 == 9:
                    proxy.down = CLEAN
                    assert await shown.show(news(BATTERY, whole=True))
                    assert await shown.show(news(ALIVE))
                    assert field(server, "battery") == "1"

    asyncio.run(run())


def test_whatever_comes_back_from_the_wire_is_one_kind_of_error(
    redis_program: Path, tmp_path: Path
) -> None:
    """Row B10, for the window: damaged bytes both ways, cuts and resets; then all is well again."""

    async def run() -> None:
        async with RedisServer(redis_program, tmp_path) as server:
            failed = 0
            for seed in range(25):
                async with Proxy(server.port, seed=seed) as proxy:
                    proxy.down = Toxic(corrupt_share=0.05, reset_after_bytes=200 + seed)
                    proxy.up = Toxic(corrupt_share=0.002, slice_bytes=50)
                    async with window(server, port=proxy.port, timeout_s=0.05) as shown:
                        for _ in range(3):
                            try:
                                await shown.show(news(BATTERY, whole=True, lines=2))
                            except UnavailableError:
                                failed += 1
            assert failed > 25
            with server.client() as client:
                client.flushall()
            async with window(server) as shown:
                assert await shown.show(news(BATTERY, whole=True))

    asyncio.run(run())


def test_over_tls_both_sides_show_a_certificate_of_an_authority_that_is_named(
    redis_server: Path, require_program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    papers = Papers(tmp_path, require_program("openssl", "apt-get install openssl"))
    papers.authority()
    papers.make("server", 2)
    papers.make("client", 2)
    (tmp_path / "elsewhere").mkdir()
    stranger = Papers(tmp_path / "elsewhere", papers.openssl)
    stranger.authority()
    stranger.make("client", 2)

    def shown_by(port: int, made: Papers) -> RedisWindow:
        files = ClientCertificate(
            cert=made.folder / "client.pem",
            key=made.folder / "client.key",
            ca=made.folder / "ca.pem",
        )
        access = RedisAccess(prefix=PREFIX, ttl_s=100, port=port, tls=True, certificate=files)
        return RedisWindow(access)

    async def run() -> None:
        with reserved_port() as port:
            options = ["--tls-port", str(port), "--tls-auth-clients", "yes"]
            for option, name in (
                ("cert", "server.pem"),
                ("key", "server.key"),
                ("ca-cert", "ca.pem"),
            ):
                options += [f"--tls-{option}-file", str(tmp_path / name)]
            async with RedisServer(redis_server, tmp_path, *options) as server:
                async with shown_by(port, papers) as shown:
                    assert await shown.show(news(BATTERY, whole=True))
                    assert field(server, "battery") == "1"
                async with shown_by(port, stranger) as other:
                    with pytest.raises(UnavailableError, match=r"(?i)certificate"):
                        await other.show(news(PV))
                async with window(server, port=port) as plain:
                    with pytest.raises(UnavailableError):
                        await plain.show(news(PV))

    asyncio.run(run())
