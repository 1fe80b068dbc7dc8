"""Budgets of a period and the days that are left of it, in a park file and in a case."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.service.test_case import CASE, PARK, SERIES
from vpp.model.park import Park
from vpp.plan.terms import Activity
from vpp.service.cases.case import Ran, run_case
from vpp.service.cases.casefile import read_case
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import load_park
from vpp.service.quotas.prices import QuotaState, states_of
from vpp.service.quotas.schema import AnyQuota, PeakQuota, Period
from vpp.service.quotas.tally import Days, Tally, days_of
from vpp.service.solving.inline import InlineExecutor

LAST_DAY = datetime(2025, 12, 30, 23, tzinfo=UTC)
"""Midnight in Berlin: the year has one whole day left."""

SOURCES = """\
          - {id: pv, kind: generator, max_feed_kw: 100, green: yes}
          - {id: engine, kind: generator, weather_driven: no, max_feed_kw: 50, kgco2_per_kwh: 0.2, on_off: {}}
"""
QUOTAS = """\
quotas:
  - {id: backup, counts: hours_on, resource: engine, period: year, most_hours: 200, expected: [{}]}
  - id: cycles
    counts: discharged
    resource: battery
    period: month
    most_kwh: 1000
    expected:
      - {days: [sat, sun]}
      - {could: [{kwh_per_day: 100, worth_per_kwh: 0.2}, {kwh_per_day: 50, worth_per_kwh: 0.1}]}
  - {id: carbon, counts: carbon, period: year, most_kgco2: 500, expected: [{must_kgco2_per_day: 1}]}
  - {id: imports, counts: import, period: day, most_kwh: 800, expected: [{}]}
  - {id: at-home, counts: green_use, period: year, least_kwh: 100, expected: [{must_kwh_per_day: 1}]}
"""


@pytest.fixture
def park(tmp_path: Path) -> Park:
    (tmp_path / "sources.yaml").write_text(PARK + SOURCES, encoding="utf-8")
    return load_park(tmp_path / "sources.yaml").park


def states(park: Park, tally: Tally | None = None, **given: Any) -> tuple[QuotaState, ...]:
    quota: AnyQuota = TypeAdapter[AnyQuota](AnyQuota).validate_json(
        json.dumps({"id": "one", "period": "year"} | given)
    )
    assert not isinstance(quota, PeakQuota)
    return states_of(quota, park, tally or Tally(), LAST_DAY, from_start=True)


# ---------------------------------------------------------------- the file


def test_a_park_file_says_its_quotas(tmp_path: Path) -> None:
    (tmp_path / "park.yaml").write_text(PARK + SOURCES + QUOTAS, encoding="utf-8")

    quotas = load_park(tmp_path / "park.yaml").quotas

    assert [(q.id, q.counts, q.period) for q in quotas] == [
        ("backup", "hours_on", Period.YEAR),
        ("cycles", "discharged", Period.MONTH),
        ("carbon", "carbon", Period.YEAR),
        ("imports", "import", Period.DAY),
        ("at-home", "green_use", Period.YEAR),
    ]
    cycles = quotas[1].expected
    assert [day.fits(date(2025, 12, 6)) for day in cycles] == [True, True]  # Saturday: the first
    assert [day.fits(date(2025, 12, 8)) for day in cycles] == [False, True]
    assert cycles[1].blocks == [(100, 0.2), (50, 0.1)]


def test_every_fault_of_quotas_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    wrong = """\
quotas:
  - {id: one, counts: calls, resource: saw, period: month, most_calls: 3, expected: [{}]}
  - {id: one, counts: hours_on, resource: battery, period: year, most_hours: 3, expected: [{}]}
  - {id: two, counts: import, period: week, most_kwh: 3, expected: [{}]}
  - {id: three, counts: export, period: day, most_kwh: 3, expected: [{days: [mon]}]}
  - {id: four, counts: carbon, period: day, most_kgco2: 3, expected: [{could: [{kgco2_per_day: 1, worth_per_kgco2: 1}, {kgco2_per_day: 1, worth_per_kgco2: 2}]}]}
  - {id: five, counts: green_use, period: day, least_kwh: 3, expected: [{}]}
  - {id: six, counts: discharged, resource: battery, period: day, most_kw: 3, expected: [{}]}
  - {id: seven, counts: peak, connection_point: cp-x, period: month, expected: [{import_kw: 5}]}
  - {id: eight, counts: peak, connection_point: cp-x, period: year, expected: [{import_kw: 5}]}
  - {id: nine, counts: peak, connection_point: cp-x, period: month, expected: [{import_kw: 5, less: [{kw: 6, cost_per_kw: 1}]}]}
