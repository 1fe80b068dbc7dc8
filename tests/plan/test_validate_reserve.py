"""The validator on reserve: what nobody has, what is sold and not kept, what is asked of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vpp.model.ids import ProductId, ResourceId
from vpp.model.schedule import Reserve, Schedule
from vpp.plan.terms import Activity, ActivityPrice, ReserveHeadroom, Term
from vpp.plan.view import PlanningView


def product(up: bool = True, **said: Any) -> ReserveHeadroom:
    """Two hours of reserve, 20 kW owed; a call lasts an hour, and lacking costs 5 a kW."""
    usual: dict[str, Any] = {
        "product_id": ProductId("fcr"),
        "up": up,
        "resource_ids": frozenset({ResourceId("bat"), ResourceId("engine")}),
        "firm_kw": np.array([20.0, 20.0]),
        "shortfall_per_kw_h": 5.0,
        "open_kw": np.array([30.0, 30.0]),
        "price_per_kw_h": np.array([0.1, 0.1]),
        "activation_hours": 1.0,
    }
    return ReserveHeadroom(**(usual | said))


@pytest.fixture
def sold(lab: Any) -> Any:
    """A half full battery that wears too much to move, an engine that nobody needs: 50 kW up."""
    view = lab.view(
        lab.battery(wear_cost_per_kwh=9.0),
        lab.source(cost_per_kwh=9.0),
        price=[0.0, 0.0],
        readings=[lab.reading("bat", soc=0.5)],
    )
    terms = lab.terms(view, product())
    return view, terms, lab.plan(view, terms)


def with_reserve(schedule: Schedule, **said: Any) -> Schedule:
    """The plan, with another word on the reserve; numbers stand for both hours."""
    reserve = schedule.reserve["fcr up"]
    changed: dict[str, Any] = {
        name: {who: np.full(2, float(kw)) for who, kw in value.items()}
        if isinstance(value, dict)
        else np.array(value, float)
        for name, value in said.items()
    }
    return replace(schedule, reserve={"fcr up": replace(reserve, **changed)})


@pytest.mark.parametrize(
    ("said", "word"),
    [
        pytest.param(
            {"kept_kw": {"bat": 20, "engine": 20}},
            "reserve fcr up: kept: 40.000000 kW in step 0, allowed 50",
            id="sold and not kept",
        ),
        pytest.param(
            {"kept_kw": {"bat": 51, "engine": -1}},
            "engine: reserve up: -1.0",
            id="less than nothing",
        ),
        pytest.param(
            {"kept_kw": {"bat": 0, "engine": 101}, "sold_kw": [81, 81]},
            "engine: reserve up: 101.0",
            id="more than an engine has",
        ),
        pytest.param(
            {"kept_kw": {"bat": 51, "engine": 0}, "sold_kw": [31, 31]},
            "bat: reserve up: activation_hours: 51.0",
            id="more than a call could draw from the store",
        ),
        pytest.param(
            {"kept_kw": {"bat": 10, "engine": 40}, "relief_kw": {"bat": 10}},
            "bat: reserve up: relief: 10.0",
            id="charging stops that never was",
        ),
        pytest.param(
            {"sold_kw": [31, 31], "kept_kw": {"bat": 0, "engine": 51}},
            "reserve fcr up: open_kw: 31.0",
            id="more than may be sold",
        ),
        pytest.param(
            {"lacking_kw": [-1, -1], "kept_kw": {"bat": 0, "engine": 51}},
            "reserve fcr up: lacking: -1.0",
            id="lacks less than nothing",
        ),
        pytest.param(
            {"kept_kw": {"bat": 50, "engine": 50}},
            "reserve fcr up: kept beyond what is owed: 100.0",
            id="more than anybody asked for",
        ),
        pytest.param({"sold_kw": [30, np.nan]}, "sold_kw of fcr up", id="no number"),
        pytest.param({"sold_kw": [30]}, "sold_kw of fcr up", id="another shape"),
        pytest.param({"kept_kw": {"ghost": 50}}, "kept_kw of fcr up speaks of", id="a stranger"),
        pytest.param(
            {"kept_kw": {"engine": 50}, "relief_kw": {"bat": 0}},
            "relief_kw of fcr up speaks of",
            id="relief of one who keeps nothing",
        ),
    ],
)
def test_reserve_that_is_not_there_is_refused(
    lab: Any, sold: Any, said: dict[str, Any], word: str
) -> None:
    view, terms, schedule = sold

    found = lab.violations(with_reserve(schedule, **said), view, terms)

    assert any(text.startswith(word) for text in found), found


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"firm_kw": np.array([21.0, 21.0])}, "reserve fcr up: kept", id="more owed"),
        pytest.param({"survives_largest": True}, "reserve fcr up: without ", id="one may fail"),
        pytest.param({"open_kw": np.array([30.0, 29.0])}, "reserve fcr up: open_kw", id="closed"),
        pytest.param(
            {"price_per_kw_h": np.array([0.2, 0.2])}, "reserve: the bill is -12", id="a price"
        ),
        pytest.param(
            {"called_share": 0.1, "called_per_kwh": np.array([0.3, 0.3])},
            "reserve energy: the bill is -3.0",
            id="calls that earn",
        ),
    ],
)
def test_reserve_of_another_product_is_refused(
    lab: Any, sold: Any, change: dict[str, Any], word: str
) -> None:
    """30 kW are sold for 0.1 in each of two hours, 20 kW are owed besides."""
    view, terms, schedule = sold
    schedule = with_reserve(schedule, kept_kw={"bat": 0, "engine": 50})

    found = lab.violations(schedule, view, [*terms[:-1], product(**change)])

    assert found
    assert all(text.startswith(word) for text in found), found


def test_a_block_has_one_quantity(lab: Any, sold: Any) -> None:
    view, terms, schedule = sold
    engine = {ResourceId("engine"): np.array([50.0, 40.0])}
    reserve = Reserve(kept_kw=engine, sold_kw=np.array([30.0, 20.0]), lacking_kw=np.zeros(2))
    cost = dict(schedule.cost_by_cause) | {"reserve": -5.0}
    schedule = replace(schedule, reserve={"fcr up": reserve}, cost_by_cause=cost)

    assert lab.violations(schedule, view, terms) == ()
    found = lab.violations(schedule, view, [*terms[:-1], product(block_steps=2)])
    assert [text.split(":")[1] for text in found] == [" block_steps"]


def test_no_word_of_a_product_is_refused(lab: Any, sold: Any) -> None:
    view, terms, schedule = sold

    found = lab.violations(replace(schedule, reserve={}), view, terms)

    assert found == ("reserve speaks of [], not of ['fcr up']",)


def test_what_one_keeps_no_other_product_has(lab: Any, sold: Any) -> None:
    """60 kW of an engine of 100 for each of two products."""
    view, terms, schedule = sold
    other = product(product_id=ProductId("mfrr"), firm_kw=np.zeros(2), open_kw=np.full(2, 60.0))
    reserve = Reserve(
        kept_kw={ResourceId("engine"): np.full(2, 60.0)},
        sold_kw=np.full(2, 60.0),
        lacking_kw=np.zeros(2),
    )
    schedule = with_reserve(schedule, kept_kw={"bat": 0, "engine": 50})
    schedule = replace(schedule, reserve=dict(schedule.reserve) | {"mfrr up": reserve})

    found = lab.violations(schedule, view, [*terms, other])

    assert any(text.startswith("engine: reserve up: 110.0") for text in found), found


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_expected_calls_move_the_store(lab: Any, up: bool) -> None:
    """A tenth of 20 kW is called each hour: 2 kWh of an efficiency of 0.8 are 2.5 out, 1.6 in."""
    view = lab.view(
        lab.battery(wear_cost_per_kwh=9.0, charge_efficiency=0.8, discharge_efficiency=0.8),
        price=[0.0, 0.0],
        readings=[lab.reading("bat", soc=0.5)],
    )
    asked = product(
        up, resource_ids=frozenset({ResourceId("bat")}), open_kw=np.zeros(2), called_share=0.1
    )
    terms: tuple[Term, ...] = lab.terms(view, asked)
    schedule = lab.plan(view, terms)
    moved = [47.5, 45.0] if up else [51.6, 53.2]
    assert schedule.stored_kwh["bat"].tolist() == pytest.approx(moved)

    still = replace(schedule, stored_kwh={"bat": np.array([50.0, 50.0])})

    found = lab.violations(still, view, terms)
    assert len(found) == 1
    assert found[0].startswith(f"bat: step 0 stores {moved[0]}"), found


def counted(view: PlanningView) -> ActivityPrice:
    """A price on each kWh that leaves the battery."""
    return ActivityPrice(
        activity=Activity.DISCHARGED,
        resource_id=view.park.resources[0].resource_id,
        price_per_unit=0.1,
        reason="warranty",
    )


def test_expected_calls_count_for_a_quota_of_what_is_taken_out(lab: Any) -> None:
    """2 kW of calls for two hours out of an efficiency of 0.8: 5 kWh at 0.1."""
    view = lab.view(
        lab.battery(wear_cost_per_kwh=9.0, discharge_efficiency=0.8),
        price=[0.0, 0.0],
        readings=[lab.reading("bat", soc=0.5)],
    )
    asked = product(
        resource_ids=frozenset({ResourceId("bat")}), open_kw=np.zeros(2), called_share=0.1
    )

    schedule = lab.plan(view, lab.terms(view, asked, counted(view)))

    assert schedule.cost_by_cause["quota"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("up", "who", "kw", "word"),
    [
        pytest.param(True, "shop", 50, None, id="half of a shop's draw"),
        pytest.param(True, "shop", 51, "shop: reserve up: 51.0", id="more than it lets go"),
        pytest.param(False, "shop", 1, "shop: reserve down: 1.0", id="it is not turned down"),
        pytest.param(True, "pump", 10, None, id="all that a pump draws"),
        pytest.param(True, "pump", 11, "pump: reserve up: 11.0", id="more than it draws"),
        pytest.param(False, "pump", 1, "pump: reserve down: 1.0", id="it draws all it can"),
        pytest.param(True, "dead", 1, "dead: reserve up, not knowing how full", id="how full?"),
        pytest.param(True, "mill", 1, "mill: reserve up, which it cannot keep", id="a process"),
        pytest.param(True, "pv", 1, "reserve fcr up: pv keeps it", id="nobody asked the sun"),
    ],
)
def test_what_loads_can_keep(lab: Any, up: bool, who: str, kw: float, word: str | None) -> None:
    """A shop of 100 kW, half of which may be turned down for 0.2, a pump at full power, and sun that
    nobody wants."""
    view = lab.view(
        lab.curtailable(),
        lab.flexible("pump", lab.window("12:00", "13:00", 10)),
        lab.battery("dead"),
        lab.process(),
        lab.pv(),
        price=[-0.01],
        base_kw={"shop": [-100.0]},
        available_kw={"pv": [30.0]},
        readings=[lab.reading(name) for name in ("shop", "pump", "mill")],
    )
    asked = product(
        up,
        resource_ids=frozenset(map(ResourceId, ("shop", "pump", "dead", "mill"))),
        firm_kw=np.array([float(kw)]),
        open_kw=np.zeros(1),
        price_per_kw_h=np.zeros(1),
    )
    reserve = Reserve(
        kept_kw={ResourceId(who): np.array([float(kw)])},
        sold_kw=np.zeros(1),
        lacking_kw=np.zeros(1),
    )
    schedule = replace(lab.plan(view), reserve={asked.key: reserve})

    found = lab.violations(schedule, view, lab.terms(view, asked))

    assert bool(found) == (word is not None), found
    assert all(text.startswith(word or "-") for text in found), found
