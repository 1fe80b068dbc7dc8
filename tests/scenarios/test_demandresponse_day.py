"""A park on a demand-response afternoon, whole: the platform's books and ours, from meters that neither shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.service.drpark import write_park
from vpp.model.demandresponse import Stage
from vpp.model.ids import ResourceId
from vpp.model.reporting import (
    DayPlanReport,
    ForecastReport,
    PointReport,
    ReportKind,
    is_known,
)
from vpp.service import accounting
from vpp.service.demandresponse.money import paid
from vpp.service.plant import Plant

if TYPE_CHECKING:
    from tests.scenarios.conftest import Play, Played

LENGTH = timedelta(hours=20)
"""From midnight to an hour after the window; it was invited to on the eve."""
PLATFORM = """\
  demand_response:
    product: cn.generic.dr.peak.day_ahead
    history_days: 10
    invitations:
      - {id: afternoon, day: 1, start: "17:00", end: "19:00", wanted_mw: 0.8, price_cap_per_mwh: 3000}
planning: {every_minutes: 180}
control: {period_s: 900, setpoint_ttl_s: 2700}
"""
SLOW = {  # a control cycle a quarter-hour: what is heard stays known for three of them
    "max_draw_kw: 2500}": "max_draw_kw: 2500, max_age_s: 2700}",
    "max_draw_kw: 800}": "max_draw_kw: 800, max_age_s: 2700}",
    "wear_cost_per_kwh: 0.05": "wear_cost_per_kwh: 0.05\n            max_age_s: 2700",
    "outdoor_series_id: outdoor.town": "outdoor_series_id: outdoor.town\n            max_age_s: 2700",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, play: Play) -> Played:
    file = write_park(tmp_path_factory.mktemp("dr"), changes=SLOW, more=PLATFORM)
    return play(file, length=LENGTH)


def test_the_call_is_met_and_both_books_say_the_same_to_the_cent(played: Played) -> None:
    plant: Plant = played.plant
    (story,) = plant.dr.book.stories()
    assert story.stage is Stage.SETTLED
    (theirs,) = played.report["demand_response"]
    evaluation = story.evaluation
    assert evaluation is not None
    assert evaluation.completion >= Decimal("0.9")
    assert evaluation.amount > 0
    assert (str(evaluation.amount), evaluation.penalty) == (theirs["amount"], Decimal(0))
    assert Decimal(theirs["penalty"]) == 0
    assert evaluation.response_mwh == Decimal(theirs["response_mwh"])
    by_member = {str(name): one.response_mwh for name, one in evaluation.members.items()}
    assert by_member == {name: Decimal(mwh) for name, mwh in theirs["members_mwh"].items()}
    assert played.report["ledger"]["dr_evaluated"] == 1


def test_members_are_paid_what_the_platform_pays(played: Played) -> None:
    plant: Plant = played.plant
    lines = [line for one in accounting.current_statements(plant) for line in one.lines]
    got = [line.amount for line in lines if line.item == "demand_response"]
    assert len(got) == 2
    assert sum(got) == paid(plant)


def test_the_park_prepared_before_the_window_and_let_go_after_it(played: Played) -> None:
    """By what the devices did, not by a plan: the store was filled, then emptied; the cold store drew again."""
    course = played.whole
    first = course.horizon.index(datetime(2026, 7, 15, 9, tzinfo=UTC))
    (stored,), (degc,) = course.stored_kwh.values(), course.temperature_degc.values()
    assert stored[first - 1] > 900  # its floor is 200, where flat prices leave it
    assert stored[: first - 1].min() < 300
    assert stored[first + 7] < stored[first - 1] - 100
    assert degc[first + 7] > degc[first - 1] + 0.5
    cold = course.power_kw[course.resource_ids.index(ResourceId("cold"))]
    assert cold[first + 8 : first + 11].mean() < cold[first : first + 8].mean() - 50


def test_the_day_is_reported_whole(played: Played) -> None:
    plant: Plant = played.plant
    (owed,) = plant.reports.owed
    streams = {kind: plant.reports.stream(owed.duty, kind) for kind in ReportKind}
    assert {kind: one.missed for kind, one in streams.items()} == dict.fromkeys(ReportKind, 0)
    assert streams[ReportKind.POINT].made >= 80  # each quarter-hour, as the control cycle
    assert streams[ReportKind.FORECAST].made >= 80
    point, ahead = streams[ReportKind.POINT].newest, streams[ReportKind.FORECAST].newest
    tomorrow = streams[ReportKind.DAY_PLAN].newest
    assert isinstance(point, PointReport)
    assert point.heard == point.resources == 4
    assert point.baseline.value == pytest.approx(-3000, rel=0.05)  # as on all days before
    assert isinstance(ahead, ForecastReport)
    assert all(map(is_known, (*ahead.planned, *ahead.up, *ahead.down)))
    assert isinstance(tomorrow, DayPlanReport)
    assert all(map(is_known, tomorrow.planned))
