"""What goes wrong while the park is alive: said aloud, survived, and over when it is over."""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiohttp
import aiomqtt
import msgspec

from vpp.act.ladder import SafeState
from vpp.model.ids import EnterpriseId
from vpp.model.settlement import LineKind
from vpp.model.time import QUARTER, isoformat
from vpp.service.kill import KillSwitch
from vpp.service.solving.executor import ProcessExecutor
from vpp.simulate.market import VenueTimes
from vpp.wire import TelemetryMessage, topic

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.scenarios.conftest import Eve, MakePark, Play, Until
    from vpp.service.demo.demo import Run
    from vpp.service.plant import Plant

JSON = dict[str, Any]


async def ask(run: Run, path: str) -> tuple[int, JSON]:
    async with aiohttp.ClientSession() as session, session.get(run.address + path) as answer:
        return answer.status, await answer.json(content_type=None)


async def order(run: Run, killed: bool, by: str = "Li") -> JSON:
    body = {"killed": killed, "reason": "a drill", "by": by}
    async with (
        aiohttp.ClientSession() as session,
        session.post(run.address + "/v1/kill", json=body) as answer,
    ):
        assert answer.status == 200
        view: JSON = await answer.json()
        return view


async def metrics(run: Run) -> str:
    async with aiohttp.ClientSession() as session, session.get(run.address + "/metrics") as answer:
        return await answer.text()


def test_a_solver_that_crashes_is_held_over_then_released_and_recovered_from(
    small_park: MakePark, play: Play, eve: Eve
) -> None:
    file = small_park()
    seen: dict[str, tuple[int, JSON, str]] = {}

    async def operator(run: Run, until: Until) -> None:
        async def look(name: str, hour: int, minute: int) -> None:
            await until(eve(file, hour, minute))
            seen[name] = (*await ask(run, "/readyz"), await metrics(run))

        plant, good = run.plant, run.plant.executor
        await look("before", 11, 33)
        crash = (sys.executable, "-c", "raise SystemExit(3)")
        async with ProcessExecutor(crash) as broken:
            plant.executor = broken
            await look("held", 11, 51)
            await look("released", 12, 51)
            plant.executor = good
        await look("recovered", 13, 6)

    played = play(file, operator=operator, leave=True)

    assert [seen[name][0] for name in seen] == [200, 503, 503, 200]
    assert "hold" in _reasons(seen["held"][1])["safe_state"]
    assert "died with code 3" in _reasons(seen["held"][1])["safe_state"]
    assert "release" in _reasons(seen["released"][1])["safe_state"]
    for name, state in (("held", "hold"), ("released", "release"), ("recovered", "normal")):
        assert f'vpp_safe_state{{state="{state}"}} 1.0' in _without_park(seen[name][2])
    states = [event.data["state"] for event in played.events("safe_state")]
    assert states == ["normal", "hold", "release", "normal"]
    assert len(played.events("plan_failed")) == 5
    assert played.plant.safe_state is SafeState.NORMAL


def _reasons(problem: JSON) -> dict[str, str]:
    return {fault["path"]: fault["what"] for fault in problem["errors"]}


def _without_park(text: str) -> str:
    return text.replace('park="small",', "").replace(',park="small"', "")


def test_a_missing_imbalance_price_is_carried_on_provisionally_and_corrected_when_it_comes(
    small_park: MakePark, play: Play, eve: Eve
) -> None:
    """The venue publishes 16 minutes late: after our first settlement, before our second."""
    file = small_park(trades_from="2025-12-02T12:00:00+01:00")
    first_told: dict[Any, Any] = {}

    def progress(plant: Plant) -> None:
        for interval, accounted in plant.accounted.items():
            first_told.setdefault(interval, accounted)

    async def operator(run: Run, until: Until) -> None:
        await until(eve(file, 13, 44))

    played = play(
        file,
        operator=operator,
        leave=True,
        progress=progress,
        times=VenueTimes(imbalance_after=timedelta(minutes=16)),
    )

    settled = sorted(first_told)[:-1]  # the price of the newest one is still to come
    booked: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    for _, _, start, _, amount in played.report["bookings"]:
        booked[start] += Decimal(amount)
    true = {side: dict(played.report["prices"][side]) for side in ("short", "long")}
    moved = 0
    for interval in settled:
        before, after = first_told[interval], played.plant.accounted[interval]
        imbalance = [line for line in before.lines if line.kind is LineKind.IMBALANCE]
        assert all(line.provisional for line in imbalance)
        before_it = interval.start - QUARTER  # the newest price that is out
        carried = {Decimal(true[side][before_it]) for side in true}
        assert {line.price_per_mwh for line in imbalance} <= carried
        assert not any(line.provisional for line in after.lines)
        assert sum(line.amount for line in after.lines) == booked[interval.start]
        moved += sum(line.amount for line in before.lines) != booked[interval.start]
    assert moved >= 3, "what was carried on is seldom what is published"


