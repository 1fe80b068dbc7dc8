"""Strategies are changed with care: checked, on record, taken whole at a plan, taken back; a broken file stops nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from adapters.memory_journal import MemoryJournal
from tests.commandsread import commands_of
from tests.service.conftest import NOW, QuietLink, Serving, a_schedule, hear, publish
from vpp.clock import SimulatedClock
from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.time import isoformat
from vpp.ports import Journal
from vpp.service import cycle
from vpp.service.api import strategies as api
from vpp.service.events import Severity
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.steering import setpoints
from vpp.service.strategies.reading import parse_strategies, read_strategies
from vpp.service.strategies.strategies import version_of
from vpp.service.tuning import changing, command, desk, record, shadow, trial
from vpp.service.tuning.view import strategies_view, version_view
from vpp.service.tuning.watch import look
from vpp.service.wiring import build_plant
from vpp.wirestrategies import PreviewView

STEP = timedelta(minutes=15)
FIRST = """\
strategies:
  - name: spot
    use: price_arbitrage
    with: {quarter_hour_spread_per_mwh: 4.0, imbalance_spread_per_mwh: 40.0}
"""
SECOND = FIRST.replace("imbalance_spread_per_mwh: 40.0", "imbalance_spread_per_mwh: 80.0")
BROKEN = FIRST.replace("4.0", "many").replace("name: spot", "nom: spot")


class Tuned:
    """A plant on a strategy file of its own."""

    def __init__(self, file: ParkFile, folder: Path, journal: Journal | None = None) -> None:
        self.path = folder / "strategies.yaml"
        if not self.path.exists():
            self.path.write_text(FIRST)
        self.journal = MemoryJournal() if journal is None else journal
        self.plant = self.start(file)
        self.now = NOW

    def start(self, file: ParkFile) -> Plant:
        link = QuietLink()
        return build_plant(
            replace(file, strategies=read_strategies(self.path, file.strategies.ground)),
            clock=SimulatedClock(NOW),
            data=self.path.parent,
            journal=self.journal,
            source=link,
            sink=link,
            venue=None,
            executor=InlineExecutor(),
            record=lambda measurement: True,
            strategy_file=self.path,
        )

    def put(self, text: str, based_on: str | None = None) -> None:
        asyncio.run(
            changing.put(
                self.plant,
                text,
                by="Li",
                reason="the battery is worn",
                based_on=version_of(self.path.read_text()) if based_on is None else based_on,
                now=self.now,
            )
        )

    def take(self) -> None:
        """The next plan begins."""
        self.now += STEP
        asyncio.run(changing.take(self.plant, self.now))

    def edit(self, text: str) -> None:
        """Somebody saves the file, and two looks pass."""
        self.path.write_text(text)
        self.look()
        self.look()

    def look(self) -> None:
        asyncio.run(look(self.plant, self.now))

    @property
    def spread(self) -> float:
        """What the live version says of imbalance."""
        (entry,) = self.plant.strategies.entries
        spread: float = entry.section.settings["imbalance_spread_per_mwh"]
        return spread

    def states(self) -> list[str]:
        return [version_view(self.plant, v).state for v in self.plant.tuning.versions.values()]

    def events(self, kind: str) -> list[str]:
        return [e.text for e in self.plant.events.recent() if e.kind == kind]

    def kinds(self) -> list[str]:
        names = (record.ACCEPTED, record.LIVE, record.OVERWRITTEN)
        return [entry.kind for entry in self.journal.entries(*names)]


@pytest.fixture
def tuned(park_file: ParkFile, tmp_path: Path) -> Tuned:
    """What the file said at the start is live: version 1."""
    tuned = Tuned(park_file, tmp_path)
    tuned.take()
    return tuned


def test_what_is_put_is_on_record_and_in_the_file_and_is_taken_at_the_next_plan(
    tuned: Tuned,
) -> None:
    tuned.put(SECOND)

    assert tuned.path.read_text() == SECOND
    assert record.text_of(tuned.journal, 2) == SECOND
    assert tuned.spread == 40  # not yet
    assert tuned.states() == ["live", "waiting"]
    tuned.take()
    assert tuned.spread == 80
    assert tuned.states() == ["was_live", "live"]
    assert tuned.plant.strategy_version == version_of(SECOND)
    live = list(tuned.journal.entries(record.LIVE))[-1]
    assert (live.key, json.loads(live.body)) == ("000002/plan-000001", {"plan_id": "plan-000001"})
    version = tuned.plant.tuning.versions[2]
    assert (version.by, version.live_from) == ("Li", tuned.now)
    assert tuned.plant.tuning.versions[1].live_until == tuned.now


def test_a_change_to_a_file_that_has_changed_since_is_refused(tuned: Tuned) -> None:
    with pytest.raises(ConflictError, match="the file holds"):
        tuned.put(SECOND, based_on="0123456789ab")

    assert tuned.path.read_text() == FIRST
    assert tuned.states() == ["live"]


def test_an_edit_that_nobody_has_looked_at_yet_is_not_written_over(tuned: Tuned) -> None:
    before = version_of(FIRST)
    tuned.path.write_text(SECOND)

    with pytest.raises(ConflictError):
        tuned.put(FIRST.replace("40.0", "60.0"), based_on=before)
    assert tuned.path.read_text() == SECOND


def test_a_broken_text_is_refused_with_every_fault_and_changes_nothing(tuned: Tuned) -> None:
    with pytest.raises(ConfigErrors) as refused:
        tuned.put(BROKEN)

    assert [(f.line, f.column) for f in refused.value.faults][:2] == [(2, 5), (2, 5)]
    assert len(refused.value.faults) >= 2
    assert tuned.path.read_text() == FIRST
    assert tuned.kinds() == [record.ACCEPTED, record.LIVE]


def test_an_edit_is_read_once_it_stays_and_waits_for_the_next_plan(tuned: Tuned) -> None:
    tuned.path.write_text(SECOND)
    tuned.look()
    assert tuned.states() == ["live"]  # it may be written still
    tuned.look()

    assert tuned.states() == ["live", "waiting"]
    assert tuned.plant.tuning.versions[2].by.startswith("owner of the file")
    tuned.take()
    assert tuned.spread == 80


def test_a_broken_edit_is_told_once_and_the_live_version_goes_on(tuned: Tuned) -> None:
    tuned.edit(BROKEN)
    tuned.look()
    tuned.path.unlink()  # saved once more, the same
    tuned.edit(BROKEN)
    tuned.take()

    assert tuned.spread == 40
    (text,) = tuned.events("strategies_broken")
    assert "strategies.yaml:2:5" in text
    alarms = [e for e in tuned.plant.events.recent() if e.severity is Severity.ALARM]
    assert len(alarms) == 1
    view = strategies_view(tuned.plant, tuned.now)
    assert view.file.state == "broken"
    assert view.file.faults[0].line == 2
    tuned.edit(FIRST)
    assert strategies_view(tuned.plant, tuned.now).file.state == "live"


def test_a_file_that_is_gone_changes_nothing_and_is_told(tuned: Tuned) -> None:
    tuned.path.unlink()
    tuned.look()
    tuned.look()
    tuned.take()

    assert tuned.spread == 40
    assert "cannot be read" in tuned.events("strategies_broken")[0]
    tuned.put(SECOND, based_on=version_of(""))
    tuned.take()
    assert tuned.path.read_text() == SECOND
    assert tuned.spread == 80


def test_a_text_that_is_written_over_and_was_never_a_version_is_kept_on_the_journal(
    tuned: Tuned,
) -> None:
    tuned.edit(BROKEN)
    tuned.put(SECOND)

    (kept,) = tuned.journal.entries(record.OVERWRITTEN)
    assert json.loads(kept.body) == {"text": BROKEN}
    assert tuned.path.read_text() == SECOND


def test_a_file_that_goes_back_to_what_runs_lets_nothing_wait(tuned: Tuned) -> None:
    tuned.edit(SECOND)
    tuned.edit(FIRST)
    tuned.take()

    assert tuned.spread == 40
    assert tuned.states() == ["live", "never_live"]


def test_a_newer_version_takes_the_place_of_one_that_waits(tuned: Tuned) -> None:
    tuned.put(SECOND)
    tuned.put(FIRST.replace("40.0", "60.0"))
    tuned.take()

    assert tuned.spread == 60
    assert tuned.states() == ["was_live", "never_live", "live"]


def test_rolling_back_takes_an_old_text_as_a_new_version(tuned: Tuned) -> None:
    tuned.put(SECOND)
    tuned.take()
    asyncio.run(
        changing.roll_back(
            tuned.plant,
            1,
            by="Wang",
            reason="it cycled too much",
            based_on=version_of(SECOND),
            now=tuned.now,
        )
    )
    tuned.take()

    assert tuned.spread == 40
    assert tuned.path.read_text() == FIRST
    assert tuned.states() == ["was_live", "was_live", "live"]
    assert tuned.plant.tuning.versions[3].origin == "rollback"
    with pytest.raises(DataError, match="there is no version 9"):
        asyncio.run(
            changing.roll_back(
                tuned.plant, 9, by="Wang", reason="why not", based_on="0" * 12, now=tuned.now
            )
        )


def test_who_begins_again_goes_on_with_the_version_that_was_live(
    tuned: Tuned, park_file: ParkFile
) -> None:
    tuned.put(SECOND)
    tuned.take()
    again = Tuned(park_file, tuned.path.parent, tuned.journal)
    again.take()

    assert (again.plant.tuning.live_number, again.states()) == (2, ["was_live", "live"])
    again.path.write_text(FIRST)
    third = Tuned(park_file, tuned.path.parent, tuned.journal)  # edited while nobody ran
    third.take()
    assert third.states() == ["was_live", "was_live", "live"]
    assert third.plant.tuning.versions[3].origin == "start"


class FullDisk(MemoryJournal):
    """A journal that can be made to refuse."""

    full = False

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        if self.full:
            raise UnavailableError("the disk is full", where="journal", fix="Make room")
        await super().append_all(entries, now=now)


def test_what_cannot_be_put_on_record_does_not_take_effect(
    park_file: ParkFile, tmp_path: Path
) -> None:
    disk = FullDisk()
    tuned = Tuned(park_file, tmp_path, disk)
    tuned.take()
    disk.full = True
    with pytest.raises(UnavailableError):
        tuned.put(SECOND)
    assert tuned.path.read_text() == FIRST
    disk.full = False
    tuned.put(SECOND)
    disk.full = True
    with pytest.raises(UnavailableError):
        tuned.take()
    assert tuned.spread == 40
    disk.full = False
    tuned.take()
    assert tuned.spread == 80


def test_a_file_that_cannot_be_written_is_told_and_the_live_version_goes_on(tuned: Tuned) -> None:
    tuned.plant.tuning.path = tuned.path.parent / "nowhere" / "strategies.yaml"
    with pytest.raises((UnavailableError, ConflictError)):
        tuned.put(SECOND)
    tuned.take()

    assert tuned.spread == 40


def test_a_link_stays_a_link_and_no_draft_is_left_behind(tuned: Tuned) -> None:
    real = tuned.path.with_name("real.yaml")
    tuned.path.rename(real)
    tuned.path.symlink_to(real)
    tuned.put(SECOND)

    assert tuned.path.is_symlink()
    assert real.read_text() == SECOND
    assert sorted(p.name for p in tuned.path.parent.iterdir() if "yaml" in p.name) == [
        "real.yaml",
        "strategies.yaml",
    ]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(st.sampled_from(["put", "edit", "break", "remove", "take", "back"]), max_size=8)
)
def test_whatever_happens_to_the_file_plans_go_by_the_newest_version_that_was_taken(
    park_file: ParkFile, tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    tuned = Tuned(park_file, tmp_path_factory.mktemp("tuned"))
    tuned.take()
    for number, step in enumerate(steps):
        text = FIRST.replace("40.0", f"{50 + number}.0")
        match step:
            case "put":
                tuned.put(text, based_on=tuned.plant.tuning.seen.version)
            case "edit":
                tuned.edit(text)
            case "break":
                tuned.edit(BROKEN + f"# {number}\n")
            case "remove":
                tuned.path.unlink(missing_ok=True)
                tuned.look()
                tuned.look()
            case "take":
                tuned.take()
            case "back":
                tuned.edit(FIRST)
        live = tuned.plant.tuning.live_number
        assert record.text_of(tuned.journal, live) == tuned.plant.strategies.text
        assert live == record.live_number(record.versions_on_record(tuned.journal))
    assert record.versions_on_record(tuned.journal) == tuned.plant.tuning.versions


def test_the_oldest_versions_are_left_to_the_journal_and_read_from_it_when_asked_for(
    tuned: Tuned, serving: Serving, monkeypatch: pytest.MonkeyPatch, park_file: ParkFile
) -> None:
    monkeypatch.setattr(desk, "MOST_VERSIONS", 2)
    monkeypatch.setattr(api, "MOST_VERSIONS", 2)
    tuned.put(SECOND)
    tuned.take()
    trial.fall_back(tuned.plant)  # its plan stands: version 2 is live, and stays at hand
    for spread in ("81.0", "82.0", "83.0"):
        tuned.put(SECOND.replace("80.0", spread))
    assert list(tuned.plant.tuning.versions) == [2, 4, 5]
    begun = Tuned(park_file, tuned.path.parent, tuned.journal)
    assert set(begun.plant.tuning.versions) == {2, 4, 5}

    async def asked() -> tuple[list[list[int]], list[str], int]:
        async with serving(tuned.plant) as client:
            listed = []
            for query in ("", "?before=4", "?before=2"):
                answer = await client.get(f"/v1/strategies/versions{query}")
                listed.append([one["number"] for one in (await answer.json())["versions"]])
            oldest = await (await client.get("/v1/strategies/versions/1")).json()
            third = await (await client.get("/v1/strategies/versions/3")).json()
            nothing = await client.get("/v1/strategies/versions/6")
            assert oldest["text"] == FIRST
            return listed, third["changes"], nothing.status

    listed, changes, missing = asyncio.run(asked())

    assert listed == [[5, 4], [3, 2], [1]]
    assert len(changes) == 1  # against version 2
    assert missing == 404


def test_over_http_a_change_is_read_checked_put_and_listed(tuned: Tuned, serving: Serving) -> None:
    asyncio.run(over_http(tuned, serving))


async def over_http(tuned: Tuned, serving: Serving) -> None:
    async with serving(tuned.plant) as client:
        shown = await (await client.get("/v1/strategies")).json()
        assert (shown["live"]["number"], shown["file"]["state"]) == (1, "live")
        answer = await client.post("/v1/strategies/validate", json={"text": SECOND})
        assert (await answer.json())["changes"] == [
            "spot: imbalance_spread_per_mwh 40.0 becomes 80.0 (+40)"
        ]
        answer = await client.post("/v1/strategies/validate", json={"text": BROKEN})
        told = await answer.json()
        assert not told["valid"]
        assert {"line", "column", "path", "what"} == told["faults"][0].keys()
        body = {"text": BROKEN, "by": "Li", "reason": "a try", "based_on": shown["file"]["version"]}
        answer = await client.put("/v1/strategies", json=body)
        assert (answer.status, (await answer.json())["code"]) == (422, "invalid_strategies")
        answer = await client.put("/v1/strategies", json=body | {"text": SECOND})
        assert (await answer.json())["state"] == "waiting"
        answer = await client.put("/v1/strategies", json=body | {"text": FIRST})
        assert (answer.status, (await answer.json())["code"]) == (409, "conflict")
        listed = await (await client.get("/v1/strategies/versions")).json()
        assert [one["number"] for one in listed["versions"]] == [2, 1]
        one = await (await client.get("/v1/strategies/versions/2")).json()
        assert one["text"] == SECOND
        assert len(one["changes"]) == 1
        assert (await client.get("/v1/strategies/versions/77")).status == 404


def test_a_set_point_names_the_strategies_of_the_plan_that_it_serves(
    tuned: Tuned,
) -> None:
    plant = tuned.plant
    hear(plant, NOW - timedelta(seconds=30))
    publish(plant)
    plant.schedule = replace(a_schedule(plant.file), strategy_version="0123456789ab")
    plant.reconciled = True
    asyncio.run(cycle.act(plant, NOW))

    told = [one for e in tuned.journal.entries(setpoints.SETPOINTS) for one in commands_of(e.body)]
    assert told
    assert {one["strategies"] for one in told} == {"0123456789ab"}
    assert {one.strategy_version for one in plant.setpoints.values()} == {"0123456789ab"}


def test_a_candidate_begins_and_ends_by_name_and_is_there_after_a_restart(
    tuned: Tuned, serving: Serving, park_file: ParkFile
) -> None:
    asyncio.run(in_the_shadow(tuned, serving))
    again = Tuned(park_file, tuned.path.parent, tuned.journal).plant.tuning.shadow
    assert again is not None
    assert (again.strategies.text, again.by, again.ended) == (SECOND, "Li", True)


def test_a_day_in_the_shadow_is_scored_in_a_loop_of_its_own_so_that_no_plan_waits_for_it(
    tuned: Tuned,
) -> None:
    plant = tuned.plant
    plant.file = replace(
        plant.file, simulation=None
    )  # so that nothing is played, and it is told why
    other = parse_strategies(SECOND.encode(), plant.strategies.ground, name="other")
    asyncio.run(shadow.start(plant, other, by="Li", reason="is it better?", now=NOW))
    running, tomorrow = plant.tuning.shadow, NOW + timedelta(days=1)
    assert running is not None

    asyncio.run(shadow.follow(plant, tomorrow))
    assert running.days == {}
    asyncio.run(shadow.score(plant, tomorrow))

    (day,) = running.days.values()
    assert (day.day, day.live) == (NOW.date(), None)
    assert "no simulation section" in day.reason
    assert list(shadow.loops(plant, SimulatedClock(NOW).seat)) == ["shadow", "shadow_day"]


def in_the_shadow_since_yesterday(tuned: Tuned) -> tuple[desk.Shadow, datetime]:
    other = parse_strategies(SECOND.encode(), tuned.plant.strategies.ground, name="other")
    asyncio.run(shadow.start(tuned.plant, other, by="Li", reason="is it better?", now=NOW))
    running = tuned.plant.tuning.shadow
    assert running is not None
    return running, NOW + timedelta(days=1)


def test_a_day_whose_playing_broke_off_is_played_when_next_looked_at(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = tuned.plant
    running, tomorrow = in_the_shadow_since_yesterday(tuned)

    async def broken(*_: object, **__: object) -> None:
        raise OSError("no process can be started")

    with monkeypatch.context() as changed:
        changed.setattr(shadow, "both_lives", broken)
        with pytest.raises(OSError, match="no process"):
            asyncio.run(shadow.score(plant, tomorrow))
    assert running.days == {}
    plant.file = replace(plant.file, simulation=None)  # nothing is played, and it is told why
    asyncio.run(shadow.score(plant, tomorrow))

    assert list(running.days) == [NOW.date()]


def test_a_candidate_that_left_while_its_day_was_played_does_not_get_it(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = tuned.plant
    running, tomorrow = in_the_shadow_since_yesterday(tuned)

    async def meanwhile(*_: object, **__: object) -> None:
        await shadow.end(plant, by="Li", reason="seen enough", now=tomorrow)
        raise UnavailableError("it was not played", where="preview", fix="Try again")

    monkeypatch.setattr(shadow, "both_lives", meanwhile)
    asyncio.run(shadow.score(plant, tomorrow))

    assert running.ended
    assert running.days == {}
    assert list(tuned.journal.entries(record.SHADOW_DAY)) == []


async def in_the_shadow(tuned: Tuned, serving: Serving) -> None:
    path = "/v1/strategies/shadow"
    async with serving(tuned.plant) as client:
        assert (await (await client.get(path)).json()) == {"shadow": None}
        body = {"text": FIRST, "by": "Li", "reason": "is it better?"}
        assert (await client.post(path, json=body)).status == 409  # it is live
        body |= {"text": BROKEN}
        assert (await client.post(path, json=body)).status == 422
        answer = await client.post(path, json=body | {"text": SECOND})
        shown = (await answer.json())["shadow"]
        assert (shown["state"], shown["plans"], shown["days"]) == ("running", 0, [])
        answer = await client.post(f"{path}/end", json={"by": "Li", "reason": "it is not"})
        assert (await answer.json())["shadow"]["state"] == "ended"
    kept = list(tuned.journal.entries(record.SHADOW, record.SHADOW_END))
    assert [entry.kind for entry in kept] == [record.SHADOW, record.SHADOW_END]
    assert tuned.plant.strategies.text == FIRST


def test_who_waits_for_a_preview_elsewhere_than_at_a_terminal_is_told_in_lines_and_ends_it_by_a_signal(
    tuned: Tuned, serving: Serving, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(SECOND)

    async def ended() -> tuple[str, int | None, str]:
        async with serving(tuned.plant) as client:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "vpp", "strategies", "preview", str(other)),
                *("--url", str(client.make_url("/"))),
                stderr=asyncio.subprocess.PIPE,
            )
            assert child.stderr is not None
            line = (await child.stderr.readline()).decode()
            child.terminate()
            rest = (await child.stderr.read()).decode()
            return line, await child.wait(), rest

    line, code, rest = asyncio.run(ended())

    assert line.startswith("preview-0001: 0% ")
    assert (code, rest.splitlines()[-1]) == (1, "vpp: stopped")
    assert tuned.plant.tuning.previews["preview-0001"].state == "cancelled"


def test_a_preview_is_told_again_where_it_does_something_else_and_each_tenth_of_the_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = command.Told(Console())
    for doing, progress in (("begins", 0.0), ("begins", 0.05), ("plays", 0.05), ("plays", 0.11)):
        told.tell(a_preview_view(doing=doing, progress=progress))

    assert capsys.readouterr().out.splitlines() == [
        "preview-0001: 0% begins",
        "preview-0001: 5% plays",
        "preview-0001: 11% plays",
    ]


def a_preview_view(*, doing: str, progress: float) -> PreviewView:
    return PreviewView(
        preview_id="preview-0001",
        state="running",
        doing=doing,
        progress=progress,
        asked_at=NOW,
        took_s=1.0,
        old_version="aaaa",
        new_version="bbbb",
        changes=[],
        backtest=None,
        no_backtest=None,
        plan=None,
        no_plan=None,
    )


def test_a_version_is_listed_to_the_second(tuned: Tuned) -> None:
    tuned.now += timedelta(microseconds=123_456)
    tuned.put(SECOND)

    newest = list(tuned.plant.tuning.versions.values())[-1]
    line = command.version_line(version_view(tuned.plant, newest))

    assert f"waiting  {isoformat(NOW + STEP)}  Li: the battery is worn" in line


def test_one_preview_runs_at_a_time_and_can_be_ended(tuned: Tuned, serving: Serving) -> None:
    asyncio.run(previewed(tuned, serving))


async def previewed(tuned: Tuned, serving: Serving) -> None:
    path = "/v1/strategies/preview"
    async with serving(tuned.plant) as client:
        first = await (await client.post(path, json={"text": SECOND})).json()
        assert (first["state"], first["new_version"]) == ("running", version_of(SECOND))
        refused = await client.post(path, json={"text": SECOND})
        assert (refused.status, (await refused.json())["code"]) == (429, "preview_running")
        ended = await client.delete(f"/v1/strategies/previews/{first['preview_id']}")
        assert (await ended.json())["state"] == "cancelled"
        assert (await client.get("/v1/strategies/previews/nobody")).status == 404
        again = await client.post(path, json={"text": SECOND, "backtest_days": 0})
        assert again.status == 200