"""
    (tmp_path / "park.yaml").write_text(PARK + wrong, encoding="utf-8")

    with pytest.raises(ConfigErrors) as caught:
        load_park(tmp_path / "park.yaml")

    first = PARK.count("\n") + 1
    found = [(f.line - first, f.path, f.what) for f in caught.value.faults]
    assert [(line, path) for line, path, _ in found] == [
        (1, "quotas.0.resource"),
        (2, "quotas.1.id"),
        (2, "quotas.1.resource"),
        (3, "quotas.2.period"),
        (4, "quotas.3"),
        (5, "quotas.4.expected.0"),
        (6, "quotas.5.counts"),
        (7, "quotas.6.most_kwh"),
        (7, "quotas.6.most_kw"),
        (8, "quotas.7.connection_point"),
        (9, "quotas.8.period"),
        (10, "quotas.9.expected.0"),
    ]
    assert [what for _, _, what in found][:3] == [
        "unknown resource 'saw'",
        f"quota id 'one' stands in line {first + 1} too",
        "battery is a Storage: nobody counts hours_on",
    ]


# ---------------------------------------------------------------- periods and use


@pytest.mark.parametrize(
    ("period", "day", "days"),
    [
        pytest.param(
            "day", date(2025, 3, 30), Days(date(2025, 3, 30), date(2025, 3, 31)), id="day"
        ),
        pytest.param(
            "month", date(2025, 2, 28), Days(date(2025, 2, 1), date(2025, 3, 1)), id="month"
        ),
        pytest.param(
            "month", date(2025, 12, 31), Days(date(2025, 12, 1), date(2026, 1, 1)), id="December"
        ),
        pytest.param(
            "year", date(2024, 2, 29), Days(date(2024, 1, 1), date(2025, 1, 1)), id="leap year"
        ),
    ],
)
def test_periods_are_those_of_the_calendar(period: str, day: date, days: Days) -> None:
    assert days_of(Period(period), day) == days


def test_carbon_is_that_of_imports_and_of_the_parks_own_engines(park: Park) -> None:
    tally = Tally()
    for day in (date(2024, 12, 31), date(2025, 7, 1)):  # of the year before nothing counts
        tally.add(day, "import", 1000.0)
        tally.add(day, "fed/engine", 100.0)
        tally.add(day, "fed/pv", 70.0)

    (state,) = states(
        park, tally, counts="carbon", most_kgco2=500, used_at_start_kgco2=10, expected=[{}]
    )

    assert state.used == pytest.approx(10 + 1000 * 0.3 + 100 * 0.2)


def test_green_use_is_what_green_sources_feed_less_what_is_exported(park: Park) -> None:
    tally = Tally()
    for name, kwh in (("fed/pv", 70.0), ("fed/engine", 100.0), ("export", 20.0)):
        tally.add(date(2025, 7, 1), name, kwh)
    expected = [{"could": [{"kwh_per_day": 60, "worth_per_kwh": -0.04}]}]

    (state,) = states(park, tally, counts="green_use", least_kwh=100, expected=expected)

    # 50 kWh lack on the last day, and each costs 0.04: that is what a kWh is rewarded with.
    assert [state.used, state.price_per_unit] == pytest.approx([50, -0.04])


def test_what_is_left_of_today_is_a_share_of_a_day(park: Park) -> None:
    quota = TypeAdapter[AnyQuota](AnyQuota).validate_json(
        '{"id": "one", "period": "year", "counts": "import", "most_kwh": 100,'
        ' "expected": [{"must_kwh_per_day": 120}]}'
    )
    assert not isinstance(quota, PeakQuota)
    noon = LAST_DAY.replace(day=31, hour=11)

    (morning,) = states_of(quota, park, Tally(), LAST_DAY, from_start=True)
    (later,) = states_of(quota, park, Tally(), noon, from_start=True)

    assert morning.unreachable_by == pytest.approx(20)
    assert later.unreachable_by is None  # 60 of 100


# ---------------------------------------------------------------- green direct connection

GREEN_DAY = {
    "fed_kwh_per_day": 100,
    "exported_kwh_per_day": 40,
    "load_kwh_per_day": 200,
    "less_export": [
        {"kwh_per_day": 10, "cost_per_kwh": 0.02},
        {"kwh_per_day": 20, "cost_per_kwh": 0.05},
    ],
}
GREEN_SO_FAR = {"fed_kwh": 900, "exported_kwh": 240, "load_kwh": 1800}
"""With the last day: 1000 kWh available, 2000 consumed, 720 used at home and 280 exported."""


@pytest.mark.parametrize(
    ("rules", "use_price", "export_price"),
    [
        pytest.param({"least_self_use_share": 0.72}, 0, 0, id="comes by itself"),
        pytest.param({"least_self_use_share": 0.725}, -0.02, 0, id="5 kWh more: the cheap block"),
        pytest.param({"least_green_share": 0.3675}, -0.05, 0, id="15 kWh more, of what is drawn"),
        pytest.param({"most_export_share": 0.275}, 0, 0.02, id="5 kWh less exported"),
        pytest.param(
            {"least_self_use_share": 0.735, "most_export_share": 0.275},
            *(-0.05, 0),
            id="the tighter one alone has a price",
        ),
    ],
)
def test_ratios_of_a_year_are_priced_on_its_last_day(
    park: Park, rules: dict[str, Any], use_price: float, export_price: float
) -> None:
    use, exports = states(
        park, counts="green_ratios", used_at_start=GREEN_SO_FAR, expected=[GREEN_DAY], **rules
    )

    assert (use.counts, exports.counts) == (Activity.GREEN_USE, Activity.EXPORT)
    assert use.price_per_unit == pytest.approx(use_price)
    assert exports.price_per_unit == pytest.approx(export_price)


def test_ratios_count_what_meters_and_sources_say(park: Park) -> None:
    tally = Tally()
    for name, kwh in (
        *(("fed/pv", 80.0), ("unfed/pv", 20.0), ("fed/engine", 50.0), ("kept/battery", 5.0)),
        *(("import", 100.0), ("export", 30.0)),
    ):
        tally.add(date(2025, 7, 1), name, kwh)
    nothing = {"fed_kwh_per_day": 0, "exported_kwh_per_day": 0, "load_kwh_per_day": 0}

    use, exports = states(
        park, tally, counts="green_ratios", least_green_share=0.5, expected=[nothing]
    )

    # Consumed: 100 imported + 130 fed - 30 exported - 5 lost in the battery; half of it and the loss.
    assert (use.used, use.least) == (50, 0.5 * 195 + 5)
    assert use.unreachable_by == pytest.approx(52.5)
    assert (exports.used, exports.most) == (30, 100)


# ---------------------------------------------------------------- a case


def planned(tmp_path: Path, quotas: str, *, series: str = SERIES) -> Ran:
    for name, text in (("park.yaml", PARK), ("day.csv", series), ("case.yaml", CASE + quotas)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return asyncio.run(run_case(read_case(tmp_path / "case.yaml"), InlineExecutor()))


@pytest.mark.parametrize(
    ("worth", "net_kw"),
    [
        pytest.param(
            0.1, [-150, -60], id="0.19 are earned by a kWh, which is more than it is worth"
        ),
        pytest.param(0.3, [-100, -100], id="later it is worth more"),
    ],
)
def test_a_case_brings_its_quotas_with_what_is_used_so_far(
    tmp_path: Path, worth: float, net_kw: list[float]
) -> None:
    ran = planned(
        tmp_path,
        f"""\
