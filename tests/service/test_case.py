"""`vpp plan CASE.yaml`: one horizon from files, in numbers that can be worked out by hand."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from vpp.errors import ConfigError, DataError, PlanError
from vpp.service.cases.case import Ran, plan_case, read_plan, run_case
from vpp.service.cases.casefile import read_case
from vpp.service.cases.show import show_plan, show_reasons
from vpp.service.planning.views import WhatIfView
from vpp.service.solving.inline import InlineExecutor

PARK = """\
park: yard
name: Yard
timezone: Europe/Berlin
currency: EUR
minor_unit: "0.01"
limits: {import_kw: 1000, export_kw: 500}
carbon: {grid_kgco2_per_kwh: 0.3, source: a table, valid_from: 2025-01-01}
tariffs:
  - id: network
    valid_from: 2025-01-01
    source: illustrative
    bands: [{name: all, start: "00:00", end: "00:00", price_per_kwh: 0.01}]
    demand_charge_per_kw_month: 5.0
enterprises:
  - id: yard-ltd
    name: Yard
    connection_points:
      - id: gate
        import_kw: 1000
        export_kw: 500
        meter: gate-meter
        tariff: network
        resources:
          - {id: base, kind: fixed_load, max_draw_kw: 300}
          - id: battery
            kind: storage
            capacity_kwh: 100
            max_charge_kw: 50
            max_discharge_kw: 50
            charge_efficiency: 1
            discharge_efficiency: 0.8
"""

CASE = """\
park: park.yaml
series: day.csv
strategies: none
states:
  battery: {soc: 0}
terms:
  - {term: energy_price, at: gate, import_per_kwh: price.buy}
