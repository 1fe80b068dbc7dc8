"""Where and when each strategy of a file holds: schedule by the park's clock, scope, priority, overrides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.plan.conftest import Lab
from vpp.model.calendar import Calendar
from vpp.model.horizon import Profile
from vpp.model.ids import EnterpriseId
from vpp.model.park import ConnectionPoint, Enterprise, Park
from vpp.plan.terms import Cap, Commitment, EnergyPrice, OpenTrade, StoredFloor
from vpp.plan.view import PlanningView
from vpp.service.park.calendars import ParkCalendars
from vpp.service.park.config import ConfigErrors
from vpp.service.strategies.compose import in_force
from vpp.service.strategies.reading import parse_strategies
from vpp.service.strategies.strategies import Ground, Strategies

LAB = Lab()
ZONE = ZoneInfo("Europe/Stockholm")
HOUR = timedelta(hours=1)
TRADING = (
    "  - {name: trading, use: price_arbitrage,"
    " with: {quarter_hour_spread_per_mwh: 4, imbalance_spread_per_mwh: 40}}\n"
)


def a_park() -> Park:
    """Enterprises a and b with a point and a battery each; b's battery is tagged `cold`, all of b `late`."""
    park = LAB.park(
        LAB.battery("bat-a", point="cp-a"),
        LAB.battery("bat-b", point="cp-b"),
        points=("cp-a", "cp-b"),
    )
    bat_b = replace(park.resources[1], enterprise_id=EnterpriseId("b"))
    cp_b: ConnectionPoint = replace(park.connection_points[1], enterprise_id=EnterpriseId("b"))
    b = Enterprise(enterprise_id=EnterpriseId("b"), name="B")
    return replace(
        park,
        enterprises=(*park.enterprises, b),
        connection_points=(park.connection_points[0], cp_b),
        resources=(park.resources[0], bat_b),
    )


GROUND = Ground(
    park=a_park(),
    calendars=ParkCalendars(
        park=Calendar(zone=ZONE, rest_days=frozenset({date(2025, 12, 24)})),
        own={},
        country=None,
        decreed_until=None,
        listed=frozenset(),
    ),
    tags={"a": frozenset(), "bat-a": frozenset(), "b": frozenset({"late"}),
          "bat-b": frozenset({"late", "cold"})},
    folder=Path(),
)  # fmt: skip


def read(text: str) -> Strategies:
    return parse_strategies(("strategies:\n" + text).encode(), GROUND, name="s.yaml")


def a_view(start: datetime, hours: int) -> PlanningView:
    """The park over some hours, at a price of 0.05; nobody has been heard."""
    of_a = LAB.view(LAB.battery("bat-a"), price=[0.05] * hours, start=start.astimezone(UTC))
    horizon = of_a.horizon
    states = tuple(
        replace(of_a.state.resources[0], resource_id=r.resource_id) for r in GROUND.park.resources
    )
    return replace(
        of_a,
        park=GROUND.park,
        state=replace(of_a.state, resources=states),
        import_per_kwh={
            p.connection_point_id: Profile.constant(horizon, 0.0)
            for p in GROUND.park.connection_points
        },
    )


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def holds(schedule: str, start: str, hours: int) -> list[int]:
    """Hours of the clock, from `start` on, in which a strategy with this schedule holds."""
    text = TRADING.replace("use:", f"schedule: {schedule}, use:")
    view = a_view(local(start), hours)
    steps = in_force(read(text).entries, view, GROUND.calendars.park)["trading"]
    starts = view.horizon.starts()
    return [starts[i].astimezone(ZONE).hour for i in np.flatnonzero(steps)]


# ---------------------------------------------------------------- schedule


@pytest.mark.parametrize(
    ("schedule", "start", "hours", "held"),
    [
        ("{hours: ['07:00-09:00']}", "2025-12-03T06:00", 5, [7, 8]),
        ("{hours: ['22:00-02:00']}", "2025-12-03T20:00", 8, [22, 23, 0, 1]),
        ("{hours: ['23:00-24:00', '01:00-02:00']}", "2025-12-03T22:00", 5, [23, 1]),
        ("{days: [thu]}", "2025-12-03T22:00", 4, [0, 1]),
        ("{months: [1]}", "2025-12-31T22:00", 4, [0, 1]),
        ("{holidays: without}", "2025-12-23T22:00", 4, [22, 23]),
        ("{holidays: only}", "2025-12-23T22:00", 4, [0, 1]),
        ("{holidays: with}", "2025-12-23T22:00", 3, [22, 23, 0]),
    ],
)
def test_a_schedule_holds_by_the_parks_clock_and_calendar(
    schedule: str, start: str, hours: int, held: list[int]
) -> None:
    assert holds(schedule, start, hours) == held


@pytest.mark.parametrize(
    ("start", "held"),
    [
        pytest.param("2026-03-29T00:00", [1, 3, 4], id="spring: 02:00 is left out"),
        pytest.param("2025-10-26T00:00", [1, 2, 2, 3, 4], id="autumn: 02:00 comes twice"),
    ],
)
def test_hours_are_those_on_the_wall_when_clocks_change(start: str, held: list[int]) -> None:
    assert holds("{hours: ['01:00-05:00']}", start, 7) == held


# ---------------------------------------------------------------- who trades, and who does not


def test_where_nobody_trades_energy_is_settled_at_the_expected_price() -> None:
    text = TRADING.replace("use:", "schedule: {hours: ['07:00-08:00']}, use:")
    view = replace(a_view(local("2025-12-03T06:00"), 3), committed_kw=np.array([5.0, 6.0, 7.0]))
    asked = read(text).terms(view)
    (position,) = [term for term in asked if isinstance(term, Commitment)]
    (trade,) = [term for term in asked if isinstance(term, OpenTrade)]
    assert trade.max_kw.tolist() == [0, 1e6, 0]
    assert position.base_kw.tolist() == [5, 6, 7], "what is sold is owed whoever trades"
    assert position.short_per_kwh.tolist() == pytest.approx([0.05, 0.09, 0.05])
    assert position.long_per_kwh.tolist() == pytest.approx([0.05, 0.01, 0.05])


