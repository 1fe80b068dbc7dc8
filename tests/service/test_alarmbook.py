"""The book of alarms: delays, states, causes, shelves, and how few are shown of many."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.errors import ConflictError, DataError
from vpp.model.alarm import Alarm, AlarmState, Condition, Priority
from vpp.service.alarms.book import (
    CHATTER,
    MOST_ALARMS,
    MOST_SHOWN,
    SETTLE,
    WINDOW,
    AlarmBook,
    acknowledged,
    shelved,
    unshelved,
)
from vpp.service.alarms.catalogue import CATALOGUE

NOON = datetime(2025, 12, 2, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

LINK = Condition(kind="link_down", subject="mqtt", place={"link": "mqtt"})
SILENT = Condition(kind="devices_silent", subject="behind mqtt", count=1000, place={"link": "mqtt"})


def hold(
    book: AlarmBook, *conditions: Condition, since: datetime, last: timedelta = 2 * MINUTE
) -> datetime:
    """The same holds for a while, looked at every ten seconds; the last look."""
    at = since
    while at <= since + last:
        book.look(conditions, at)
        at += 10 * SECOND
    return at - 10 * SECOND


def kinds(alarms: Iterable[Alarm]) -> list[str]:
    return [alarm.condition.kind for alarm in alarms]


def only(book: AlarmBook) -> Alarm:
    (alarm,) = book.alarms.values()
    return alarm


def test_an_alarm_is_raised_once_its_condition_held_as_long_as_its_kind_says() -> None:
    book = AlarmBook()
    assert CATALOGUE["link_down"].after == 10 * SECOND

    assert not book.look([LINK], NOON)
    (raised,) = book.look([LINK], NOON + 10 * SECOND)

    assert raised.what == "raised"
    assert raised.alarm.raised_at == NOON + 10 * SECOND
    assert raised.alarm.state is AlarmState.UNACKNOWLEDGED


def test_what_goes_away_within_its_delay_is_no_alarm() -> None:
    book = AlarmBook()
    for minute in range(60):
        assert not book.look([LINK] if minute % 2 else [], NOON + minute * MINUTE)


def test_an_alarm_returns_once_its_condition_was_gone_for_a_while_and_is_done_when_seen() -> None:
    book = AlarmBook()
    at = hold(book, LINK, since=NOON)
    assert not book.look([], at + 10 * SECOND)
    (returned,) = book.look([], at + 40 * SECOND)
    alarm = only(book)
    assert (returned.what, alarm.state) == ("returned", AlarmState.RETURNED)
    assert kinds(book.shown(at + MINUTE)) == ["link_down"], "nobody has seen it yet"

    book.put(acknowledged(alarm, by="Li", comment="seen", now=at + MINUTE))

    assert not book.shown(at + MINUTE)
    book.look([], at + 40 * SECOND + CHATTER)
    assert not book.alarms
    assert kinds(book.done) == ["link_down"]


def test_what_returns_within_minutes_is_the_same_alarm_again() -> None:
    book = AlarmBook()
    at = NOON
    for _ in range(6):
        at = hold(book, LINK, since=at, last=MINUTE)
        at = hold(book, since=at + 10 * SECOND, last=MINUTE) + 10 * SECOND

    assert only(book).times == 6
    assert only(book).raised_at < NOON + MINUTE


def test_what_returns_much_later_is_another_alarm() -> None:
    book = AlarmBook()
    at = hold(book, LINK, since=NOON)
    at = hold(book, since=at + 10 * SECOND, last=MINUTE)
    hold(book, LINK, since=at + CHATTER)

    assert [a.alarm_id for a in book.alarms.values()] == ["a-000002"]
    assert [a.alarm_id for a in book.done] == ["a-000001"]


def test_a_consequence_stands_under_its_cause_though_it_was_there_first() -> None:
    book = AlarmBook()
    hold(book, SILENT, since=NOON, last=50 * SECOND)  # one look before it would be told
    at = hold(book, SILENT, LINK, since=NOON + MINUTE)

    (root,) = book.shown(at)
    assert root.condition.kind == "link_down"
    assert kinds(book.under(root)) == ["devices_silent"]


def test_nothing_is_told_while_what_explains_it_is_on_its_way() -> None:
    book = AlarmBook()
    hold(book, SILENT, since=NOON, last=55 * SECOND)
    told = book.look([SILENT, LINK], NOON + MINUTE)
    assert not told, "the link has not been down for ten seconds"

    told = book.look([SILENT, LINK], NOON + 70 * SECOND)
    assert kinds(change.alarm for change in told)[0] == "link_down"


def test_a_cause_elsewhere_explains_nothing() -> None:
    book = AlarmBook()
    other = Condition(kind="devices_silent", subject="mill/gw", place={"link": "gw"})
    at = hold(book, LINK, other, since=NOON)

    assert sorted(kinds(book.shown(at))) == ["devices_silent", "link_down"]


def test_a_consequence_that_outlives_its_cause_becomes_an_alarm_of_its_own() -> None:
    book = AlarmBook()
    at = hold(book, LINK, SILENT, since=NOON)
    at = hold(book, SILENT, since=at + 10 * SECOND, last=SETTLE - MINUTE)
    assert kinds(book.shown(at)) == ["link_down"]

    at = hold(book, SILENT, since=at + 10 * SECOND)

    assert kinds(a for a in book.shown(at) if a.returned_at is None) == ["devices_silent"]


def test_to_acknowledge_a_first_cause_is_to_acknowledge_its_consequences() -> None:
    book = AlarmBook()
    at = hold(book, LINK, SILENT, since=NOON)
    (root,) = book.shown(at)

    assert kinds(book.to_acknowledge(root.alarm_id)) == ["link_down", "devices_silent"]


def test_an_acknowledged_alarm_is_news_again_when_it_doubles() -> None:
    book = AlarmBook()
    few = Condition(kind="devices_refusing", subject="mill", count=2)
    at = hold(book, few, since=NOON)
    book.put(acknowledged(only(book), by="Li", comment="seen", now=at))

    three = Condition(kind="devices_refusing", subject="mill", count=3)
    assert not book.look([three], at + 10 * SECOND)
    four = Condition(kind="devices_refusing", subject="mill", count=4)
    (grew,) = book.look([four], at + 20 * SECOND)

    assert grew.what == "grew"
    assert only(book).state is AlarmState.UNACKNOWLEDGED


def test_a_shelved_alarm_comes_back_by_itself() -> None:
    book = AlarmBook()
    at = hold(book, LINK, since=NOON)
    until = at + 30 * MINUTE
    book.put(shelved(only(book), by="Li", reason="works", until=until, now=at))

    assert not book.shown(at)
    assert not book.look([LINK], until - SECOND)
    (back,) = book.look([LINK], until)
    assert back.what == "unshelved"
    assert kinds(book.shown(until)) == ["link_down"]


def test_a_shelved_alarm_can_be_put_back() -> None:
    book = AlarmBook()
    at = hold(book, LINK, since=NOON)
    aside = shelved(only(book), by="Li", reason="works", until=at + MINUTE, now=at)

    assert unshelved(aside) == only(book)


def test_a_critical_alarm_is_not_shelved_and_none_into_the_past() -> None:
    book = AlarmBook()
    at = hold(book, Condition(kind="journal_down"), since=NOON)
    with pytest.raises(ConflictError):
        shelved(only(book), by="Li", reason="later", until=at + MINUTE, now=at)
    with pytest.raises(DataError):
        shelved(only(book), by="Li", reason="later", until=at, now=at)


def test_of_many_at_once_the_most_urgent_are_shown_and_the_rest_stands_under_the_flood() -> None:
    book = AlarmBook()
    feeds = [Condition(kind="feed_ill", subject=f"f-{i}") for i in range(40)]
    broken = Condition(kind="journal_down")
    at = hold(book, *feeds, broken, since=NOON)

    shown = book.shown(at)
    assert len(shown) <= MOST_SHOWN
    assert shown[0].condition.kind == "journal_down"
    (flood,) = (a for a in shown if a.condition.kind == "flood")
    assert len(book.under(flood)) == 40 - book.room + 1, "the critical one took room too"


def test_what_was_held_back_is_shown_when_there_is_room_again() -> None:
    book = AlarmBook()
    feeds = [Condition(kind="feed_ill", subject=f"f-{i}") for i in range(12)]
    at = hold(book, *feeds, since=NOON, last=timedelta(minutes=25))

    assert kinds(book.shown(at)).count("feed_ill") == 12
    assert not any(a.withheld for a in book.alarms.values())


def test_causes_lead_nowhere_back() -> None:
    """A cause of a cause of … is never the thing itself: else nothing would be a first cause."""
    for name in CATALOGUE:
        seen, new = {name}, set(CATALOGUE[name].causes)
        while new:
            assert name not in new
            seen |= new
            new = {cause for one in new for cause in CATALOGUE[one].causes} - seen


def test_every_cause_is_of_the_catalogue() -> None:
    for kind in CATALOGUE.values():
        assert set(kind.causes) <= CATALOGUE.keys(), kind.name


CRITICAL = sorted(n for n, kind in CATALOGUE.items() if kind.priority is Priority.CRITICAL)
OTHERS = sorted(CATALOGUE.keys() - {"flood", *CRITICAL})

ANYTHING = st.one_of(
    st.builds(Condition, kind=st.sampled_from(CRITICAL)),  # of the whole park: one of each kind
    st.builds(
        Condition,
        kind=st.sampled_from(OTHERS),
        subject=st.sampled_from(["", "a", "b", "c"]),
        place=st.sampled_from([{}, {"link": "a"}, {"link": "b"}]),
    ),
)


@given(st.lists(st.lists(ANYTHING, max_size=25), min_size=8, max_size=16))
@settings(max_examples=25, deadline=None)
def test_however_it_storms_few_are_shown_and_none_is_lost(storm: list[list[Condition]]) -> None:
    book = AlarmBook()
    shown_first: dict[str, datetime] = {}
    for number in range(6 * len(storm)):
        at = NOON + number * 30 * SECOND
        book.look(storm[number // 6], at)
        for alarm in book.shown(at):
            assert not alarm.withheld
            shown_first.setdefault(alarm.alarm_id, at)
        assert sum(at - first < WINDOW for first in shown_first.values()) <= MOST_SHOWN
        for alarm in book.alarms.values():
            root = book.root_of(alarm)
            found = root.withheld or root in book.shown(at)
            assert found, "an alarm that stands is to be found from the list"


def test_the_book_is_bounded_however_many_were_never_acknowledged() -> None:
    book = AlarmBook()
    for step in range(3):
        at = NOON + step * 5 * MINUTE
        feeds = [Condition(kind="feed_ill", subject=f"{step}/{n}") for n in range(400)]
        hold(book, *feeds, since=at, last=MINUTE)
        hold(book, since=at + 2 * MINUTE, last=MINUTE)

    assert len(book.alarms) == MOST_ALARMS
    assert book.number > 1200, "the flood beside them"
    kept = {a.condition.subject for a in book.alarms.values()}
    assert {f"2/{n}" for n in range(400)} <= kept, "the newest"
    assert "0/399" not in kept, "the oldest went first"
    assert book.look([feeds[0]], at + 4 * MINUTE) == []


def test_priorities_are_told_in_the_words_of_the_standard() -> None:
    assert [p.value for p in sorted(Priority, key=lambda p: p.rank)] == [
        "critical",
        "high",
        "medium",
        "low",
    ]