def test_bad_telemetry_is_refused_by_reason_and_valid_telemetry_beside_it_is_not_lost(
    small_park: MakePark, play: Play, eve: Eve
) -> None:
    file = small_park()

    async def operator(run: Run, until: Until) -> None:
        now = eve(file, 11, 32)
        await until(now)
        with run.plant.events.listen() as happened:
            await send_bad_messages(run, now)
            while (await happened.get()).data.get("topic") != topic(
                "works", "x", "end", "telemetry"
            ):
                pass
        await until(eve(file, 11, 59))

    played = play(file, operator=operator, leave=True)

    refused = {reason.value: n for reason, n in played.plant.intake.refused.items()}
    assert refused == {
        "not_json": 2,
        "not_finite": 2,
        "too_large": 1,
        "from_future": 1,
        "unknown_device": 2,
        "foreign_device": 1,
        "implausible": 1,
    }
    told = [event.data["topic"] for event in played.events("telemetry_refused")]
    assert len(told) == len(set(told)) == 4, "each source is told of once"
    assert played.plant.intake.accepted == sum(played.report["published"].values())
    assert played.plant.intake.lost == 0
    assert played.plant.safe_state is SafeState.NORMAL


async def send_bad_messages(run: Run, now: datetime) -> None:
    good = TelemetryMessage(ts=isoformat(now), seq=10_000, power_kw=-600.0)
    body = msgspec.json.encode(good)
    load = topic("works", "works-point", "works-load", "telemetry")
    future = msgspec.json.encode(
        TelemetryMessage(ts=isoformat(now + timedelta(hours=1)), seq=10_000, power_kw=-600.0)
    )
    access = run.broker.gateway(EnterpriseId("works"))
    async with aiomqtt.Client(
        access.host, access.port, username=access.username, password=access.password
    ) as client:
        for where, payload in (
            (load, body.replace(b"-600.0", b"NaN")),
            (load, body.replace(b"-600.0", b"1e999")),
            (load, body.replace(b"-600.0", b"-1e9")),
            (load, b" " * 300_000),
            (load, b"hello"),
            (load, b"\xff\xfe"),
            (load, future),
            (topic("works", "works-point", "stranger", "telemetry"), body),
            (topic("store", "works-point", "works-load", "telemetry"), body),
            (topic("works", "x", "end", "telemetry"), body),
        ):
            await client.publish(where, payload, qos=1)


def test_the_kill_switch_stops_bids_and_set_points_survives_a_restart_and_lets_go(
    small_park: MakePark, play: Play, eve: Eve, tmp_path: Path
) -> None:
    file = small_park(trades_from="2025-12-02T12:00:00+01:00")
    counted: list[int] = []
    answers: list[Any] = []

    async def operator(run: Run, until: Until) -> None:
        await until(eve(file, 11, 51))
        answers.append(await order(run, True))
        counted.append(run.plant.setpoints_sent)
        answers.append(KillSwitch(tmp_path).reason)  # as a service that starts now would find it
        await until(eve(file, 12, 31))
        counted.append(run.plant.setpoints_sent)
        answers.append(await ask(run, "/readyz"))
        answers.append((await run.world.report())["ledger"].get("received", 0))
        await order(run, False)
        answers.append(await order(run, False, by="Wang"))
        await until(eve(file, 13, 1))
        counted.append(run.plant.setpoints_sent)

    played = play(file, operator=operator, leave=True, data=tmp_path)

    killed, latched, (ready, problem), received, released = answers
    assert (killed["killed"], released["killed"]) == (True, False)
    assert latched == "a drill"
    assert ready == 503
    assert "kill" in _reasons(problem)
    # Asked while killed: the day-ahead auction and the quarter-hours; none was answered with a bid.
    killed_at, released_at = eve(file, 11, 51), eve(file, 12, 31)
    bids = played.events("bid")
    assert not [event for event in bids if killed_at < event.at < released_at]
    assert [event for event in bids if event.at > released_at]
    assert played.report["ledger"]["no_bid"] >= 3
    assert received < played.report["ledger"]["received"]
    assert counted[0] == counted[1] < counted[2], "no set-point while killed"
    assert not KillSwitch(tmp_path).killed
