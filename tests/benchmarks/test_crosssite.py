"""Requests across owners: a sample of the ten thousand, and that what would be a leak or an act is seen as one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import aiohttp

from benchmarks._crossloot import Attempt
from benchmarks._crossowners import Owner, settled
from benchmarks._crosspark import World, a_world, secret_of
from benchmarks.crosssite import SMALL, Found, attempt_all, make


def test_nothing_shows_and_nothing_happens_across_owners() -> None:
    found = asyncio.run(attempt_all(SMALL, seed=3))

    assert (found.leaks, found.acts, found.oracles) == ([], [], [])
    assert (found.requests, found.silent) == (SMALL, 0)
    doors = {name.split()[0] for name in found.answers}
    assert doors == {"http_devices", "openadr_vtn", "people", "ocpp", "s2"}


def mills_commands(world: World, owner: Owner) -> Attempt:
    return Attempt(
        door="http_devices",
        how="by right",
        refused=False,
        method="GET",
        path="/push/mill-gateway",
        headers={"Authorization": f"Bearer {secret_of('mill', 'push')}"},
    )


def mills_events(world: World, owner: Owner) -> Attempt:
    return Attempt(
        door="openadr_vtn",
        how="by right",
        refused=False,
        method="GET",
        path="/openadr3/3.1.0/events",
        headers=owner.headers,
    )


def mills_question(world: World, owner: Owner) -> Attempt:
    return Attempt(
        door="people", how="by right", refused=False, method="GET", path=f"/{world.open['mill']}"
    )


def mills_reading(world: World, owner: Owner) -> Attempt:
    return Attempt(
        door="http_devices",
        how="by right",
        refused=False,
        method="POST",
        path="/push/mill-gateway/devices/mill-bess",
        headers={"Authorization": f"Bearer {secret_of('mill', 'push')}"},
        body=b'{"time": "2026-01-01T00:00:00Z", "power_kw": 2}',
        sees=frozenset({"mill"}),
    )


def mills_answer(world: World, owner: Owner) -> Attempt:
    return Attempt(
        door="people",
        how="by right",
        refused=False,
        method="POST",
        path=f"/{world.open['mill']}",
        headers={"Content-Type": "application/json"},
        body=b'{"answer": "accept"}',
        sees=frozenset({"mill"}),
    )


def test_what_an_owner_sees_and_does_by_right_would_be_found_in_another(tmp_path: Path) -> None:
    async def check() -> list[tuple[int, int]]:
        async with (
            a_world(tmp_path, Random(1)) as world,
            aiohttp.ClientSession() as http,
            settled(world, http) as owners,
        ):
            world.told.clear()
            counts = []
            for attempt in (
                mills_commands,
                mills_events,
                mills_question,
                mills_reading,
                mills_answer,
            ):
                found = Found()
                await make(world, owners, http, attempt(world, owners["mill"]), found)
                counts.append((len(found.leaks), len(found.acts)))
            return counts

    assert asyncio.run(check()) == [(1, 0), (1, 0), (1, 0), (0, 1), (0, 1)]
