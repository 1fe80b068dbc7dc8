"""Ten thousand random requests across owners, to every door that others can call: nothing shows, nothing happens.

    three owners, each with a gateway, an OpenADR site, a charging station, an S2 device, a person
      ─▶ stolen, others', expired and mutated credentials and ids, from a seed ─▶ answers: whose words are in them?
                                                                                  park: what of whom has changed?

The service is the real one, with all its outer faces, on loopback. Whatever is told to one owner alone holds a secret
word of that owner: one in an answer to anybody else is a leak. A message inward about a device, or a change of an
owner's events, reports, subscriptions, questions, links or stations, by anybody but that owner is an act. Who has no
right to anything and is let in all the same counts as a leak too, whatever he sees. An oracle
is an object of another's that is answered otherwise than one that never was.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp
from yarl import URL

from benchmarks._crossattempts import Attempts
from benchmarks._crossloot import Attempt
from benchmarks._crossowners import Owner, settled
from benchmarks._crosspark import OWNERS, World, a_world
from benchmarks.harness import Benchmark, Figure

SEED = 8
REQUESTS = 10_000
SMALL = 300
ANSWER_S = 10.0


@dataclass
class Found:
    """What came of all attempts."""

    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """By door and status."""
    leaks: list[str] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    twins: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """What attempts of one twin were answered, without what differs each time."""
    silent: int = 0
    """Without an answer: the connection was closed."""

    @property
    def oracles(self) -> list[str]:
        return [twin for twin, answers in self.twins.items() if len(answers) > 1]


async def attempt_all(requests: int, seed: int) -> Found:
    """Make so many attempts, one after the other."""
    random, found = Random(seed), Found()
    with tempfile.TemporaryDirectory(prefix="vpp-crosssite-") as folder:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with (
            a_world(Path(folder), random) as world,
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http,
            settled(world, http) as owners,
        ):
            world.told.clear()
            attempts = Attempts(world, owners, random)
            for _ in range(requests):
                await make(world, owners, http, attempts.one(), found)
            await asyncio.sleep(0.1)
            found.acts += [f"{owner}: told at the end" for owner in world.told]
    return found


async def make(
    world: World,
    owners: Mapping[str, Owner],
    http: aiohttp.ClientSession,
    one: Attempt,
    found: Found,
) -> None:
    """Make one attempt, and note whatever shows or changes by it."""
    others = [owner for owner in OWNERS if owner != one.actor]
    before = {owner: world.fingerprint(owner) for owner in others}
    status, text = await _answer(world, owners, http, one)
    for _ in range(3):
        await asyncio.sleep(0)
    found.requests += 1
    found.answers[f"{one.door} {status}"] += 1
    found.silent += status == 0
    named = f"{one.how} ({one.method} {one.path[:80]} {status})"
    found.leaks += [
        f"{owner}: {named}"
        for owner, canary in world.canaries.items()
        if canary in text and owner not in one.sees
    ]
    if one.refused and status < 400:
        found.leaks.append(f"let in: {named}")
    found.acts += [f"{owner}: told by {named}" for owner in world.told if owner != one.actor]
    world.told.clear()
    found.acts += [
        f"{owner}: changed by {named}"
        for owner in others
        if world.fingerprint(owner) != before[owner]
    ]
    if one.twin is not None:
        shown = re.sub(r"[0-9a-f]{32}|http_devices-\w+|openadr_vtn-\w+", "…", text)
        found.twins[one.twin].add(f"{status} {shown}")


async def _answer(
    world: World, owners: Mapping[str, Owner], http: aiohttp.ClientSession, one: Attempt
) -> tuple[int, str]:
    """The status, and everything that came back; 0 where nothing did."""
    if one.method == "CALL":
        assert one.actor is not None
        said = [await owners[one.actor].station.call(*call) for call in one.calls]
        return 200, repr(said)
    url = URL(world.urls[one.door] + one.path, encoded=True)
    try:
        if one.method == "WS":
            return await _over_websocket(http, url, one)
        async with http.request(
            one.method, url, headers=one.headers, data=one.body, allow_redirects=False
        ) as answer:
            body = await answer.text(errors="replace")
            # When it was said, and a length that grows with a running number, differ each time.
            kept = {k: v for k, v in answer.headers.items() if k not in ("Date", "Content-Length")}
            return answer.status, body + repr(sorted(kept.items()))
    except (aiohttp.ClientError, TimeoutError) as error:
        return 0, repr(error)


async def _over_websocket(http: aiohttp.ClientSession, url: URL, one: Attempt) -> tuple[int, str]:
    try:
        async with http.ws_connect(url, headers=one.headers) as socket:
            heard = []
            for number, (action, payload) in enumerate(one.calls):
                await socket.send_str(json.dumps([2, f"m{number}", action, payload]))
                message = await socket.receive(timeout=ANSWER_S)
                heard.append(str(message.data))
            return 101, repr(heard)
    except aiohttp.WSServerHandshakeError as error:
        return error.status, repr((error.message, error.headers))


def measure(small: bool) -> Sequence[Figure]:
    found = asyncio.run(attempt_all(SMALL if small else REQUESTS, SEED))
    return (
        Figure(name="requests across owners", measured=found.requests),
        Figure(name="leaks", measured=len(found.leaks), at_most=0),
        Figure(name="acts", measured=len(found.acts), at_most=0),
        Figure(name="kinds of objects that show whether they exist", measured=len(found.oracles), at_most=0),
        Figure(name="without an answer", measured=found.silent),
    )  # fmt: skip


def tell() -> None:
    """Everything that was found, and how it was answered."""
    found = asyncio.run(attempt_all(REQUESTS, SEED))
    for name, count in sorted(found.answers.items()):
        print(f"{count:6}  {name}")
    for title in ("leaks", "acts", "oracles"):
        lines = list(dict.fromkeys(getattr(found, title)))
        print(f"{title}: {len(getattr(found, title))}")
        for line in lines[:20]:
            print(f"    {line}")


BENCHMARK = Benchmark(about="requests across owners, to every outer door", measure=measure)


if __name__ == "__main__":
    tell()