quotas:
  - id: cycle-life
    counts: discharged
    resource: battery
    period: month
    most_kwh: 1000
    used_at_start_kwh: 900
    expected: [{{could: [{{kwh_per_day: 50, worth_per_kwh: {worth}}}]}}]
""",
    )
    document = ran.document()

    assert document.schedule is not None
    assert document.schedule.net_kw == net_kw
    (quota,) = document.quotas
    assert (quota.used, quota.most, quota.unit) == (900, 1000, "kWh")
    assert quota.state == "scarce"
    assert quota.price_per_unit == pytest.approx(worth)


def test_hours_of_the_next_period_have_a_price_of_their_own(tmp_path: Path) -> None:
    """The last hour of a day whose imports are nearly used, and the first one of the next day."""
    quotas = """\
quotas:
  - id: imports
    counts: import
    period: day
    most_kwh: 3000
    used_at_start_kwh: 2990
    expected: [{could: [{kwh_per_day: 2400, worth_per_kwh: 0.5}]}]
"""
    series = SERIES.replace("03T01", "02T23").replace("03T00", "02T22")

    ran = planned(tmp_path, quotas, series=series)
    document = ran.document()

    # 10 of the 100 kWh of the hour are left today; tomorrow 3000 are more than the 2400 it wants.
    assert [(str(q.first_day), q.price_per_unit) for q in document.quotas] == [
        ("2025-12-02", 0.5),
        ("2025-12-03", 0.0),
    ]
    assert document.schedule is not None
    assert document.schedule.net_kw == [-100, -100]  # at 0.05 + 0.50 nothing is stored for 0.30
    assert document.schedule.connection_points[0].value_per_kwh == pytest.approx([0.55, 0.3])


def test_a_case_is_told_of_a_quota_that_its_park_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        planned(
            tmp_path,
            "quotas: [{id: one, counts: calls, resource: base, period: day, most_calls: 1,"
            " expected: [{}]}]\n",
        )

    assert [f"{f.path}: {f.what}" for f in caught.value.faults] == [
        "quotas.0.resource: base is a FixedLoad: nobody counts calls"
    ]
