"""Series that no plan asks for: what nobody moves behind a meter, the park's room to move, and what a file adds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ResourceId
from vpp.model.measurement import MeterReading
from vpp.model.time import QUARTER, Interval
from vpp.sense.means import Means
from vpp.sense.series import SeriesStore
from vpp.service import inputs
from vpp.service.forecasting.issuing import issue
from vpp.service.forecasting.learning import learn
from vpp.service.forecasting.watched import LEAST_HISTORY, measured_net, series_watched
from vpp.service.planning.flexibility import DOWN, UP
from vpp.service.plant import Closed, Plant

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
SPAN = Interval(NOW - QUARTER, NOW)


def a_mean(power_kw: float, available_kw: float | None = None) -> Means:
    return Means(power_kw=power_kw, from_register=True, coverage=1.0, available_kw=available_kw)


def read(plant: Plant, meter_id: str, *, import_wh: int) -> None:
    """The meter stood at 0 when the quarter-hour began, and at `import_wh` when it ended."""
    for at, wh in ((SPAN.start, 0), (SPAN.end, import_wh)):
        plant.meters.add(
            MeterReading(
                meter_id=ResourceId(meter_id),
                enterprise_id=plant.file.park.enterprises[0].enterprise_id,
                measured_at=at,
                received_at=at,
                seq=1,
                import_wh=wh,
                export_wh=0,
                power_kw=0.0,
            )
        )


def closed(**means: Means) -> Closed:
    named = {ResourceId(name.replace("_", "-")): mean for name, mean in means.items()}
    return Closed(interval=SPAN, means=named, turned_down=frozenset())


def test_the_net_load_is_the_meter_less_what_the_plan_moves(fed: Plant) -> None:
    """Metered 1000 kW of drawing: the battery draws 300 of it, so 700 kW come by themselves."""
    (point,) = (p for p in fed.file.park.connection_points if p.connection_point_id == "steel-melt")
    read(fed, point.meter_id, import_wh=250_000)

    found = measured_net(fed, closed(steel_battery=a_mean(-300.0)))

    assert found == {"net.steel-melt": pytest.approx(-700.0)}


def test_a_capped_roof_counts_with_what_the_sun_gave(fed: Plant) -> None:
    """Metered 100 kW of drawing while the roof fed 50 of 80 kW: uncapped it would have been 70."""
    (point,) = (
        p for p in fed.file.park.connection_points if p.connection_point_id == "metal-works"
    )
    read(fed, point.meter_id, import_wh=25_000)

    found = measured_net(fed, closed(metal_pv=a_mean(50.0, available_kw=80.0)))

    assert found == {"net.metal-works": pytest.approx(-70.0)}


def test_a_device_that_is_not_heard_leaves_its_point_out(fed: Plant) -> None:
    (point,) = (p for p in fed.file.park.connection_points if p.connection_point_id == "steel-melt")
    read(fed, point.meter_id, import_wh=250_000)

    assert measured_net(fed, closed()) == {}


# ---------------------------------------------------------------- forecast like others


def history(plant: Plant, name: str, *, days: int) -> None:
    steps = days * 96
    plant.series.put_profile(
        name,
        unit="kW",
        profile=Profile(
            Horizon(NOW - days * timedelta(days=1), QUARTER, steps), np.full(steps, 500.0)
        ),
        known_at="interval_end",
        source="test",
    )


def models(plant: Plant) -> dict[str, str]:
    horizon = inputs.horizon_of(plant, NOW)
    found = asyncio.run(issue(plant, inputs.series_needed(plant), horizon, NOW))
    return {name: forecast.model for name, forecast in found.items()}


def test_a_watched_series_is_forecast_as_soon_as_it_has_history_and_learnt_later(
    fed: Plant,
) -> None:
    history(fed, UP, days=22)
    history(fed, DOWN, days=27)
    fed.series.put_profile(
        "net.steel-melt",
        unit="kW",
        profile=Profile(Horizon(NOW - QUARTER, QUARTER, 1), np.array([-700.0])),
        known_at=NOW,
        source="test",
    )
    assert series_watched(fed) == ["net.steel-melt", UP, DOWN]

    asyncio.run(learn(fed, NOW))
    found = models(fed)

    assert timedelta(days=22) > LEAST_HISTORY
    assert found[UP] == "same-weekday/1"
    assert found[DOWN] == "same-weekday/1"
    assert "net.steel-melt" not in found  # a quarter-hour of it is known: nothing to go by yet
    assert UP not in (fed.desk.scenarios.values if fed.desk.scenarios else {})


def test_a_new_watched_series_is_not_told_of_as_a_failure(
    fed: Plant, told: Callable[[Plant, str], list[str]]
) -> None:
    history(fed, UP, days=3)

    asyncio.run(learn(fed, NOW))

    assert models(fed)[UP] == "seasonal-baseline/1"
    assert told(fed, "forecasting") == []


def test_the_park_file_adds_series_that_no_plan_needs(fed: Plant) -> None:
    settings = fed.file.forecasts.model_copy(update={"also": ["carbon.grid", "price.imbalance"]})
    fed.file = replace(fed.file, forecasts=settings)
    history(fed, "carbon.grid", days=14)

    assert models(fed)["carbon.grid"] == "seasonal-baseline/1"


# ---------------------------------------------------------------- no history at all


def without(plant: Plant, *names: str) -> None:
    """Forget all values of these series."""
    store = SeriesStore()
    store._series = {n: s for n, s in plant.series._series.items() if n not in names}
    plant.series = store


def test_a_load_without_history_borrows_the_course_of_its_enterprise_and_says_so(
    fed: Plant, told: Callable[[Plant, str], list[str]]
) -> None:
    """A second, equal load of the office: it is expected to draw what the first one is."""
    base = fed.file.park.resource_by_id[ResourceId("office-base")]
    newcomer = replace(base, resource_id=ResourceId("office-new"))
    park = replace(fed.file.park, resources=(*fed.file.park.resources, newcomer))
    fed.file = replace(fed.file, park=park)
    horizon = inputs.horizon_of(fed, NOW)

    for _ in range(2):
        found = asyncio.run(issue(fed, inputs.series_needed(fed), horizon, NOW))

    lent, own = found["power.office-new"], found["power.office-base"]
    assert lent.model == "borrowed/1"
    assert (lent.expected.values == own.expected.values).all()
    assert lent.quantiles is not None
    assert own.quantiles is not None
    assert (lent.quantiles[-1] - lent.quantiles[0]).mean() > (
        own.quantiles[-1] - own.quantiles[0]
    ).mean()
    assert [text for text in told(fed, "forecasting") if "office-new" in text] == [
        "power.office-new has no history of its own, its enterprise's other resources lend it theirs"
    ]


def test_where_nobody_can_lend_the_plan_is_told_which_series_lacks(fed: Plant) -> None:
    without(fed, "power.office-base")

    with pytest.raises(DataError, match=r"series power\.office-base: no such series") as refused:
        models(fed)
    assert "PUT /v1/series/power.office-base" in refused.value.fix


def test_all_series_that_a_plan_lacks_are_named_at_once(fed: Plant) -> None:
    price = inputs.reference_product(fed).price_series_id
    without(fed, "power.office-base", price)

    with pytest.raises(DataError, match=rf"no such series, nor is there enough of {price} -> PUT"):
        models(fed)
