"""A resource without history against sums of its neighbours done by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from vpp.errors import PlanError
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.sense.forecast.borrowed import borrowed, pooled

NOON = datetime(2025, 6, 23, 12, tzinfo=UTC)
TWO_HOURS = Horizon(NOON, timedelta(hours=1), 2)


def a_forecast(series_id: str, *values_kw: float, horizon: Horizon = TWO_HOURS) -> Forecast:
    return Forecast(
        series_id=series_id,
        unit="kW",
        issued_at=NOON,
        model="mean-of-last/1",
        expected=Profile(horizon, np.array(values_kw)),
    )


def test_the_neighbours_are_added_up_and_scaled_to_the_size() -> None:
    lenders = [a_forecast("power.a", -60, -20), a_forecast("power.b", -20, -20)]

    ours = borrowed("power.new", lenders, size_kw=50, lenders_size_kw=200)

    assert ours.expected.values == pytest.approx([-20, -10])
    assert ours.model == "borrowed/1"
    assert (ours.series_id, ours.unit, ours.issued_at) == ("power.new", "kW", NOON)


def test_lenders_in_one_pool_lend_what_each_of_them_would() -> None:
    lenders = [a_forecast("power.a", -60, -20), a_forecast("power.b", -20, -20)]

    pool = pooled(lenders)

    assert len(pool) == 1
    one, each = (
        borrowed("power.new", of, size_kw=50, lenders_size_kw=200) for of in (pool, lenders)
    )
    assert one.expected.values == pytest.approx([-20, -10])
    assert one.quantiles == pytest.approx(each.quantiles)


def test_lenders_of_other_hours_make_no_pool_and_are_told_apart_as_before() -> None:
    later = Horizon(NOON + timedelta(hours=1), timedelta(hours=1), 2)
    lenders = [a_forecast("power.a", -60, -20), a_forecast("power.b", -20, -20, horizon=later)]

    assert pooled(lenders) is lenders
    with pytest.raises(PlanError, match="2 others"):
        borrowed("power.new", pooled(lenders), size_kw=50, lenders_size_kw=200)


def test_the_spread_is_as_wide_as_the_peak_and_a_load_never_feeds() -> None:
    ours = borrowed("power.new", [a_forecast("power.a", -80, -40)], size_kw=50, lenders_size_kw=200)

    assert ours.quantiles is not None
    fan = dict(zip(LEVELS, ours.quantiles.round(9).tolist(), strict=True))
    assert fan[0.05] == [-40, -30]
    assert fan[0.5] == [-20, -10]
    assert fan[0.95] == [0, 0]


def test_no_level_lies_beyond_the_size() -> None:
    ours = borrowed(
        "power.new", [a_forecast("power.a", -180, -90)], size_kw=50, lenders_size_kw=200
    )

    assert ours.quantiles is not None
    assert ours.quantiles.min() == -50


@pytest.mark.parametrize(
    ("lenders", "size_kw"),
    [
        pytest.param([], 50, id="nobody to borrow from"),
        pytest.param([a_forecast("power.a", -1, -1)], 0, id="no size to scale to"),
        pytest.param(
            [
                a_forecast("power.a", -1, -1),
                a_forecast("power.b", -1, horizon=Horizon(NOON, timedelta(hours=1), 1)),
            ],
            50,
            id="two horizons",
        ),
    ],
)
def test_without_a_lender_or_a_size_there_is_no_guess(
    lenders: list[Forecast], size_kw: float
) -> None:
    with pytest.raises(PlanError, match=r"power\.new: has no history"):
        borrowed("power.new", lenders, size_kw=size_kw, lenders_size_kw=100)
