"""Alarms of a plant: read off it, on record, told to people who are not here, changed by those who are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
import pytest

from adapters.memory_journal import MemoryJournal
from tests.service.conftest import NOW, Serving
from tests.service.peoplebench import WANG, Postbox, acted, settle, staff
from tests.service.rebuilt import HandClock
from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.alarm import Alarm, AlarmState, Condition
from vpp.model.message import NotYet
from vpp.model.schedule import Unsolved
from vpp.ports import JournalEntry
from vpp.sense.state import freeze
from vpp.service.alarms import alarms, watch
from vpp.service.alarms.book import AlarmBook
from vpp.service.alarms.desk import MOST_UNRECORDED, AlarmDesk
from vpp.service.alarms.escalate import NEVER
from vpp.service.alarms.schema import AlarmsSection, kinds_of
from vpp.service.alarms.watch import HAPPENS, READ_OFF, conditions
from vpp.service.api.pages import web_folder
from vpp.service.events import Severity
from vpp.service.instructions import instructing
from vpp.service.kill import ALL
from vpp.service.links.health import LinkHealth
from vpp.service.park.config import Fault
from vpp.service.plant import Plant
from vpp.service.shift import audit, shift
from vpp.service.shift.desk import ShiftDesk
from vpp.service.steering import overrides
from vpp.wiredesk import HandoverRequest, LogRequest

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Scene:
    """A plant whose time is set by hand."""

    plant: Plant
    clock: HandClock

    async def look(self, since: timedelta = timedelta(0), last: timedelta = timedelta(0)) -> None:
        """Look every 10 s from `NOW + since` for a while."""
        at = NOW + since
        while at <= NOW + since + last:
            self.clock.at = at
            await alarms.look(self.plant, at)
            at += 10 * SECOND

    def shown(self) -> list[Alarm]:
        return self.plant.alarms.book.shown(self.clock.at)

    def kinds(self) -> list[str]:
        return [alarm.condition.kind for alarm in self.shown()]

    def restart(self) -> None:
        """The same journal, and a desk that remembers nothing."""
        self.plant.alarms = AlarmDesk()
        alarms.recover(self.plant)


@pytest.fixture
def scene(plant: Plant) -> Scene:
    plant.clock = clock = HandClock(at=NOW)
    return Scene(plant, clock)


def link(plant: Plant, *, connected: bool, fault: str | None = None) -> None:
    plant.links = lambda: (
        LinkHealth(
            name="mqtt", connected=connected, since=NOW, fault=fault, reconnects=0, devices=40
        ),
    )


def kinds(found: Sequence[Condition]) -> list[str]:
    return [condition.kind for condition in found]


# ---------------------------------------------------------------- what is read off


@acted
async def test_a_plant_that_is_well_raises_nothing(scene: Scene) -> None:
    await scene.look(last=3 * MINUTE)
    assert not scene.plant.alarms.book.alarms


@acted
async def test_what_stands_is_read_off_the_plant(scene: Scene) -> None:
    plant = scene.plant
    plant.kill.kill("a test", ALL)
    plant.journal_fault = "the disk is full"
    plant.outcome = Unsolved(reason="the solver process died with code 3", broke=True)
    plant.historian_full = True
    link(plant, connected=False, fault="connection refused")
    plant.acting.short_told = True

    found = kinds(conditions(plant, plant.alarms, NOW))

    assert found == [
        *("killed", "journal_down", "solver_down", "no_plan", "historian_full", "link_down"),
        "owed_short",
    ]


@acted
async def test_silent_devices_are_one_condition_for_each_enterprise(scene: Scene) -> None:
    plant = scene.plant
    owners = plant.file.park.enterprises
    plant.state = freeze(plant.file.park, plant.intake.newest, NOW + HOUR)
    found = conditions(plant, plant.alarms, NOW)

    silent = [one for one in found if one.kind == "devices_silent"]
    assert sorted(one.subject for one in silent) == sorted(e.enterprise_id for e in owners)
    assert sum(one.count for one in silent) == len(plant.file.park.resources)
    assert all(len(one.members) <= 20 for one in silent)
    assert "silent_widely" in kinds(found)


@acted
async def test_silent_devices_of_a_great_many_enterprises_are_one_condition(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = scene.plant
    monkeypatch.setattr(watch, "MOST_PLACES", len(plant.file.park.enterprises) - 1)
    plant.state = freeze(plant.file.park, plant.intake.newest, NOW + HOUR)
    found = conditions(plant, plant.alarms, NOW)

    (silent,) = [one for one in found if one.kind == "devices_silent"]
    assert silent.subject == "everywhere"
    assert silent.count == len(plant.file.park.resources)
    assert silent.detail == f"in {len(plant.file.park.enterprises)} places"
    assert "silent_widely" in kinds(found)


@acted
async def test_behind_a_link_that_is_down_all_silent_devices_are_one_condition(
    scene: Scene,
) -> None:
    plant = scene.plant
    plant.state = freeze(plant.file.park, plant.intake.newest, NOW + HOUR)
    link(plant, connected=False)

    found = [c for c in conditions(plant, plant.alarms, NOW) if c.kind != "link_down"]

    (silent,) = found
    assert (silent.kind, silent.subject, silent.count) == (
        "devices_silent",
        "behind mqtt",
        len(plant.file.park.resources),
    )
    assert silent.place == {"link": "mqtt"}


@acted
async def test_what_only_happens_stands_ten_minutes(scene: Scene) -> None:
    emit = scene.plant.events.emit
    emit("gate_missed", "nobody asked", at=NOW, severity=Severity.WARNING)
    emit("some_new_kind", "odd", at=NOW, severity=Severity.ALARM)
    emit("forecasting", "a model fails", at=NOW, severity=Severity.WARNING)

    await scene.look(last=2 * MINUTE)
    assert sorted(scene.kinds()) == ["gate_missed", "other"], "an alarm we do not know is told too"

    await scene.look(since=10 * MINUTE, last=2 * MINUTE)
    assert {a.state for a in scene.shown()} == {AlarmState.RETURNED}


@acted
async def test_what_is_told_to_be_over_is_over(scene: Scene) -> None:
    emit = scene.plant.events.emit
    emit("gate_at_risk", "no bid", at=NOW, severity=Severity.ALARM, venue="x", product="p")
    assert kinds(conditions(scene.plant, scene.plant.alarms, NOW)) == ["gate_at_risk"]

    emit("gate_at_risk", "it has one", at=NOW, venue="x", product="p")

    assert not conditions(scene.plant, scene.plant.alarms, NOW)


@acted
async def test_a_thousand_different_happenings_take_bounded_room(scene: Scene) -> None:
    for number in range(1500):
        scene.plant.events.emit(
            "award_gap", "a gap", at=NOW, severity=Severity.ALARM, venue=f"v-{number}"
        )
    await scene.look(last=2 * MINUTE)

    assert len(scene.plant.alarms.happened) <= 200
    assert len(scene.shown()) <= 10
    assert "other" in {a.condition.kind for a in scene.plant.alarms.book.alarms.values()}


def test_no_event_is_told_twice() -> None:
    assert not READ_OFF & HAPPENS.keys()


# ---------------------------------------------------------------- on record


@acted
async def test_alarms_survive_a_restart_as_they_were(scene: Scene) -> None:
    link(scene.plant, connected=False)
    await scene.look(last=MINUTE)
    (alarm,) = scene.shown()
    await alarms.acknowledge(
        scene.plant, alarm.alarm_id, by="Li", reason="on my way", now=scene.clock.at
    )

    scene.restart()
    await scene.look(since=2 * MINUTE, last=MINUTE)

    (after,) = scene.shown()
    assert (after.alarm_id, after.state) == (alarm.alarm_id, AlarmState.ACKNOWLEDGED)
    assert (after.acknowledged_by, after.comment) == ("Li", "on my way")


@acted
async def test_an_alarm_of_a_kind_that_only_another_release_knew_stays_on_record_alone(
    scene: Scene,
) -> None:
    link(scene.plant, connected=False)
    await scene.look(last=MINUTE)
    (alarm,) = scene.shown()
    await scene.plant.journal.append(
        alarms.ALARM,
        "a-000077/1",
        msgspec.json.encode(
            replace(alarm, alarm_id="a-000077", condition=Condition(kind="ghost", subject="x"))
        ),
        now=NOW,
    )

    scene.restart()
    await scene.look(since=2 * MINUTE, last=MINUTE)

    assert [one.alarm_id for one in scene.shown()] == [alarm.alarm_id]
    assert scene.plant.alarms.book.number == 77, "its number is not given again"
    told = [e.text for e in scene.plant.events.recent() if "does not know" in e.text]
    assert told == ["the record has alarms of kinds that this release does not know: ghost"]


@acted
async def test_what_was_over_when_the_service_began_again_returns_by_itself(scene: Scene) -> None:
    link(scene.plant, connected=False)
    await scene.look(last=MINUTE)
    link(scene.plant, connected=True)

    scene.restart()
    await scene.look(since=2 * MINUTE, last=MINUTE)

    (after,) = scene.shown()
    assert after.state is AlarmState.RETURNED


class FullDisk(MemoryJournal):
    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        raise UnavailableError("the disk is full", where="journal", fix="Free it")


@acted
async def test_changes_that_wait_for_the_disk_beyond_their_number_are_counted_and_told(
    scene: Scene,
) -> None:
    plant, journal = scene.plant, scene.plant.journal
    plant.journal = FullDisk()
    waiting = plant.alarms.unrecorded
    waiting.extend((f"link_down:before/{n}", b"{}", NOW) for n in range(MOST_UNRECORDED))

    link(plant, connected=False)
    await scene.look(last=MINUTE)

    changes = int(plant.metrics.registry.get_sample_value("vpp_alarm_changes_forgotten_total") or 0)
    assert changes == plant.alarms.forgotten >= 2  # the link, and the journal itself
    assert (len(waiting), waiting[0][0]) == (MOST_UNRECORDED, f"link_down:before/{changes}")

    plant.journal = journal
    await scene.look(since=2 * MINUTE)

    assert not waiting
    told = [event.text for event in plant.events.recent() if event.kind == "alarm"]
    assert [text for text in told if "disk" in text] == [
        "1000 changes of alarms wait for the disk: the oldest are forgotten",
        f"{changes} changes of alarms are on no record: the disk refused them for too long",
    ]


@acted
async def test_more_changes_at_once_than_may_wait_are_all_put_on_record_where_the_disk_takes_them(
    scene: Scene,
) -> None:
    plant = scene.plant
    waiting = plant.alarms.unrecorded
    waiting.extend((f"link_down:before/{n}", b"{}", NOW) for n in range(MOST_UNRECORDED))

    plant.kill.kill("a test", ALL)
    await scene.look()

    assert (len(waiting), plant.alarms.forgotten) == (0, 0)
    kept = [entry.key for entry in plant.journal.entries(alarms.ALARM)]
    assert len(kept) == MOST_UNRECORDED + 1
    assert not [e for e in plant.events.recent() if "disk" in e.text]


@acted
async def test_an_alarm_is_raised_though_the_journal_is_away_and_put_on_record_later(
    scene: Scene,
) -> None:
    plant = scene.plant
    journal = plant.journal
    plant.journal = FullDisk()
    link(plant, connected=False)
    await scene.look(last=MINUTE)
    assert "link_down" in scene.kinds()
    assert "journal_down" in scene.kinds()
    assert not list(journal.entries(alarms.ALARM))
    (first, *_) = scene.shown()
    with pytest.raises(UnavailableError):
        await alarms.acknowledge(plant, first.alarm_id, by="Li", reason="seen", now=NOW)
    assert scene.shown()[0].state is AlarmState.UNACKNOWLEDGED, "what is not on record is not so"

    plant.journal = journal
    await scene.look(since=2 * MINUTE)

    told = [entry.key for entry in journal.entries(alarms.ALARM)]
    assert len(told) == len(set(told)) >= 2


@acted
async def test_what_the_disk_left_in_doubt_can_be_tried_again(scene: Scene) -> None:
    class Doubtful(MemoryJournal):
        async def append_all(
            self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime
        ) -> None:
            await super().append_all(entries, now=now)
            raise UnavailableError("not known whether it is on disk", where="x", fix="Try again")

    plant = scene.plant
    link(plant, connected=False)
    await scene.look(last=MINUTE)
    (alarm,) = scene.shown()
    good, bad = plant.journal, Doubtful()
    plant.journal = bad
    with pytest.raises(UnavailableError):
        await alarms.acknowledge(plant, alarm.alarm_id, by="Li", reason="seen", now=NOW + MINUTE)
    assert scene.shown()[0].state is AlarmState.UNACKNOWLEDGED
    for entry in bad.entries(alarms.ALARM_ACT):  # it was on disk, though nobody knew
        await good.append(entry.kind, entry.key, entry.body, now=NOW + MINUTE)
    plant.journal = good

    await alarms.acknowledge(plant, alarm.alarm_id, by="Li", reason="seen", now=NOW + 2 * MINUTE)

    assert scene.shown()[0].acknowledged_at == NOW + 2 * MINUTE
    scene.restart()
    assert scene.shown()[0].acknowledged_at == NOW + 2 * MINUTE, "the newest try counts"


@acted
async def test_who_did_what_is_in_the_audit(scene: Scene) -> None:
    link(scene.plant, connected=False)
    await scene.look(last=MINUTE)
    (alarm,) = scene.shown()
    name, at = alarm.alarm_id, scene.clock.at
    plant = scene.plant
    await alarms.acknowledge(plant, name, by="Li", reason="seen it", now=at)
    until = at + HOUR
    await alarms.shelve(plant, name, until=until, by="Wang", reason="works at the net", now=at)
    await alarms.unshelve(plant, name, by="Wang", reason="works are over", now=at)

    found, older = await audit.acts(plant.journal, before=None, limit=2)

    assert [(e.what, e.about, e.by, e.reason) for e in found] == [
        ("unshelve", name, "Wang", "works are over"),
        ("shelve", name, "Wang", "works at the net"),
    ]
    assert older
    rest, older = await audit.acts(plant.journal, before=found[-1].number, limit=2)
    assert [e.what for e in rest] == ["acknowledge"]
    assert not older


@acted
async def test_the_audit_reads_back_from_the_newest_and_no_more_than_it_shows() -> None:
    class Read(MemoryJournal):
        taken = 0

        def entries(self, *kinds: str) -> Iterator[JournalEntry]:
            raise AssertionError("months of record are not read for one page")

        def newest(self, *kinds: str, before: int | None, limit: int) -> list[JournalEntry]:
            page = super().newest(*kinds, before=before, limit=limit)
            self.taken += len(page)
            return page

    journal = Read()
    steps = [(instructing.STEP, f"step {n}", b"{}") for n in range(450)]
    acts = [(overrides.OVERRIDE, f"ev-{n}/1", b'{"by": "Li", "reason": "test"}') for n in range(3)]
    await journal.append_all([*acts[:2], *steps, acts[2]], now=NOW)

    found, older = await audit.acts(journal, before=None, limit=2)
    assert ([e.about for e in found], older) == (["ev-2", "ev-1"], True)
    found, older = await audit.acts(journal, before=found[-1].number, limit=2)
    assert ([e.about for e in found], older) == (["ev-0"], False)

    many = [
        (overrides.OVERRIDE, f"pv-{n}/1", b'{"by": "Li", "reason": "test"}') for n in range(5000)
    ]
    await journal.append_all(many, now=NOW)
    journal.taken = 0
    found, older = await audit.acts(journal, before=None, limit=100)
    assert (len(found), older) == (100, True)
    assert journal.taken <= 300


@acted
async def test_a_shelf_has_an_end_that_is_near(scene: Scene) -> None:
    link(scene.plant, connected=False)
    await scene.look(last=MINUTE)
    (alarm,) = scene.shown()
    far = scene.clock.at + timedelta(hours=25)
    with pytest.raises(DataError):
        await alarms.shelve(
            scene.plant, alarm.alarm_id, until=far, by="Li", reason="later", now=scene.clock.at
        )
    with pytest.raises(ConflictError):
        await alarms.unshelve(
            scene.plant, alarm.alarm_id, by="Li", reason="back", now=scene.clock.at
        )
    with pytest.raises(DataError):
        await alarms.acknowledge(scene.plant, "a-999999", by="Li", reason="?", now=NOW)


# ---------------------------------------------------------------- told to people


@pytest.fixture
def mail(scene: Scene) -> Postbox:
    postbox = Postbox()
    scene.plant.people = staff(postbox)
    rule = {"priority": "high", "after_minutes": 5, "to": ["wang"]}
    section = AlarmsSection.model_validate({"escalate": [rule]})
    scene.plant.file = replace(scene.plant.file, alarms=section)
    return postbox


@acted
async def test_what_nobody_acknowledges_is_told_once_to_who_is_named(
    scene: Scene, mail: Postbox
) -> None:
    link(scene.plant, connected=False, fault="connection refused")
    await scene.look(last=5 * MINUTE)
    await settle(scene.plant)
    assert not mail.given

    await scene.look(since=5 * MINUTE + 10 * SECOND, last=10 * MINUTE)
    await settle(scene.plant)

    ((_, letter),) = mail.given
    assert letter.message.person_id == WANG
    assert letter.subject.startswith("告警：")
    assert "设备链路中断" in letter.subject
    assert "请在值班台查看并确认" in letter.text
    assert letter.link is None
    assert scene.shown()[0].escalated == (letter.message.message_id,)
    assert len(list(scene.plant.journal.entries(alarms.ALARM_ACT))) == 1, "on record once"


@acted
async def test_what_somebody_acknowledged_in_time_is_told_to_nobody(
    scene: Scene, mail: Postbox
) -> None:
    link(scene.plant, connected=False)
    await scene.look(last=MINUTE)
    (alarm,) = scene.shown()
    await alarms.acknowledge(
        scene.plant, alarm.alarm_id, by="Li", reason="seen it", now=scene.clock.at
    )
    await scene.look(since=2 * MINUTE, last=10 * MINUTE)
    await settle(scene.plant)

    assert not mail.given


@acted
async def test_a_person_can_be_told_by_hand_and_survives_a_restart(
    scene: Scene, mail: Postbox
) -> None:
    mail.outcomes = [NotYet(what="busy")]
    link(scene.plant, connected=False)
    await scene.look(last=MINUTE)
    (alarm,) = scene.shown()
    after = await alarms.escalate(
        scene.plant, alarm.alarm_id, ["wang"], by="Li", reason="needs hands", now=scene.clock.at
    )
    await settle(scene.plant)
    assert len(after.escalated) == 1

    scene.restart()
    await scene.look(since=2 * MINUTE, last=10 * MINUTE)

    assert scene.shown()[0].escalated == after.escalated, "told once, by whichever way"
    with pytest.raises(DataError):
        await alarms.escalate(
            scene.plant, alarm.alarm_id, ["nobody"], by="Li", reason="needs hands", now=NOW
        )


def test_that_somebody_was_not_reached_is_not_sent_to_somebody() -> None:
    assert {"people_unreached", "channel_down"} == NEVER


def test_a_park_file_may_say_otherwise() -> None:
    own = {"kinds": {"devices_silent": {"priority": "low", "after_s": 300}}}
    kinds = kinds_of(AlarmsSection.model_validate(own))
    condition = Condition(kind="devices_silent")
    book = AlarmBook(kinds=kinds)

    assert not book.look([condition], NOW)
    assert not book.look([condition], NOW + 299 * SECOND)
    (raised,) = book.look([condition], NOW + 300 * SECOND)
    assert raised.alarm.priority == "low"


# ---------------------------------------------------------------- over HTTP


@acted
async def test_the_desk_works_over_http(scene: Scene, serving: Serving) -> None:
    plant = scene.plant
    link(plant, connected=False)
    await scene.look(last=MINUTE)
    async with serving(plant) as client:
        listed = await (await client.get("/v1/alarms")).json()
        (alarm,) = listed["shown"]
        assert alarm["title"] == {"en": "Link to devices is down", "zh": "设备链路中断"}
        place = f"/v1/alarms/{alarm['alarm_id']}"

        nameless = await client.post(f"{place}/acknowledge", json={"reason": "seen it"})
        assert nameless.status == 422
        seen = await client.post(f"{place}/acknowledge", json={"by": "Li", "reason": "seen it"})
        assert (await seen.json())["state"] == "acknowledged"
        aside = {"by": "Li", "reason": "works", "for_minutes": 30}
        assert (await client.post(f"{place}/shelve", json=aside)).status == 200
        listed = await (await client.get("/v1/alarms")).json()
        assert [a["alarm_id"] for a in listed["shelved"]] == [alarm["alarm_id"]]
        assert not listed["shown"]
        back = {"by": "Li", "reason": "works are over"}
        assert (await client.post(f"{place}/unshelve", json=back)).status == 200
        again = await client.post(f"{place}/unshelve", json=back)
        assert (again.status, (await again.json())["code"]) == (409, "conflict")


@acted
async def test_a_hand_over_keeps_how_the_plant_stood(scene: Scene, serving: Serving) -> None:
    plant = scene.plant
    link(plant, connected=False)
    await scene.look(last=MINUTE)
    async with serving(plant) as client:
        written = {"by": "Li", "text": "Feeder north is back", "about": "north"}
        assert (await client.post("/v1/desk/log", json=written)).status == 200
        over = {"by": "Li", "to": "Wang", "text": "Quiet night"}
        made = await (await client.post("/v1/desk/handovers", json=over)).json()
        assert [a["title"]["en"] for a in made["summary"]["alarms"]] == ["Link to devices is down"]
        assert [e["text"] for e in made["summary"]["entries"]] == ["Feeder north is back"]
        link(plant, connected=True)
        scene.clock.at += HOUR
        listed = await (await client.get("/v1/desk/handovers")).json()
        assert listed["handovers"] == [made], "as it was, whatever came after"
        assert listed["draft"]["since"] == made["at"]
        assert not listed["draft"]["entries"], "those are handed over"
        audited = await (await client.get("/v1/desk/audit")).json()
        assert [(e["what"], e["by"]) for e in audited["entries"]] == [("handover", "Li")]


@acted
async def test_the_log_survives_a_restart(plant: Plant) -> None:
    first = await shift.write(plant, LogRequest(by="Li", text="North is back"), now=NOW)
    made = await shift.hand_over(plant, HandoverRequest(by="Li", to="Wang"), now=NOW + HOUR)

    plant.shifts = ShiftDesk()
    shift.recover(plant)
    second = await shift.write(plant, LogRequest(by="Wang", text="So it is"), now=NOW + HOUR)

    assert list(plant.shifts.entries) == [first, second]
    assert list(plant.shifts.handovers) == [made]
    assert second.number == 2


def test_every_act_of_the_audit_has_words() -> None:
    words = (web_folder() / "js" / "words" / "desk.js").read_text(encoding="utf-8")
    acts = {*audit.ACTS.values(), "release", "acknowledge", "shelve", "unshelve", "escalate"}
    for act in acts - {"alarm"}:
        assert words.count(f'"desk.act.{act}":') == 2, act


@acted
async def test_a_broken_strategy_file_is_an_alarm_until_it_is_mended(scene: Scene) -> None:
    plant = scene.plant
    fault = Fault(file="s.yaml", line=3, column=5, path="strategies.0", what="is no strategy")
    plant.tuning.seen = replace(plant.tuning.seen, faults=(fault, fault))
    await scene.look(last=MINUTE)
    (alarm,) = scene.shown()
    assert alarm.condition.kind == "strategy_broken"
    assert alarm.condition.detail.endswith("is no strategy (and 1 more)")

    plant.tuning.seen = replace(plant.tuning.seen, faults=())
    await scene.look(since=2 * MINUTE, last=MINUTE)
    assert scene.shown()[0].state is AlarmState.RETURNED