"""

SERIES = """\
interval_start,power.base [kW],price.buy [EUR/MWh]
2025-12-03T00:00:00Z,-100,50
2025-12-03T01:00:00Z,-100,300
"""

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(case: str = CASE, *, series: str = SERIES, park: str = PARK) -> Path:
        (tmp_path / "park.yaml").write_text(park, encoding="utf-8")
        (tmp_path / "day.csv").write_text(series, encoding="utf-8")
        (tmp_path / "case.yaml").write_text(case, encoding="utf-8")
        return tmp_path / "case.yaml"

    return write


def run(path: Path) -> Ran:
    return asyncio.run(run_case(read_case(path), InlineExecutor()))


def test_a_case_brings_its_prices_and_needs_no_market(written: Written) -> None:
    ran = run(written())
    document = ran.document()

    # 150 kWh at 0.05, of which 50 are kept: 40 of them come out at 0.30, so that 60 kWh are bought.
    schedule = document.schedule
    assert schedule is not None
    assert (document.status, schedule.steps, schedule.step_s) == ("optimal", 2, 3600)
    assert schedule.net_kw == [-150.0, -60.0]
    assert [(c.cause, float(c.cost)) for c in schedule.cost_by_cause if c.cost] == [
        ("network energy", 25.5)
    ]
    assert float(schedule.cost) == 25.5
    assert schedule.connection_points[0].value_per_kwh == [0.05, 0.3]
    assert {r.resource_id: r.stored_value_per_kwh for r in schedule.resources}["battery"] == [
        0.24,
        0.24,
    ]
    (limit,) = [p for p in schedule.limit_prices if p.limit == "battery: max_charge_kw"]
    assert (limit.steps, limit.per_unit) == ([0], [-0.19])  # 0.8 · 0.30 - 0.05
    assert len(schedule.input_digest) == 64


def test_the_document_says_how_it_was_made(written: Written) -> None:
    schedule = run(written()).document().schedule

    assert schedule is not None
    assert schedule.size.rows > 0
    assert min(schedule.build_s, schedule.solve_s, schedule.validate_s or -1) >= 0
    assert schedule.shadow_prices == ("on/off decisions fixed" if schedule.binaries else "exact")


def test_a_plan_of_the_structured_solver_says_that_its_prices_are_from_the_inside(
    written: Written,
) -> None:
    document = run(written(CASE + "\nsolver: {method: structured}\n")).document()

    assert document.schedule is not None
    assert document.schedule.how.method.startswith("structured")
    assert document.schedule.shadow_prices == "from the inside"


@pytest.mark.parametrize("minutes", [5, 10, 15, 20, 30, 60])
def test_a_step_may_have_any_usual_length(written: Written, minutes: int) -> None:
    rows = [
        f"2025-12-03T{k * minutes // 60:02d}:{k * minutes % 60:02d}:00Z,-60,100" for k in (0, 1, 2)
    ]
    series = "\n".join([SERIES.splitlines()[0], *rows]) + "\n"

    schedule = run(written(series=series)).document().schedule

    assert schedule is not None
    assert schedule.step_s == minutes * 60
    assert float(schedule.cost) == pytest.approx(60 * 0.1 * 3 * minutes / 60)


def test_series_may_stand_in_the_case_and_be_constant(written: Written) -> None:
    case = CASE.replace(
        "series: day.csv",
        "series: {start: 2025-12-03T00:00:00Z, step_minutes: 60, columns: {'price.buy [EUR/kWh]':"
        " [0.05, 0.3]}}\nconstants: {power.base: -0.1 MW}",
    )

    schedule = run(written(case)).document().schedule

    assert schedule is not None
    assert schedule.net_kw == [-150.0, -60.0]


def test_a_horizon_may_end_before_its_series(written: Written) -> None:
    case = CASE + "until: 2025-12-03T02:00:00+01:00\n"

    schedule = run(written(case)).document().schedule

    assert schedule is not None
    assert schedule.net_kw == [-100.0]


def test_a_limit_order_narrows_what_is_drawn(written: Written) -> None:
    case = CASE + (
        "limit_orders:\n  - {id: o1, place: gate, start: 2025-12-03T00:00:00Z,"
        " end: 2025-12-03T01:00:00Z, import_kw: 120, source: grid operator}\n"
    )

    document = run(written(case)).document()

    assert document.schedule is not None
    assert document.schedule.net_kw == [-120.0, -84.0]
    assert "order o1 of grid operator at gate: import_kw" in {
        price.limit for price in document.schedule.limit_prices
    }


def test_a_storage_of_which_nothing_is_said_stays_idle_and_is_named(written: Written) -> None:
    ran = run(written(CASE.replace("  battery: {soc: 0}\n", "  {}\n")))

    assert ran.document().unheard == ["battery"]
    assert ran.document().schedule is not None


RUN = (
    ', kind: shiftable_run, profile_kw: [100, 100, 100, 100, 100, 100, 100, 100], earliest_start: "01:00",'
    ' latest_end: "04:00", default_start: "01:00"}'
)


def test_a_conflict_is_told_on_the_clock_of_the_park_with_all_who_share_the_limit(
    written: Written,
) -> None:
    """Two runs of two hours within three meet for an hour, on a wire for one of them."""
    park = PARK.replace(
        "enterprises:",
        "groups: [{id: wire, resources: [press, kiln], max_draw_kw: 150}]\nenterprises:",
    ) + "".join(f"          - {{id: {name}{RUN}\n" for name in ("press", "kiln"))
    rows = [f"2025-12-03T{k // 4:02d}:{k % 4 * 15:02d}:00Z,-100,50" for k in range(12)]
    series = "\n".join([SERIES.splitlines()[0], *rows]) + "\n"
    path = written(park=park, series=series)

    document = run(path).document()

    told = (
        "these limits cannot all hold: group wire: max_draw_kw (Wed 2025-12-03 02:00 to 03:00); the"
        " smallest relaxation that helps: group wire: max_draw_kw by 50 (Wed 2025-12-03 02:00 to"
        " 03:00); wire is shared by press, kiln"
    )
    assert (document.status, document.reason) == ("unsolved", told)
    with pytest.raises(PlanError, match=re.escape(told)):
        plan_case(path, Console(file=io.StringIO()))


def test_work_that_does_not_fit_is_told_with_its_window_and_unit(written: Written) -> None:
    park = PARK + (
        "          - {id: crusher, kind: flexible_load, max_draw_kw: 50, unit: t, kwh_per_unit: 50,"
        ' windows: [{start: "01:00", end: "02:00", least_units: 4}]}\n'
    )
    ran = run(written(park=park))
    out = io.StringIO()
    show_plan(ran, ran.document(), Console(file=out, width=160))
    show_reasons(ran.why("crusher", "01:00"), Console(file=out, width=160))

    assert (
        "BROKEN crusher: least_units, by up to 3.0 t, from Wed 01:00 to Wed 02:00" in out.getvalue()
    )
    assert "the window of crusher from Wed 01:00 lacks 3.00 t" in out.getvalue()
    assert "Its window from Wed 01:00 lacks 3.00 t." in out.getvalue()


def test_reasons_are_asked_for_by_resource_and_time_of_day(written: Written) -> None:
    ran = run(written())

    why = ran.why("battery", "01:00")

    assert why.sentences[0] == "battery draws 50.0 kW from 01:00 to 02:00."
    assert why.value_per_kwh == pytest.approx(0.05)
    with pytest.raises(DataError, match="no resource 'batery'"):
        ran.why("batery", "01:00")
    with pytest.raises(DataError, match="does not cover 23:00"):
        ran.why("battery", "23:00")


def test_a_plan_is_compared_with_one_that_was_written_down(
    written: Written, tmp_path: Path
) -> None:
    old = tmp_path / "old.json"
    old.write_text(run(written()).document().model_dump_json(), encoding="utf-8")
    dearer = SERIES.replace("-100,300", "-140,300")

    changes = run(written(series=dearer)).document(since=read_plan(old)).changes

    assert changes is not None
    assert [change.resource_id for change in changes.powers] == ["base"]
    assert changes.sentences == [
        "base moves 40.0 kWh, most at Wed 02:00: -140.0 kW, before -100.0 kW.",
        "The park moves 40.0 kWh, most at Wed 02:00: -100.0 kW, before -60.0 kW.",
        "The cost changes by +12.00 EUR: network energy +12.00.",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "optimal"}'])
def test_what_is_no_plan_cannot_be_compared_with(tmp_path: Path, text: str) -> None:
    (tmp_path / "old.json").write_text(text)

    with pytest.raises(ConfigError, match="is no plan"):
        read_plan(tmp_path / "old.json")


def test_a_plan_is_shown_with_costs_hours_resources_and_limits(written: Written) -> None:
    ran, page = run(written()), io.StringIO()
    console = Console(file=page, width=110)

    show_plan(ran, ran.document(), console)
    show_reasons(ran.why("battery", "01:00"), console)

    shown = page.getvalue()
    assert "case: optimal" in shown
    for part in ("network energy", "25.50", "battery", "gate", "max_charge_kw", "01:00", "-150"):
        assert part in shown, part


def test_a_document_survives_its_way_through_json(written: Written) -> None:
    document = run(written()).document()

    assert WhatIfView.model_validate_json(document.model_dump_json()) == document
    assert json.loads(document.model_dump_json())["schedule"]["cost"] == "25.5"


def test_what_cannot_be_kept_is_told_before_all_else(written: Written) -> None:
    park = (
        PARK
        + """\
          - id: mill
            kind: flexible_load
            max_draw_kw: 10
            windows: [{start: "01:00", end: "03:00", least_units: 50}]
"""
    )
    ran, page = run(written(park=park)), io.StringIO()

    document = ran.document()
    show_plan(ran, document, Console(file=page, width=110))

    assert document.schedule is not None
    (broken,) = document.schedule.broken
    assert (broken.limit, broken.most) == ("mill: least_units", 30.0)
    assert "BROKEN mill: least_units, by up to 30.0" in page.getvalue()


def test_a_case_without_a_plan_says_why(written: Written) -> None:
    case = CASE + "solver: {soft_s: 0.000001, hard_s: 0.000002}\n"

    with pytest.raises(PlanError, match="killed at the hard limit"):
        plan_case(written(case), Console(file=io.StringIO()))


def test_a_case_is_planned_in_a_process_of_its_own(written: Written) -> None:
    ran = plan_case(written(), Console(file=io.StringIO()))

    assert ran.document().status == "optimal"
