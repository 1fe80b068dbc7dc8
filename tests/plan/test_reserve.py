"""Reserve: what is kept, by whom, what it earns, and what it asks of stores; each sum by hand.

Where nothing else is said: an hour at a spot price of 0, a lossless battery of 100 kWh and 100 kW that
is half full, calls of an hour, 0.05 for a kW kept for an hour, 2.00 for one that lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ProductId, ResourceId
from vpp.model.schedule import Reserve
from vpp.plan.terms import Activity, ActivityPrice, ReserveHeadroom
from vpp.plan.view import PlanningView


def product(*who: str, steps: int = 1, up: bool = True, **said: Any) -> ReserveHeadroom:
    """Nothing owed, 1000 kW that may be sold."""
    usual: dict[str, Any] = {
        "product_id": ProductId("fcr"),
        "firm_kw": 0.0,
        "shortfall_per_kw_h": 2.0,
        "open_kw": 1000.0,
        "price_per_kw_h": 0.05,
        "activation_hours": 1.0,
        "called_per_kwh": None,
    }
    values = usual | said
    for name in ("firm_kw", "open_kw", "price_per_kw_h", "called_per_kwh"):
        if values[name] is not None:
            values[name] = np.broadcast_to(np.array(values[name], dtype=float), (steps,)).copy()
    return ReserveHeadroom(
        up=up, resource_ids=frozenset(ResourceId(name) for name in who), **values
    )


def half_full(
    lab: Any, price: Sequence[float] = (0.0,), *, soc: float = 0.5, **sizes: Any
) -> PlanningView:
    view: PlanningView = lab.view(
        lab.battery(**sizes), readings=[lab.reading("bat", soc=soc)], price=list(price)
    )
    return view


def planned(lab: Any, view: PlanningView, *terms: Any) -> Any:
    return lab.plan(view, lab.terms(view, *terms))


def kept(reserve: Reserve, name: str) -> list[float]:
    rounded: list[float] = np.round(reserve.kept_kw[ResourceId(name)], 4).tolist()
    return rounded


# ---------------------------------------------------------------- storages


@pytest.mark.parametrize(
    ("said", "sizes", "sold_kw"),
    [
        pytest.param({}, {}, 50, id="50 kWh last an hour at 50 kW"),
        pytest.param({"activation_hours": 2.0}, {}, 25, id="for two hours at 25"),
        pytest.param({"activation_hours": 0.25}, {"max_charge_kw": 0.0}, 100, id="its power"),
        pytest.param({"up": False}, {}, 50, id="downwards it has room for 50 kWh"),
        pytest.param({"up": False}, {"soc": 0.9}, 10, id="nearly full, room for 10"),
        pytest.param({}, {"min_soc": 0.2}, 30, id="what stays in the store is no reserve"),
        pytest.param(
            {},
            {"discharge_efficiency": 0.8, "max_charge_kw": 0.0},
            40,
            id="a kWh fed takes 1.25 out",
        ),
        pytest.param(
            {"up": False},
            {"charge_efficiency": 0.8, "max_discharge_kw": 0.0},
            62.5,
            id="a kWh drawn leaves 0.8 in",
        ),
        pytest.param({"open_kw": 20.0}, {}, 20, id="no more than may be sold"),
        pytest.param({"price_per_kw_h": -0.01}, {}, 0, id="nothing for less than nothing"),
    ],
)
def test_a_store_keeps_the_power_and_the_energy_of_a_call(
    lab: Any, said: dict[str, Any], sizes: dict[str, Any], sold_kw: float
) -> None:
    term = product("bat", **said)
    schedule = planned(lab, half_full(lab, **sizes), term)

    reserve = schedule.reserve[term.key]
    assert kept(reserve, "bat") == [sold_kw]
    assert reserve.sold_kw == pytest.approx([sold_kw], abs=1e-4)
    earned = sold_kw * term.price_per_kw_h[0]
    assert schedule.cost_by_cause["reserve"] == pytest.approx(-earned, abs=1e-6)


def test_charging_that_would_stop_is_reserve_beside_the_discharging_that_would_begin(
    lab: Any,
) -> None:
    """It charges 50 at 0.02, though nobody wants them, for 50 more at 0.05: 150 for a quarter."""
    schedule = planned(lab, half_full(lab, [0.02]), product("bat", activation_hours=0.25))

    reserve = schedule.reserve["fcr up"]
    assert lab.power(schedule, "bat").tolist() == [-50]
    assert kept(reserve, "bat") == [150]
    assert reserve.relief_kw["bat"] == pytest.approx([50])


def test_discharging_that_would_stop_is_reserve_downwards(lab: Any) -> None:
    """Selling all 50 at 0.02, it may stop (50) and charge (100); room for 37.5 kWh is there."""
    term = product("bat", up=False, activation_hours=0.25)
    schedule = planned(lab, half_full(lab, [0.02]), term)

    assert lab.power(schedule, "bat").tolist() == [50]
    assert kept(schedule.reserve["fcr down"], "bat") == [150]
    assert schedule.reserve["fcr down"].relief_kw["bat"] == pytest.approx([50])


def test_both_directions_are_kept_at_once(lab: Any) -> None:
    schedule = planned(lab, half_full(lab), product("bat"), product("bat", up=False))

    assert kept(schedule.reserve["fcr up"], "bat") == [50]
    assert kept(schedule.reserve["fcr down"], "bat") == [50]
    assert schedule.cost_by_cause["reserve"] == pytest.approx(-5.0)


def test_what_one_product_keeps_no_other_has(lab: Any) -> None:
    """The dearer one takes 30, all that may be sold of it; the other the 20 that are left."""
    dear = product("bat", product_id=ProductId("ffr"), price_per_kw_h=0.09, open_kw=30.0)
    schedule = planned(lab, half_full(lab), product("bat"), dear)

    assert kept(schedule.reserve["ffr up"], "bat") == [30]
    assert kept(schedule.reserve["fcr up"], "bat") == [20]


def test_calls_of_different_length_share_one_store(lab: Any) -> None:
    """A kW for two hours takes 2 kWh and earns 0.12, for one hour 1 kWh and 0.05: 0.06 a kWh wins."""
    long = product("bat", product_id=ProductId("mfrr"), activation_hours=2.0, price_per_kw_h=0.12)
    schedule = planned(lab, half_full(lab), product("bat"), long)

    assert kept(schedule.reserve["mfrr up"], "bat") == [25]
    assert kept(schedule.reserve["fcr up"], "bat") == [0]


def test_a_call_may_come_at_the_end_of_a_step(lab: Any) -> None:
    """60 kWh at 0.50 a kWh: only 20 are sold, for 40 must still be there as the hour ends."""
    term = product("bat", firm_kw=40.0, open_kw=0.0)
    schedule = planned(lab, half_full(lab, [0.5], capacity_kwh=60.0, soc=1.0), term)

    assert lab.power(schedule, "bat").tolist() == [20]
    assert kept(schedule.reserve["fcr up"], "bat") == [40]


def test_what_is_owed_and_cannot_be_kept_lacks_at_its_price(lab: Any) -> None:
    schedule = planned(lab, half_full(lab), product("bat", firm_kw=80.0, open_kw=0.0))

    assert schedule.reserve["fcr up"].lacking_kw == pytest.approx([30])
    assert schedule.cost_by_cause["reserve"] == pytest.approx(60.0)
    (owed,) = [p for p in schedule.limit_prices if p.limit == "reserve fcr up: firm_kw"]
    assert owed.per_unit == pytest.approx([-2.0])


def test_a_store_fills_in_time_for_what_it_owes_later(lab: Any) -> None:
    """80 kW are owed from 13:00 on: 30 kWh more are bought at noon, at 0.10 against 2.00 each."""
    term = product("bat", steps=2, firm_kw=[0.0, 80.0], open_kw=0.0)
    schedule = planned(lab, half_full(lab, [0.1, 0.1]), term)

    assert lab.power(schedule, "bat").tolist() == [-30, 0]
    assert schedule.reserve["fcr up"].lacking_kw == pytest.approx([0, 0], abs=1e-6)


def test_a_store_does_not_burn_energy_to_keep_more(lab: Any) -> None:
    """Half is lost each way: for two hours, 50 kWh keep 12.5 kW.

    Both ways at once it could pretend to more: of 10 kW that go in and out, the 10 that would stop
    count half a kWh each, and the 10 that would begin two.
    """
    view = lab.view(
        lab.battery(charge_efficiency=0.5, discharge_efficiency=0.5),
        readings=[lab.reading("bat", soc=0.5)],
        price=[0.1],
        point_limits=lab.limits(import_kw=0.0),
    )
    schedule = planned(lab, view, product("bat", activation_hours=2.0, price_per_kw_h=0.5))

    assert lab.power(schedule, "bat").tolist() == [0]
    assert kept(schedule.reserve["fcr up"], "bat") == [12.5]


@pytest.mark.parametrize(
    ("share", "kept_kw"),
    [
        pytest.param(0.1, 50 / 1.1, id="a tenth is called and gone as the hour ends"),
        pytest.param(0.0, 50, id="nothing is called"),
    ],
)
def test_energy_that_is_called_leaves_the_store(lab: Any, share: float, kept_kw: float) -> None:
    """What is kept and what was called of it are 50 kWh together."""
    term = product("bat", called_share=share, called_per_kwh=0.2)
    schedule = planned(lab, half_full(lab, max_charge_kw=0.0), term)

    assert kept(schedule.reserve["fcr up"], "bat") == pytest.approx([kept_kw], abs=1e-3)
    assert schedule.stored_kwh["bat"] == pytest.approx([50 - share * kept_kw], abs=1e-3)
    assert schedule.cost_by_cause["reserve energy"] == pytest.approx(-0.2 * share * kept_kw)
    assert lab.power(schedule, "bat").tolist() == [0]


def test_energy_that_is_called_downwards_fills_the_store_and_is_paid(lab: Any) -> None:
    """A quarter of 40 kW for an hour is 10 kWh drawn, of which 8 arrive in the store."""
    term = product(
        "bat", up=False, firm_kw=40.0, open_kw=0.0, called_share=0.25, called_per_kwh=0.03
    )
    view = half_full(lab, charge_efficiency=0.8, max_discharge_kw=0.0)
    schedule = planned(lab, view, term)

    assert schedule.stored_kwh["bat"] == pytest.approx([58])
    assert schedule.cost_by_cause["reserve energy"] == pytest.approx(0.3)


def test_calls_count_as_discharged(lab: Any) -> None:
    """A tenth of 50 kW for an hour is 5 kWh out of the store, at 0.10 each."""
    quota = ActivityPrice(
        activity=Activity.DISCHARGED,
        resource_id=ResourceId("bat"),
        price_per_unit=0.1,
        reason="warranty",
    )
    owed = product("bat", firm_kw=50.0, open_kw=0.0, called_share=0.1)
    schedule = planned(lab, half_full(lab, soc=1.0, max_charge_kw=0.0), owed, quota)

    assert schedule.cost_by_cause["quota"] == pytest.approx(0.5)


def test_nobody_keeps_more_than_is_sold_however_well_calls_pay(lab: Any) -> None:
    term = product("bat", open_kw=10.0, called_share=0.1, called_per_kwh=9.0)
    schedule = planned(lab, half_full(lab), term)

    assert kept(schedule.reserve["fcr up"], "bat") == [10]


def test_a_store_that_does_not_say_how_full_it_is_keeps_nothing(lab: Any) -> None:
    view = lab.view(lab.battery(), price=[0.0])
    schedule = planned(lab, view, product("bat", firm_kw=10.0))

    assert schedule.reserve["fcr up"].lacking_kw == pytest.approx([10])


# ---------------------------------------------------------------- blocks, and one that fails


@pytest.mark.parametrize(
    ("block_steps", "elapsed_steps", "sold_kw"),
    [
        pytest.param(1, 0, [10, 40, 30, 20], id="each step by itself"),
        pytest.param(2, 0, [10, 10, 20, 20], id="blocks of two: the smaller of both"),
        pytest.param(2, 1, [10, 30, 30, 20], id="the first block began a step before"),
        pytest.param(4, 0, [10, 10, 10, 10], id="one block"),
    ],
)
def test_a_block_has_one_quantity(
    lab: Any, block_steps: int, elapsed_steps: int, sold_kw: list[float]
) -> None:
    """Sun that may feed less: downwards all that it feeds is kept."""
    view = lab.view(lab.pv(), price=[0.1] * 4, available_kw={"pv": [10.0, 40.0, 30.0, 20.0]})
    term = product("pv", steps=4, up=False, block_steps=block_steps, elapsed_steps=elapsed_steps)
    schedule = planned(lab, view, term)

    assert schedule.reserve["fcr down"].sold_kw == pytest.approx(sold_kw, abs=1e-4)


@pytest.mark.parametrize(
    ("stored_kwh", "sold_kw"),
    [
        pytest.param([50, 30], 30, id="of two the smaller is what the larger leaves"),
        pytest.param([40, 40, 40], 80, id="of three alike two suffice"),
        pytest.param([90, 20, 20], 40, id="the largest keeps no more than the rest"),
        pytest.param([50], 0, id="one alone suffices for nothing"),
    ],
)
def test_the_rest_suffices_when_any_one_fails(
    lab: Any, stored_kwh: list[float], sold_kw: float
) -> None:
    names = [f"bat-{i}" for i in range(len(stored_kwh))]
    view = lab.view(
        *(lab.battery(name) for name in names),
        readings=[
            lab.reading(name, soc=kwh / 100) for name, kwh in zip(names, stored_kwh, strict=True)
        ],
        price=[0.0],
    )
    schedule = planned(lab, view, product(*names, survives_largest=True))

    assert schedule.reserve["fcr up"].sold_kw == pytest.approx([sold_kw], abs=1e-4)


# ---------------------------------------------------------------- generators and loads


@pytest.mark.parametrize(
    ("price_per_kw_h", "up_kw"),
    [
        pytest.param(0.04, 0, id="a kWh sold earns 0.05, more than a kW kept"),
        pytest.param(0.06, 100, id="at 0.06 it keeps all it has"),
    ],
)
def test_an_engine_keeps_upwards_what_it_does_not_feed(
    lab: Any, price_per_kw_h: float, up_kw: float
) -> None:
    view = lab.view(lab.source(cost_per_kwh=0.05), price=[0.1])
    schedule = planned(lab, view, product("engine", price_per_kw_h=price_per_kw_h))

    assert kept(schedule.reserve["fcr up"], "engine") == [up_kw]
    assert lab.power(schedule, "engine").tolist() == [100 - up_kw]


def test_an_engine_keeps_downwards_what_it_need_not_feed(lab: Any) -> None:
    view = lab.view(lab.source(cost_per_kwh=0.05, must_run_share=0.3), price=[0.1])
    schedule = planned(lab, view, product("engine", up=False))

    assert kept(schedule.reserve["fcr down"], "engine") == [70]


def test_a_load_keeps_upwards_what_may_still_be_turned_down(lab: Any) -> None:
    """Half of 100 kW; at 0.40 a kWh 50 would be turned down for 0.20: 0.20 beats 0.05 a kW."""
    load = lab.curtailable("cool", curtailable_share=0.5, curtailment_cost_per_kwh=0.2)

    def reserve(price: float, *, up: bool) -> list[float]:
        view = lab.view(
            load, price=[price], base_kw={"cool": [-100.0]}, readings=[lab.reading("cool")]
        )
        schedule = planned(lab, view, product("cool", up=up))
        return kept(schedule.reserve[f"fcr {'up' if up else 'down'}"], "cool")

    assert reserve(0.1, up=True) == [50]
    assert reserve(0.4, up=True) == [0]
    assert reserve(0.4, up=False) == [50]


def test_a_flexible_load_keeps_what_it_draws_and_what_it_could_draw_more(lab: Any) -> None:
    """6 kWh in one hour of a window: 6 kW upwards, 4 of 10 downwards, nothing outside the window."""
    load = lab.flexible("pump", lab.window("12:00", "13:00", 6, most_units=6))
    view = lab.view(load, price=[0.1, 0.1], readings=[lab.reading("pump")])
    schedule = planned(lab, view, product("pump", steps=2), product("pump", steps=2, up=False))

    assert kept(schedule.reserve["fcr up"], "pump") == [6, 0]
    assert kept(schedule.reserve["fcr down"], "pump") == [4, 0]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param({"elapsed_steps": 1}, "1 of 1 steps elapsed", id="a block that is over"),
        pytest.param({"called_share": 1.5}, "called_share 1.5", id="a share above 1"),
        pytest.param({"activation_hours": -1.0}, "activation_hours -1", id="a length below 0"),
        pytest.param({"firm_kw": -1.0}, "below 0", id="a size below 0"),
        pytest.param({"price_per_kw_h": 3.0}, "selling earns more", id="a sale that pays unkept"),
        pytest.param({"shortfall_per_kw_h": -1.0}, "shortfall_per_kw_h", id="a lack that earns"),
    ],
)
def test_a_product_without_sense_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        product("bat", **said)


@pytest.mark.parametrize(
    ("who", "words"),
    [
        pytest.param("load", "load keeps no reserve", id="a load that nobody moves"),
        pytest.param("tank", "tank keeps no reserve", id="a store of another carrier"),
        pytest.param("bet", "bet keeps no reserve", id="a name that nobody has"),
    ],
)
def test_who_keeps_no_reserve_is_named(lab: Any, who: str, words: str) -> None:
    view = lab.view(
        lab.load(), lab.battery("tank", node_id="heat"), price=[0.1], nodes=[lab.node("heat")]
    )
    with pytest.raises(DataError, match=words):
        lab.outcome(view, lab.terms(view, product(who)))


def test_profiles_of_another_length_and_a_product_twice_are_refused(lab: Any) -> None:
    view = half_full(lab)
    with pytest.raises(DataError, match="profiles of shapes"):
        lab.outcome(view, lab.terms(view, product("bat", steps=2)))
    with pytest.raises(DataError, match="stands there twice"):
        lab.outcome(view, lab.terms(view, product("bat"), product("bat")))


# ---------------------------------------------------------------- under the tree


@pytest.mark.parametrize(
    ("up", "limits", "load_kw", "sold_kw"),
    [
        pytest.param(True, {}, 0.0, 50, id="no limit: all the energy there is"),
        pytest.param(
            True, {"export_kw": 30.0}, 0.0, 30, id="a call may feed no more than may leave"
        ),
        pytest.param(True, {"export_kw": 30.0}, -15.0, 45, id="beside what is drawn here"),
        pytest.param(
            False, {"import_kw": 30.0}, -20.0, 10, id="a call may draw what may still come"
        ),
        pytest.param(False, {"import_kw": 30.0}, -40.0, 0, id="nothing where the limit is passed"),
    ],
)
def test_no_more_is_kept_than_the_tree_lets_a_call_move(
    lab: Any, up: bool, limits: dict[str, float], load_kw: float, sold_kw: float
) -> None:
    """The battery is half full and cannot move by itself: spot is 0, its wear is not."""
    view = lab.view(
        lab.battery(wear_cost_per_kwh=20.0),
        lab.load(),
        price=[0.0],
        readings=[lab.reading("bat", soc=0.5)],
        base_kw={"load": [load_kw]},
        feeder=lab.limits(**limits),
    )

    schedule = planned(lab, view, product("bat", up=up))

    assert schedule.reserve[f"fcr {'up' if up else 'down'}"].sold_kw == pytest.approx([sold_kw])


@pytest.mark.parametrize(
    ("up", "soc", "taper", "sold_kw"),
    [
        pytest.param(
            True, 0.1, {"discharge_taper_soc": 0.2}, 50, id="nearly empty: half its power"
        ),
        pytest.param(False, 0.9, {"charge_taper_soc": 0.8}, 50, id="nearly full: half its power"),
        pytest.param(True, 0.5, {"discharge_taper_soc": 0.2}, 100, id="in between: all of it"),
    ],
)
def test_a_store_that_tapers_keeps_what_its_level_lets_it_give(
    lab: Any, up: bool, soc: float, taper: dict[str, Any], sold_kw: float
) -> None:
    view = half_full(lab, soc=soc, wear_cost_per_kwh=20.0, **taper)

    schedule = planned(lab, view, product("bat", up=up, activation_hours=0.1))

    assert schedule.reserve[f"fcr {'up' if up else 'down'}"].sold_kw == pytest.approx([sold_kw])
