"""Calendars of a park file: country, listed days, members' own days, and years nobody has decreed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from vpp.model.calendar import DayType
from vpp.model.ids import EnterpriseId
from vpp.service import notices
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.plant import Plant

MAKE_UP_2026 = [
    date(2026, 1, 4),
    date(2026, 2, 14),
    date(2026, 2, 28),
    date(2026, 5, 9),
    date(2026, 9, 20),
    date(2026, 10, 10),
]
"""As decreed by the State Council for 2026."""

SPRING_FESTIVAL = date(2026, 2, 17)


def demo_with(tmp_path: Path, calendar: str) -> ParkFile:
    """The demo park with another calendar, and nothing that lies beside its file."""
    text = shipped_park("demo").read_text(encoding="utf-8")
    text = text[: text.index("\nsimulation:")].replace("mode: simulated", "mode: shadow")
    text = text.replace("limits: {", f"{calendar}\nlimits: {{", 1)
    text = text.replace("../markets/", f"{shipped_park('demo').parents[1]}/markets/")
    text = text.replace("../strategies/", f"{shipped_park('demo').parents[1]}/strategies/")
    (tmp_path / "park.yaml").write_text(text, encoding="utf-8")
    return load_park(tmp_path / "park.yaml")


def test_china_in_2026_has_22_rest_days_and_six_make_up_work_days(tmp_path: Path) -> None:
    calendar = demo_with(tmp_path, "calendar: {country: CN}").calendar

    assert len([day for day in calendar.rest_days if day.year == 2026]) == 22
    assert sorted(day for day in calendar.work_days if day.year == 2026) == MAKE_UP_2026
    assert {calendar.day_type(day) for day in MAKE_UP_2026} == {DayType.WORKDAY}
    assert calendar.day_type(SPRING_FESTIVAL) is DayType.REST_DAY


def test_make_up_days_of_other_years_do_not_stray_in(tmp_path: Path) -> None:
    calendar = demo_with(tmp_path, "calendar: {country: CN}").calendar

    for day in calendar.work_days:
        assert day.weekday() >= 5
        assert 2000 <= day.year <= 2060


def test_a_subdivision_has_holidays_of_its_own(tmp_path: Path) -> None:
    corpus_christi = date(2026, 6, 4)

    bavaria = demo_with(tmp_path, "calendar: {country: DE, subdivision: BY}").calendar
    germany = demo_with(tmp_path, "calendar: {country: DE}").calendar

    assert bavaria.day_type(corpus_christi) is DayType.REST_DAY
    assert germany.day_type(corpus_christi) is DayType.WORKDAY


def test_days_that_the_park_lists_win_over_the_countrys(tmp_path: Path) -> None:
    calendar = demo_with(
        tmp_path,
        "calendar: {country: CN, rest_days: [2026-02-14, {first: 2026-03-02, last: 2026-03-04}],"
        " work_days: [2026-02-17]}",
    ).calendar

    assert calendar.day_type(SPRING_FESTIVAL) is DayType.WORKDAY
    assert SPRING_FESTIVAL not in calendar.rest_days
    assert calendar.day_type(date(2026, 2, 14)) is DayType.REST_DAY
    week = [calendar.day_type(date(2026, 3, day)) for day in (1, 2, 3, 4, 5)]
    assert week == [DayType.REST_DAY] * 4 + [DayType.WORKDAY]


def test_an_enterprise_that_stands_still_does_so_alone(park_file: ParkFile) -> None:
    """The steel works of the demo rests over the Korean new year of its source."""
    wednesday = date(2025, 12, 10)

    steel = park_file.calendars.of(EnterpriseId("steel"))
    office = park_file.calendars.of(EnterpriseId("office"))

    assert steel.day_type(wednesday) is DayType.REST_DAY
    assert office is park_file.calendar
    assert office.day_type(wednesday) is DayType.WORKDAY
    assert park_file.calendar_of("power.steel-furnaces") is steel
    assert park_file.calendar_of("price.day-ahead.se3") is park_file.calendar


@pytest.mark.parametrize(
    ("calendar", "says"),
    [
        pytest.param("calendar: {country: XX}", "calendar.country: Country XX", id="country"),
        pytest.param(
            "calendar: {country: DE, subdivision: QQ}", "calendar.subdivision: ", id="subdivision"
        ),
        pytest.param(
            "calendar: {subdivision: BY}", "a subdivision without its country", id="no country"
        ),
        pytest.param(
            "calendar: {rest_days: [2026-05-01], work_days: [2026-05-01]}",
            "2026-05-01 is a rest day and a work day",
            id="both",
        ),
        pytest.param(
            "calendar: {rest_days: [{first: 2026-05-03, last: 2026-05-01}]}",
            "no span of 1 to 401 days",
            id="backwards",
        ),
        pytest.param("calendar: {holidays: []}", "calendar.holidays", id="unknown key"),
    ],
)
def test_a_calendar_that_cannot_be_is_told_at_its_place(
    calendar: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigErrors, match=r"park.yaml:\d+:\d+: calendar") as error:
        demo_with(tmp_path, calendar)

    assert says in str(error.value)


# ---------------------------------------------------------------- years that nobody has decreed


def test_a_year_whose_chinese_holidays_are_not_decreed_is_said_with_what_to_do(
    tmp_path: Path,
) -> None:
    calendars = demo_with(tmp_path, "calendar: {country: CN}").calendars
    known = calendars.decreed_until
    assert known is not None
    assert known >= 2026

    assert calendars.warning(date(known, 10, 1)) is None
    warning = calendars.warning(date(known, 12, 1))
    assert warning is not None
    assert f"of {known + 1} only the predictable ones are known" in warning
    assert "list days in calendar.rest_days" in warning


def test_a_year_that_the_park_lists_itself_needs_no_warning(tmp_path: Path) -> None:
    decreed = demo_with(tmp_path, "calendar: {country: CN}").calendars.decreed_until or 0
    listing = f"calendar: {{country: CN, rest_days: [{decreed + 1}-02-15]}}"

    calendars = demo_with(tmp_path, listing).calendars

    assert calendars.warning(date(decreed, 12, 1)) is None
    assert calendars.warning(date(decreed + 1, 12, 1)) is not None


def test_a_country_whose_holidays_are_law_needs_no_warning(tmp_path: Path) -> None:
    calendars = demo_with(tmp_path, "calendar: {country: SE}").calendars

    assert calendars.warning(date(2050, 1, 1)) is None


def test_the_service_tells_once_that_holidays_are_not_known(plant: Plant, tmp_path: Path) -> None:
    plant.file = demo_with(tmp_path, "calendar: {country: CN}")
    year = plant.file.calendars.decreed_until or 0

    for hour in (1, 2):
        notices.tell_calendar(plant, datetime(year, 12, 1, hour, tzinfo=UTC))
    notices.tell_calendar(plant, datetime(year + 2, 6, 1, tzinfo=UTC))

    told = [event.text for event in plant.events.recent() if event.kind == "calendar"]
    assert [f"of {y} only" in text for y, text in zip((year + 1, year + 2), told, strict=True)]
