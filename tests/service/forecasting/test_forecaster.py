"""The forecaster always answers: whatever its processes do, within the limit, and goes on after."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import vpp
from tests.patience import PATIENCE_S
from vpp.model.calendar import Calendar
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.sense.cleaning import CleaningRules
from vpp.sense.series import SeriesStore
from vpp.service.forecasting.forecaster import Forecaster, ProcessForecaster
from vpp.service.forecasting.inline import InlineForecaster
from vpp.service.forecasting.jobs import Ill, Issued, IssueJob, TrainJob
from vpp.service.forecasting.past import seen
from vpp.service.forecasting.schema import ForecastsSection

ROOT = str(Path(vpp.__file__).parents[1])
NOW = datetime(2025, 12, 1, 12, tzinfo=UTC)
CALENDAR = Calendar(zone=ZoneInfo("Europe/Stockholm"))
HORIZON = Horizon(NOW, QUARTER, 96)


@pytest.fixture
def store() -> SeriesStore:
    """Three weeks of a load of 100 kW by day and 50 kW by night, with noise."""
    store = SeriesStore()
    steps = 21 * 96
    by_day = np.tile(np.repeat([-50.0, -100.0, -50.0], [24, 48, 24]), 21)
    noise = np.random.default_rng(1).normal(0, 5, steps)
    for name in ("power.a", "power.b"):
        store.put_profile(
            name,
            unit="kW",
            profile=Profile(Horizon(NOW - 21 * timedelta(days=1), QUARTER, steps), by_day + noise),
            known_at="interval_end",
            source="test",
        )
    return store


def to_learn(store: SeriesStore, name: str = "power.a") -> TrainJob:
    return TrainJob(
        seen=seen(store, name, ForecastsSection(), CALENDAR, now=NOW, until=HORIZON.end),
        issued_at=NOW,
        candidates=("same-weekday", "mean-of-last", "seasonal-baseline"),
        horizon=timedelta(hours=24),
        rules=CleaningRules(),
    )


def to_issue(store: SeriesStore, *, scenarios: int = 0, update: bool = False) -> IssueJob:
    known = seen(store, "power.a", ForecastsSection(), CALENDAR, now=NOW, until=HORIZON.end)
    return IssueJob(
        issued_at=NOW,
        horizon=HORIZON,
        pasts=(known(NOW),),
        update=(known,) if update else (),
        rules={"power.a": CleaningRules()},
        others=(),
        drawn=frozenset({"power.a"}),
        scenarios=scenarios,
        seed=7,
    )


async def learn_and_issue(forecaster: Forecaster, store: SeriesStore) -> Issued:
    learnt = await forecaster.train(to_learn(store), hard_s=PATIENCE_S)
    assert not isinstance(learnt, Ill), learnt.reason
    await forecaster.rest()
    issued = await forecaster.issue(to_issue(store, scenarios=5, update=True), hard_s=PATIENCE_S)
    assert isinstance(issued, Issued)
    return issued


def test_processes_forecast_what_the_inline_forecaster_does(store: SeriesStore) -> None:
    async def both() -> tuple[Issued, Issued]:
        async with ProcessForecaster() as forecaster:
            there = await learn_and_issue(forecaster, store)
        return there, await learn_and_issue(InlineForecaster(), store)

    there, here = asyncio.run(both())

    ours, theirs = here.forecasts["power.a"], there.forecasts["power.a"]
    assert ours.quantiles is not None
    assert theirs.quantiles is not None
    assert ours.model == theirs.model == "mean-of-last/1"
    assert (ours.quantiles == theirs.quantiles).all()
    assert here.scenarios is not None
    assert there.scenarios is not None
    assert (here.scenarios.values["power.a"] == there.scenarios.values["power.a"]).all()
    assert (here.errors["power.a"].above == there.errors["power.a"].above)[
        ~np.isnan(here.errors["power.a"].above)
    ].all()


def test_the_choice_says_how_each_candidate_did(store: SeriesStore) -> None:
    learnt = asyncio.run(InlineForecaster().train(to_learn(store), hard_s=1))

    assert not isinstance(learnt, Ill)
    choice, errors = learnt
    assert choice.model == "mean-of-last/1"
    assert choice.scores["mean-of-last/1"].crps < choice.scores["same-weekday/1"].crps
    assert errors is not None
    assert np.nanmean(np.abs(errors.above)) == pytest.approx(5 * 0.8 * 1.12, rel=0.2)


def a_child(tmp_path: Path, *, first: str, learner: bool = False) -> tuple[str, ...]:
    """A command whose learner, or else issuer, does `first` when asked for the first time; well after."""
    marker, script = tmp_path / "was-asked", tmp_path / "child.py"
    script.write_text(
        f"import os, pathlib, sys, time; sys.path.insert(0, {ROOT!r})\n"
        "from vpp.service.forecasting import child, work\n"
        f"marker = pathlib.Path({str(marker)!r})\n"
        "def ill_once(well):\n"
        "    def asked(*args):\n"
        "        if not marker.exists():\n"
        "            marker.touch()\n"
        f"            {first}\n"
        "        return well(*args)\n"
        "    return asked\n"
        f"if {learner} and '--learn' in sys.argv:\n"
        "    work.train = ill_once(work.train)\n"
        f"if not {learner}:\n"
        "    work.Models.issue = ill_once(work.Models.issue)\n"
        "child.main()\n"
    )
    return (sys.executable, str(script))


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        pytest.param("time.sleep(3600)", "killed at the hard limit of 5 s", id="hangs"),
        pytest.param("os._exit(3)", "the forecasting process died with code 3", id="dies"),
        pytest.param(
            "bytearray(16 * 2**30)", "the forecasting process died with code 1", id="no memory"
        ),
        pytest.param("return 7", "answered nonsense: TypeError('int is no forecast')", id="lies"),
    ],
)
def test_an_ill_issuer_is_replaced_and_told_again_what_was_learnt(
    store: SeriesStore, tmp_path: Path, first: str, reason: str
) -> None:
    (tmp_path / "was-asked").touch()

    async def course() -> tuple[Issued | Ill, Issued | Ill]:
        async with ProcessForecaster(a_child(tmp_path, first=first)) as forecaster:
            await forecaster.train(to_learn(store), hard_s=PATIENCE_S)
            await forecaster.issue(to_issue(store), hard_s=PATIENCE_S)
            (tmp_path / "was-asked").unlink()
            hard_s = 5 if "hard limit" in reason else PATIENCE_S
            ill = await forecaster.issue(to_issue(store), hard_s=hard_s)
            return ill, await forecaster.issue(to_issue(store), hard_s=PATIENCE_S)

    ill, well = asyncio.run(course())

    assert isinstance(ill, Ill)
    assert reason in ill.reason
    assert isinstance(well, Issued)
    assert list(well.forecasts) == ["power.a"]


def test_a_learner_that_dies_costs_one_series(store: SeriesStore, tmp_path: Path) -> None:
    async def course() -> list[object]:
        async with ProcessForecaster(
            a_child(tmp_path, first="os._exit(3)", learner=True)
        ) as forecaster:
            return [
                await forecaster.train(to_learn(store, name), hard_s=PATIENCE_S)
                for name in ("power.a", "power.b")
            ]

    died, learnt = asyncio.run(course())

    assert died == Ill(reason="the learning process died with code 3")
    assert isinstance(learnt, tuple)


def test_forecasts_are_issued_while_another_series_is_learnt(
    store: SeriesStore, tmp_path: Path
) -> None:
    """The learner hangs; the issuer answers all the same."""

    async def course() -> Issued | Ill:
        command = a_child(tmp_path, first="time.sleep(3600)", learner=True)
        async with ProcessForecaster(command) as forecaster:
            (tmp_path / "was-asked").touch()
            await forecaster.train(to_learn(store), hard_s=PATIENCE_S)
            await forecaster.issue(to_issue(store), hard_s=PATIENCE_S)
            (tmp_path / "was-asked").unlink()
            learning = asyncio.create_task(forecaster.train(to_learn(store), hard_s=PATIENCE_S))
            answer = await forecaster.issue(to_issue(store), hard_s=PATIENCE_S)
            assert not learning.done()
            learning.cancel()
            await asyncio.gather(learning, return_exceptions=True)
            return answer

    assert isinstance(asyncio.run(course()), Issued)


def test_the_issuer_loads_what_was_learnt_before_it_is_asked(store: SeriesStore) -> None:
    """An issuer that was not told could not answer a question that brings no model along."""

    async def course() -> Issued | Ill:
        async with ProcessForecaster() as forecaster:
            await forecaster.train(to_learn(store), hard_s=PATIENCE_S)
            await forecaster.rest()
            forecaster._learnt = {}
            return await forecaster.issue(to_issue(store), hard_s=PATIENCE_S)

    issued = asyncio.run(course())

    assert isinstance(issued, Issued)
    assert list(issued.forecasts) == ["power.a"]


def test_no_process_is_left_when_the_forecaster_closes(store: SeriesStore) -> None:
    async def pids() -> list[int | None]:
        async with ProcessForecaster() as forecaster:
            await forecaster.train(to_learn(store), hard_s=PATIENCE_S)
            await forecaster.issue(to_issue(store), hard_s=PATIENCE_S)
            return list(forecaster.pids)

    for pid in asyncio.run(pids()):
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


HEAVY = ("sklearn", "pvlib", "pandas", "holidays", "matplotlib", "pymodbus")
DAEMON = (
    "vpp.service.run",
    "vpp.cli",
    "vpp.service.cycle",
    "vpp.service.daemon",
    "vpp.service.demo.demo",
)


def test_the_daemon_loads_no_heavy_library() -> None:
    program = (
        f"import sys, {', '.join(DAEMON)}\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert done.stdout.strip() == "[]"