def test_of_two_that_trade_the_higher_priority_holds_in_its_hours() -> None:
    morning = TRADING.replace("trading", "morning").replace("40", "80").replace("4,", "8,")
    morning = morning.replace("use:", "priority: 60, schedule: {hours: ['06:00-07:00']}, use:")
    asked = read(TRADING + morning).terms(a_view(local("2025-12-03T06:00"), 2))
    positions = [term for term in asked if isinstance(term, Commitment)]
    trades = [term for term in asked if isinstance(term, OpenTrade)]
    assert len(positions) == len(trades) == 1
    assert positions[0].short_per_kwh.tolist() == pytest.approx([0.13, 0.09])
    assert trades[0].max_kw.tolist() == [1e6, 1e6]


# ---------------------------------------------------------------- scope, priority, overrides


PEAK = "  - {{name: {name}, use: peak_shaving, priority: {priority}, with: {{most_import_kw: {kw}}}{more}}}\n"


def peak(name: str, kw: float, *, priority: int = 50, more: str = "") -> str:
    return PEAK.format(name=name, kw=kw, priority=priority, more=more)


def test_of_one_kind_the_higher_priority_holds_where_both_do() -> None:
    both = peak("park", 100) + peak(
        "late", 40, priority=60, more=", scope: {tags: [late]}, schedule: {hours: ['06:00-07:00']}"
    )
    asked = read(both).terms(a_view(local("2025-12-03T06:00"), 2))
    found = {
        (term.reason, term.place): term.import_kw.tolist()
        for term in asked
        if isinstance(term, Cap) and term.import_kw is not None
    }
    assert found == {
        ("late", "cp-b"): [40, np.inf],
        ("park", "cp-a"): [100, 100],
        ("park", "cp-b"): [np.inf, 100],
    }


def test_an_override_changes_one_setting_for_one_enterprise() -> None:
    asked = read(peak("all", 100, more=", overrides: {b: {most_import_kw: 30}}"))
    found = [
        (term.reason, term.place, term.import_kw.tolist())
        for term in asked.terms(a_view(local("2025-12-03T06:00"), 2))
        if isinstance(term, Cap) and term.import_kw is not None
    ]
    assert found == [("all", "cp-a", [100, 100]), ("all/b", "cp-b", [30, 30])]


@pytest.mark.parametrize(
    ("scope", "whose"),
    [
        ("{enterprises: [a]}", {"bat-a"}),
        ("{tags: [cold]}", {"bat-b"}),
        ("{tags: [late]}", {"bat-b"}),
        ("{enterprises: [a], resources: [bat-b]}", {"bat-a", "bat-b"}),
    ],
)
def test_a_scope_is_all_that_it_names(scope: str, whose: set[str]) -> None:
    text = (
        f"  - {{name: storm, use: resilience_reserve, scope: {scope}, with: {{least_soc: 0.5}}}}\n"
    )
    asked = read(text).terms(a_view(local("2025-12-03T06:00"), 1))
    (floor,) = [term for term in asked if isinstance(term, StoredFloor)]
    assert floor.least_kwh.keys() == whose
    assert all(kwh.tolist() == [50] for kwh in floor.least_kwh.values())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "  - {name: c, use: carbon_aware, scope: {enterprises: [a]}, with: {price_per_tco2: 1}}\n",
            "s.yaml:2:34: strategies.0.scope: carbon_aware holds for the whole park: leave `scope` out",
        ),
        (
            peak("p", 1, more=", scope: {resources: [bat-a]}"),
            "strategies.0.scope.resources: peak_shaving holds at connection points: name enterprises",
        ),
        (
            peak("p", 1, more=", scope: {tags: [cold]}"),
            "strategies.0.scope.tags.0: unknown tag of an enterprise 'cold'; known: late",
        ),
        (
            peak("p", 1, more=", scope: {enterprises: [c]}"),
            "strategies.0.scope.enterprises.0: unknown enterprise 'c'; known: a, b",
        ),
        (peak("p", 1) + peak("p", 2), "strategies.1.name: 'p' names strategies.0 already"),
        (peak("p", 1, more=", scope: {}"), "names nothing: leave `scope` out"),
        (
            peak("p", 1) + "members: {a: {vetoes: [{resources: [bat-b], reason: r}]}}\n",
            "members.a.vetoes.0.resources.0: unknown resource of a 'bat-b'; known: bat-a",
        ),
        (
            peak("p", 1) + "members: {c: {}}\n",
            "members.c: unknown enterprise 'c'; known: a, b",
        ),
        (
            peak("p", 1, more=", scope: {enterprises: [a]}, overrides: {b: {most_import_kw: 2}}"),
            "strategies.0.overrides.b: b is not in its scope",
        ),
    ],
)
def test_what_does_not_fit_the_park_is_told_where_it_stands(text: str, told: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    (fault,) = caught.value.faults
    assert told in str(fault)


# ---------------------------------------------------------------- what every park needs


def test_a_file_without_strategies_still_pays_the_network(tmp_path: Path) -> None:
    asked = parse_strategies(b"strategies: []", GROUND, name="s.yaml").terms(
        a_view(local("2025-12-03T06:00"), 1)
    )
    assert sum(isinstance(term, EnergyPrice) for term in asked) == 2
    assert sum(isinstance(term, Commitment) for term in asked) == 1
