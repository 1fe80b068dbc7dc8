"""A utility's events as orders by quarter-hour: what stands, what is followed, in which sign."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks._programmes import play
from vpp.errors import DataError
from vpp.model.programme import (
    FOREVER,
    OPEN_END,
    EventFault,
    EventInterval,
    EventList,
    EventPeriod,
    Payload,
    PayloadUnits,
    PayloadValue,
    ProgrammeEvent,
)
from vpp.model.time import QUARTER, Interval
from vpp.trade.programme import (
    ChangeKind,
    Standing,
    addressed,
    reconcile,
    schedule,
    stood_from_record,
    stood_to_record,
)
from vpp.trade.programmeorders import (
    AlertOrder,
    CallUse,
    CapacityOrder,
    ChangeOrder,
    Level,
    LimitUse,
    SeriesUse,
    SetpointOrder,
    SignalOrder,
    Use,
    order_of,
)
from vpp.trade.programmetimes import ends_at

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
USES: dict[str, dict[str, Use]] = {
    "p": {
        "PRICE": SeriesUse(series_id="price.retail", unit="EUR/MWh"),
        "GHG": SeriesUse(series_id="carbon.grid", unit="gCO2/kWh"),
        "IMPORT_CAPACITY_LIMIT": LimitUse(place="feeder"),
        "EXPORT_CAPACITY_LIMIT": LimitUse(place="feeder"),
        "SIMPLE": CallUse(product_id="flex", levels={1: Level(kw=200), 2: Level(share=0.5)}),
        "DISPATCH_SETPOINT": CallUse(product_id="flex"),
        "DISPATCH_SETPOINT_RELATIVE": CallUse(product_id="flex"),
    }
}


def at(hour: int, minute: int = 0) -> datetime:
    return NOW.replace(hour=hour, minute=minute)


def still(name: str) -> float:
    """Nothing is moved."""
    return 0.0


def event(
    event_id: str,
    kind: str,
    *values: PayloadValue,
    start: datetime | None = None,
    duration: timedelta | None = HOUR,
    **more: Any,
) -> ProgrammeEvent:
    """One interval for each value."""
    return ProgrammeEvent(
        event_id=event_id,
        program_id="p",
        intervals=tuple(
            EventInterval(interval_id=n, payloads=(Payload(payload_type=kind, values=(value,)),))
            for n, value in enumerate(values)
        ),
        created_at=more.pop("created_at", at(9)),
        period=EventPeriod(start=start or at(12), duration=duration),
        **more,
    )


def orders(*events: ProgrammeEvent, draw: Any = still, until: datetime | None = None) -> Any:
    """By time of day: what is asked from noon to 15:00."""
    stood, _ = reconcile(EventList(events=events), {}, now=NOW, draw=draw)
    window = Interval(NOW, until or at(15))
    found, not_done = schedule(stood, USES, {}, window, draw)
    assert not not_done, not_done
    return {f"{start:%H:%M}": some for start, some in found.items()}


def changed(polled: EventList, stood: dict[str, Standing], now: datetime = NOW) -> list[str]:
    return [f"{c.kind} {c.event_id}" for c in reconcile(polled, stood, now=now, draw=still)[1]]


def after(*events: ProgrammeEvent, stood: Any = None, now: datetime = NOW) -> dict[str, Standing]:
    return reconcile(EventList(events=events), stood or {}, now=now, draw=still)[0]


# ---------------------------------------------------------------- orders


def test_a_limit_of_an_hour_is_in_its_four_quarter_hours() -> None:
    found = orders(event("e", "IMPORT_CAPACITY_LIMIT", 500))

    assert list(found) == ["12:00", "12:15", "12:30", "12:45"]
    assert found["12:00"] == (
        CapacityOrder(event_id="e", place="feeder", imports=True, most_kw=500),
    )


def test_a_utility_counts_draw_positive_and_we_count_what_is_fed() -> None:
    units = PayloadUnits(payload_type="", units="KW")
    call = CallUse(product_id="flex")

    assert order_of("e", "DISPATCH_SETPOINT", 300, units, call) == SetpointOrder(
        event_id="e", product_id="flex", unit_id=None, net_kw=-300
    )
    assert order_of("e", "DISPATCH_SETPOINT_RELATIVE", -300, units, call) == ChangeOrder(
        event_id="e", product_id="flex", unit_id=None, change_kw=300
    )


def test_a_level_of_simple_is_what_the_park_file_says() -> None:
    found = orders(event("e", "SIMPLE", 1, 2, 0))

    assert [(some[0].change_kw, some[0].change_share) for some in found.values()] == [
        *[(200, 0)] * 4,
        *[(0, 0.5)] * 4,
        *[(0, 0)] * 4,
    ]


def test_prices_per_kwh_become_those_of_the_series() -> None:
    (order,) = orders(event("e", "PRICE", 0.25, duration=QUARTER))["12:00"]

    assert order == SignalOrder(event_id="e", series_id="price.retail", unit="EUR/MWh", value=250)


def test_several_prices_of_one_interval_are_one_after_the_other() -> None:
    several = replace(
        event("e", "PRICE", 0),
        intervals=(
            EventInterval(
                interval_id=0, payloads=(Payload(payload_type="PRICE", values=(0.1, 0.2)),)
            ),
        ),
    )

    assert [some[0].value for some in orders(several).values()] == [100, 100, 200, 200]


def test_a_quarter_hour_has_the_mean_of_its_prices_by_time() -> None:
    found = orders(event("e", "PRICE", 0.1, 0.1, 0.4, duration=5 * MINUTE))

    assert found["12:00"][0].value == 200


def test_a_limit_holds_in_all_of_a_quarter_hour_that_it_touches_and_the_tightest_counts() -> None:
    found = orders(event("e", "IMPORT_CAPACITY_LIMIT", 500, 300, start=at(12, 20), duration=20 * MINUTE))  # fmt: skip

    assert {start: some[0].most_kw for start, some in found.items()} == {
        "12:15": 500,
        "12:30": 300,
        "12:45": 300,
    }


def test_a_limit_that_another_event_loosens_within_a_quarter_hour_holds_to_its_end() -> None:
    tight = event("tight", "IMPORT_CAPACITY_LIMIT", 100, duration=20 * MINUTE)
    loose = event("loose", "IMPORT_CAPACITY_LIMIT", 900, start=at(12, 20), priority=0)
    over = event("over", "IMPORT_CAPACITY_LIMIT", 5, start=at(12, 35), duration=5 * MINUTE)

    found = orders(tight, loose, over)

    assert {start: some[0].most_kw for start, some in found.items()} == {
        "12:00": 100,
        "12:15": 100,
        "12:30": 900,  # "over" is outranked as long as it lasts
        "12:45": 900,
        "13:00": 900,
        "13:15": 900,
    }


def test_the_higher_priority_is_followed_where_two_events_overlap() -> None:
    found = orders(
        event("low", "IMPORT_CAPACITY_LIMIT", 100, 100, priority=2),
        event("high", "IMPORT_CAPACITY_LIMIT", 900, priority=0),
        event("none", "IMPORT_CAPACITY_LIMIT", 1, 1),
    )

    assert [some[0].event_id for some in found.values()] == ["high"] * 4 + ["low"] * 4


def test_of_equal_priority_the_later_one_is_followed() -> None:
    found = orders(
        event("new", "DISPATCH_SETPOINT", 5, created_at=at(11)),
        event("old", "SIMPLE", 1, created_at=at(10)),
    )

    assert {some[0].event_id for some in found.values()} == {"new"}


def test_what_does_not_conflict_is_all_followed() -> None:
    found = orders(
        event("price", "PRICE", 1),
        event("ghg", "GHG", 90),
        event("out", "EXPORT_CAPACITY_LIMIT", 0),
    )

    assert sorted(o.event_id for o in found["12:00"]) == ["ghg", "out", "price"]


@pytest.mark.parametrize("duration", [OPEN_END, timedelta(0), None])
def test_what_has_no_end_lasts_until_further_notice(duration: timedelta | None) -> None:
    endless = event("e", "IMPORT_CAPACITY_LIMIT", 500, duration=duration)

    assert len(orders(endless, until=NOW + 24 * HOUR)) == 96
    assert ends_at(endless, NOW, still) == FOREVER


def test_an_event_that_begins_now_begins_when_it_is_seen() -> None:
    now = replace(event("e", "SIMPLE", 1), period=EventPeriod(start=None, duration=30 * MINUTE))

    assert list(orders(now)) == ["12:00", "12:15"]


def test_an_event_of_no_time_at_the_beginning_of_time_asks_for_nothing() -> None:
    none = replace(event("e", "SIMPLE", 1), period=EventPeriod(duration=timedelta(0)))

    assert orders(none) == {}


@pytest.mark.parametrize("duration", [None, HOUR])
def test_an_event_without_intervals_asks_for_nothing(duration: timedelta | None) -> None:
    empty = replace(event("e", "PRICE"), duration=duration)
    assert empty.intervals == ()

    assert orders(empty, event("f", "GHG", 1)).keys() == orders(event("f", "GHG", 1)).keys()
    assert list(after(empty)) == ["e"]


def test_intervals_are_repeated_while_the_event_lasts() -> None:
    once = event("e", "IMPORT_CAPACITY_LIMIT", 1, 2, duration=QUARTER)
    found = orders(replace(once, duration=HOUR))

    assert [some[0].most_kw for some in found.values()] == [1, 2, 1, 2]


def test_a_random_start_moves_all_intervals_alike_and_is_the_same_again() -> None:
    period = EventPeriod(start=at(12), duration=HOUR, randomize=30 * MINUTE)
    moved = replace(event("e", "IMPORT_CAPACITY_LIMIT", 1, 2), period=period)

    def late(name: str) -> float:
        return {"e": 0.5}[name]

    assert next(iter(orders(moved, draw=late))) == "12:15"
    assert [some[0].most_kw for some in orders(moved, draw=late).values()] == [1] * 4 + [2] * 4


def test_alerts_are_all_told() -> None:
    found = orders(event("a", "ALERT_FIRE", "smoke"), event("b", "ALERT_FIRE", "fire"))

    assert {o.text for o in found["12:00"] if isinstance(o, AlertOrder)} == {"smoke", "fire"}


@pytest.mark.parametrize(
    ("kind", "value", "unit", "why"),
    [
        ("PRIVATE_SIGNAL", 1, None, "not known"),
        ("EXPORT_PRICE", 1, None, "does nothing in this park"),
        ("SIMPLE", 3, None, "level 3"),
        ("SIMPLE", 1.5, None, "level 1.5"),
        ("IMPORT_CAPACITY_LIMIT", -1, None, "-1 kW"),
        ("IMPORT_CAPACITY_LIMIT", 1, "AMPS", "AMPS"),
        ("IMPORT_CAPACITY_LIMIT", "many", None, "many"),
        ("DISPATCH_SETPOINT", True, None, "True"),
        ("DISPATCH_SETPOINT", 2e9, None, "2000000000.0"),
        ("PRICE", float("inf"), None, "inf"),
        ("PRICE", float("nan"), None, "nan"),
        ("GHG", 1, "THERMS", "THERMS"),
        ("PRICE", 1e308, None, "1e+308"),
        ("PRICE", 10**400, None, "100000"),
        ("DISPATCH_SETPOINT", -1e30, None, "-1e+30"),
        ("DISPATCH_SETPOINT_RELATIVE", -25, "PERCENT", "-25 times"),
    ],
)
def test_what_cannot_be_done_is_told(
    kind: str, value: PayloadValue, unit: str | None, why: str
) -> None:
    odd = event("e", kind, value, units=(PayloadUnits(payload_type=kind, units=unit),))
    stood = after(odd)

    found, not_done = schedule(stood, USES, {}, Interval(NOW, at(15)), still)

    assert found == {}
    assert why in not_done[0].why


def test_a_price_in_another_currency_is_no_price_here() -> None:
    units = PayloadUnits(payload_type="PRICE", units="KWH", currency="USD")
    with pytest.raises(DataError, match="USD"):
        order_of("e", "PRICE", 1, units, USES["p"]["PRICE"])


def test_the_units_of_a_program_hold_where_its_event_names_none() -> None:
    stood = after(event("e", "IMPORT_CAPACITY_LIMIT", 2))
    units = {"p": [PayloadUnits(payload_type="IMPORT_CAPACITY_LIMIT", units="MW")]}

    found, _ = schedule(stood, USES, units, Interval(NOW, at(13)), still)

    assert found[NOW][0] == CapacityOrder(event_id="e", place="feeder", imports=True, most_kw=2000)


# ---------------------------------------------------------------- what stands


def test_a_list_that_lacks_an_event_cancels_it() -> None:
    stood = after(event("a", "SIMPLE", 1), event("b", "SIMPLE", 1))

    assert changed(EventList(events=(event("a", "SIMPLE", 1),)), stood) == ["cancelled b"]


def test_an_event_that_is_over_is_not_cancelled_by_going() -> None:
    stood = after(event("a", "SIMPLE", 1))
    over = after(event("a", "SIMPLE", 1), stood=stood, now=at(14))

    assert changed(EventList(events=(event("a", "SIMPLE", 1),)), stood, at(14)) == ["ended a"]
    assert changed(EventList(events=(event("a", "SIMPLE", 1),)), over, at(14)) == []
    assert changed(EventList(), over, at(14)) == []


def test_a_newer_version_replaces_and_an_older_one_is_ignored() -> None:
    first = event("a", "SIMPLE", 1, modified_at=at(10))
    second = event("a", "SIMPLE", 2, modified_at=at(11))
    stood = after(second)

    assert changed(EventList(events=(second,)), after(first)) == ["modified a"]
    assert changed(EventList(events=(first,)), stood) == ["older a"]
    assert after(first, stood=stood)["a"].event == second


def test_versions_go_by_number_where_they_have_one() -> None:
    first = event("a", "SIMPLE", 1, modification=3, modified_at=at(11))
    second = event("a", "SIMPLE", 2, modification=4, modified_at=at(10))

    assert after(second, stood=after(first))["a"].event == second


def test_the_same_version_with_other_content_is_taken_and_told() -> None:
    stood = after(event("a", "SIMPLE", 1))
    _, (change,) = reconcile(
        EventList(events=(event("a", "SIMPLE", 2),)), stood, now=NOW, draw=still
    )

    assert change.kind is ChangeKind.MODIFIED
    assert "version is the same" in change.text


def test_an_illegible_event_stays_as_it_stood_and_cancels_no_other() -> None:
    a, b = event("a", "SIMPLE", 1), event("b", "SIMPLE", 2)
    stood = after(a, b)
    named = EventFault(event_id="a", what="no intervals", raw="{}")
    nameless = EventFault(event_id=None, what="no object", raw="7")

    kept, _ = reconcile(EventList(faults=(named,)), stood, now=NOW, draw=still)
    all_kept, _ = reconcile(EventList(faults=(nameless,)), stood, now=NOW, draw=still)

    assert set(kept) == {"a"}
    assert set(all_kept) == {"a", "b"}


def test_only_events_for_us_are_ours() -> None:
    ours = event("a", "SIMPLE", 1, targets=("north", "all"))
    theirs = event("b", "SIMPLE", 1, targets=("south",))
    everybody = event("c", "SIMPLE", 1)
    polled = EventList(events=(ours, theirs, everybody))

    assert [e.event_id for e in addressed(polled, frozenset({"north"})).events] == ["a", "c"]
    assert addressed(polled, frozenset()) == polled


def test_what_stands_is_the_same_after_a_restart() -> None:
    stood = after(
        event("a", "SIMPLE", 1, modified_at=at(10)), event("b", "ALERT_FIRE", "smoke", priority=0)
    )

    assert stood_from_record(stood_to_record(stood)) == stood


# ---------------------------------------------------------------- scripts


@pytest.mark.parametrize("first", [0, 25, 50, 75])
def test_what_a_random_script_comes_to_is_what_the_utility_means(first: int) -> None:
    for seed in range(first, first + 25):
        ours, true, happened = play(seed)
        assert ours == true, f"seed {seed}"
        assert happened["new"] > 5
