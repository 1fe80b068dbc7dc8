"""What a forecaster does with a question: errors are about what plans go by, one bad series costs itself alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import QUARTER
from vpp.sense.cleaning import CleaningRules, clean
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.conformal import NO_CALIBRATION
from vpp.sense.forecast.pasts import StoredPast
from vpp.sense.forecast.rolling import Track
from vpp.sense.forecast.trained import Trained
from vpp.sense.series import SeriesStore
from vpp.service.forecasting.jobs import IssueJob, TrainJob
from vpp.service.forecasting.past import CleanPast
from vpp.service.forecasting.work import Models, errors_of, train

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
CALENDAR = Calendar(zone=ZoneInfo("Europe/Stockholm"))
SELDOM = np.append(np.zeros(len(LEVELS) - 1), 100.0)[:, None]
"""None on the median; 7.5 of 100 on the mean: what lies nearest to the level 0.95."""


class Seldom:
    """A fitted model that says so of every step."""

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """Shape (levels, steps)."""
        return np.repeat(SELDOM, horizon.steps, axis=1)


def trained(series_id: str, *actual: float) -> Trained:
    steps = max(len(actual), 1)
    return Trained(
        series_id=series_id,
        unit="kW",
        model="seldom/1",
        trained_until=NOW,
        choice=cast(Any, None),
        fitted=Seldom(),
        track=Track(
            series_id=series_id,
            unit="kW",
            model="seldom/1",
            step=QUARTER,
            origins=(NOW - timedelta(hours=13),),
            quantiles=np.repeat(SELDOM, steps, axis=1)[None],
            actual=np.array([actual or [np.nan]], dtype=float),
            failed={},
        ),
        calibration=NO_CALIBRATION,
    )


def test_errors_are_measured_from_the_mean_that_plans_go_by() -> None:
    errors = errors_of(trained("power.a", 0.0, 100.0, np.nan), CALENDAR)

    assert errors.origins == (NOW - timedelta(hours=13),)
    assert errors.above[0] == pytest.approx([-7.5, 92.5, np.nan], nan_ok=True)


def spoilt(value: float) -> StoredPast:
    """Three weeks of one load of 50 kW that moves a little, but for an hour of `value` a week ago: a spike."""
    store = SeriesStore()
    span = Horizon(NOW - timedelta(days=21), QUARTER, 21 * 96)
    kw = np.full(span.steps, -50.0) + np.random.default_rng(1).normal(0, 5, span.steps)
    kw[14 * 96 : 14 * 96 + 4] = value
    store.put_profile(
        "power.a",
        unit="kW",
        profile=Profile(span, kw),
        known_at="interval_end",
        source="test",
    )
    return StoredPast(
        store=store,
        series_id="power.a",
        calendar=CALENDAR,
        step=QUARTER,
        history=timedelta(days=21),
        ahead=timedelta(0),
    )


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        pytest.param(CleaningRules(zero_is_missing=True), "4 steps taken out", id="taken out"),
        pytest.param(CleaningRules(), "4 steps kept", id="pointed out"),
        pytest.param(None, "", id="not looked at"),
    ],
)
def test_the_rules_of_a_job_say_what_is_a_defect(rules: CleaningRules | None, says: str) -> None:
    job = TrainJob(
        seen=spoilt(0.0),
        issued_at=NOW,
        candidates=("yesterday",),
        horizon=timedelta(hours=24),
        rules=rules,
    )

    choice, learnt = train(job)

    assert learnt is not None
    assert says in "".join(choice.defects)
    assert bool(choice.defects) == bool(says)


def test_a_gap_is_bridged_in_a_trial_only_once_it_had_closed() -> None:
    """Rising by 1 kW a step, two steps are missing: in the midst of them nobody knew where it would go on."""
    store, first = SeriesStore(), NOW - timedelta(hours=6)
    kw = np.arange(24.0)
    kw[[10, 11]] = np.nan
    store.put_profile(
        "power.a",
        unit="kW",
        profile=Profile(Horizon(first, QUARTER, 24), kw),
        known_at="interval_end",
        source="test",
    )
    seen = StoredPast(
        store=store,
        series_id="power.a",
        calendar=CALENDAR,
        step=QUARTER,
        history=timedelta(hours=6),
        ahead=timedelta(0),
    )
    rules = CleaningRules(bridge=timedelta(minutes=30))
    past = CleanPast(seen=seen, rules=rules, cleaned=clean(seen(NOW).values, rules))

    def known_kw(steps: int) -> list[float]:
        """The newest three values that were known after so many steps."""
        one = past(first + steps * QUARTER)
        return [float(v) for v in one.values.values[: one.values.horizon.index(one.issued_at)][-3:]]

    assert known_kw(13) == [10.0, 11.0, 12.0]
    assert known_kw(11) == pytest.approx([8.0, 9.0, np.nan], nan_ok=True)
    assert known_kw(12) == pytest.approx([9.0, np.nan, np.nan], nan_ok=True)


def test_what_is_issued_goes_by_the_same_rules_as_what_was_learnt() -> None:
    """A week ago it read 0 for an hour; the same weekday's forecast repeats that where spikes are kept."""
    known = spoilt(0.0)
    highest_kw = {}
    for name, rules in (
        ("kept", CleaningRules(keep_spikes=True)),
        ("missing", CleaningRules()),
    ):
        job = TrainJob(
            seen=known,
            issued_at=NOW,
            candidates=("same-weekday",),
            horizon=timedelta(hours=24),
            rules=rules,
        )
        learnt = train(job)[1]
        assert learnt is not None
        models = Models()
        models.take({"power.a": learnt})
        issued = models.issue(
            IssueJob(
                issued_at=NOW,
                horizon=Horizon(NOW, QUARTER, 96),
                pasts=(known(NOW),),
                update=(known,),
                rules={"power.a": rules},
                others=(),
                drawn=frozenset(),
                scenarios=0,
                seed=1,
            )
        )
        quantiles = issued.forecasts["power.a"].quantiles
        assert quantiles is not None
        highest_kw[name] = float(quantiles[LEVELS.index(0.5)].max())

    assert highest_kw["kept"] > -10
    assert highest_kw["missing"] < -30


def test_a_series_whose_calibration_fails_costs_the_others_nothing() -> None:
    """The store knows nothing of `arriving.b`: it has no forecast of its model, and `arriving.a` has."""
    store = SeriesStore()
    day = Horizon(NOW - timedelta(days=1), QUARTER, 96)
    store.put_profile(
        "arriving.a",
        unit="kW",
        profile=Profile(day, np.zeros(96)),
        known_at="interval_end",
        source="test",
    )
    known, unknown = (
        StoredPast(
            store=store,
            series_id=name,
            calendar=CALENDAR,
            step=QUARTER,
            history=timedelta(days=1),
            ahead=timedelta(0),
        )
        for name in ("arriving.a", "arriving.b")
    )
    models = Models()
    models.take({name: trained(name) for name in ("arriving.a", "arriving.b")})

    issued = models.issue(
        IssueJob(
            issued_at=NOW,
            horizon=Horizon(NOW, QUARTER, 4),
            pasts=(known(NOW), replace(known(NOW), series_id="arriving.b")),
            update=(known, unknown),
            rules={},
            others=(),
            drawn=frozenset(),
            scenarios=0,
            seed=1,
        )
    )

    assert list(issued.forecasts) == list(issued.errors) == ["arriving.a"]
    assert "arriving.b" in issued.failed["arriving.b"]
