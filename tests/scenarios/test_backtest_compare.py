"""Lives through the same days side by side: as one after the other, and as if nobody had interrupted."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tests.scenarios.test_backtest import options, unseen
from vpp.errors import ConfigError, DataError
from vpp.model.schedule import Outcome, Unsolved
from vpp.model.time import Interval
from vpp.plan.problem import Problem
from vpp.plan.solve import solve
from vpp.service.backtest.asked import BacktestOptions, Way
from vpp.service.backtest.backtest import Backtest, backtest
from vpp.service.backtest.compare import both_ways, compare
from vpp.service.backtest.days import SERVICES
from vpp.service.backtest.fingerprint import fingerprint
from vpp.service.backtest.kept import PlanRecord, RecordedExecutor, kept_in
from vpp.service.backtest.living import Lived, Variant, lived
from vpp.service.backtest.page import page_of
from vpp.service.backtest.show import show_backtest
from vpp.service.backtest.variants import with_strategies
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile
from vpp.service.strategies.reading import without_file

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark

HOUR = timedelta(hours=1)


class Counting:
    """An executor that counts what it solves, and stops with an error after so many."""

    pid: int | None = None

    def __init__(self, most: int = 1000) -> None:
        self.solved, self._most = 0, most

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        if self.solved == self._most:
            raise RuntimeError("interrupted")
        self.solved += 1
        return solve(problem, lambda: 0.0)


def asked_of(file: ParkFile) -> BacktestOptions:
    """A day and the first hour of the next one, so that two are told."""
    first = options(file, hours=24, foresight=False)
    return replace(first, span=Interval(first.span.start, first.span.end + HOUR), every=6 * HOUR)


def untraded(file: ParkFile) -> ParkFile:
    """The park with what every park needs, and no strategy."""
    return replace(file, strategies=without_file(file.strategies.ground))


@pytest.fixture(scope="module")
def file(small_park: MakePark) -> ParkFile:
    return small_park()


@pytest.fixture(scope="module")
def asked(file: ParkFile) -> BacktestOptions:
    return asked_of(file)


@pytest.fixture(scope="module")
def straight(file: ParkFile, asked: BacktestOptions) -> Backtest:
    return asyncio.run(backtest(file, asked, Counting(), unseen))


def told(result: Backtest) -> str:
    return json.dumps(result.document())


def life(file: ParkFile, asked: BacktestOptions, record: Path, executor: Counting) -> Lived:
    with PlanRecord(record) as plans:
        recorded = RecordedExecutor(executor, plans)
        variant = Variant(name=Way.POINT.value, file=file)
        return asyncio.run(lived(variant, asked, Way.POINT, recorded, lambda plant: None))


# ---------------------------------------------------------------- days


def test_days_add_up_to_the_span_cause_by_cause(straight: Backtest) -> None:
    life = straight.lives[0]

    assert [str(day.day) for day in life.days] == ["2025-12-03", "2025-12-04"]
    causes = {name: cost for name, cost in life.causes.items() if name != SERVICES}
    assert causes == pytest.approx(dict(life.ours.causes), abs=1e-6)
    assert life.cost == pytest.approx(life.ours.cost + life.causes[SERVICES])


def test_a_part_of_a_course_is_what_a_part_of_the_days_recorded(straight: Backtest) -> None:
    """The last hour alone draws less than the day, and the most of it is no more than the day's."""
    day, hour = straight.lives[0].days

    assert 0 < hour.import_kwh < day.import_kwh / 10
    assert hour.carbon_kgco2 == pytest.approx(hour.import_kwh * 0.1)
    assert day.cycles > 0


# ---------------------------------------------------------------- interrupted


def test_who_was_interrupted_goes_on_and_solves_nothing_twice(
    tmp_path: Path, file: ParkFile, asked: BacktestOptions, straight: Backtest
) -> None:
    record, first, second = tmp_path / "01.plans", Counting(most=4), Counting()

    with pytest.raises(ExceptionGroup):
        life(file, asked, record, first)
    record.write_bytes(record.read_bytes()[:-7])  # torn in the middle of the fourth
    went_on = life(file, asked, record, second)

    whole = straight.lives[0].ours.plans
    assert went_on.document(went_on) == straight.lives[0].document(straight.lives[0])
    assert first.solved == 4
    assert second.solved == Counted.all_of(record) - 3
    assert second.solved >= whole - 3


class Counted:
    """How many plans stand in a record."""

    @staticmethod
    def all_of(record: Path) -> int:
        with PlanRecord(record) as plans:
            return len(plans)


def test_a_record_that_was_damaged_is_cut_off_where_it_is_damaged(tmp_path: Path) -> None:
    record = tmp_path / "01.plans"
    with PlanRecord(record) as plans:
        for key in (b"a", b"b", b"c"):
            plans.add(key * 32, Unsolved(reason="none"))
    content = bytearray(record.read_bytes())
    content[2 * len(content) // 3 - 1] ^= 1  # the last byte of the second
    record.write_bytes(content)

    with PlanRecord(record) as plans:
        assert len(plans) == 1
    assert len(record.read_bytes()) == len(content) // 3


def test_a_record_of_plans_runs_no_code(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("run",)

    with PlanRecord(tmp_path / "01.plans") as plans:
        plans.add(b"k" * 32, Runs())  # type: ignore[arg-type]
        with pytest.raises(DataError, match="no part of a plan"):
            plans.find(b"k" * 32)


def test_another_question_in_the_same_folder_is_refused_and_so_is_a_second_process(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "kept"

    def held(place: Path, seed: int) -> None:
        with kept_in(place, {"seed": seed}):
            pass

    with (
        kept_in(folder, {"seed": 1}),
        pytest.raises(ConfigError, match="another back-test is at work"),
    ):
        held(folder, 1)
    with pytest.raises(ConfigError, match="other seed"):
        held(folder, 2)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="something else"):
        held(tmp_path, 1)


# ---------------------------------------------------------------- side by side


@pytest.fixture(scope="module")
def compared(
    tmp_path_factory: pytest.TempPathFactory, file: ParkFile, asked: BacktestOptions
) -> tuple[Backtest, Path]:
    """The park as it is beside one without strategies, an hour of it."""
    folder = tmp_path_factory.mktemp("compared")
    (folder / "lock").touch()
    short = replace(asked, span=Interval(asked.span.start, asked.span.start + HOUR))
    variants = [
        Variant(name="current", file=file),
        Variant(name="candidate", file=untraded(file)),
    ]
    return asyncio.run(compare(variants, short, folder=folder)), folder


def test_lives_in_processes_of_their_own_come_to_what_one_process_makes_of_them(
    compared: tuple[Backtest, Path], file: ParkFile
) -> None:
    result, _ = compared
    alone = asyncio.run(backtest(file, result.options, Counting(), unseen)).lives[0]

    current, candidate = result.lives
    assert current.document(current) | {"name": "point"} == alone.document(alone)
    assert [row.title for row in result.rows] == ["nothing", "current", "candidate"]
    assert current.strategies != candidate.strategies
    assert "less_the_first" in candidate.document(current)


def test_what_has_ended_is_not_lived_through_again(compared: tuple[Backtest, Path]) -> None:
    result, folder = compared
    for record in folder.glob("*.plans"):
        record.unlink()
    variants = [
        Variant(name="current", file=result.file),
        Variant(
            name="candidate",
            file=untraded(result.file),
        ),
    ]

    again = asyncio.run(compare(variants, result.options, folder=folder))

    assert told(again) == told(result)
    assert not list(folder.glob("*.plans"))


def test_a_life_that_cannot_be_lived_is_told_by_its_own_error(
    file: ParkFile, asked: BacktestOptions
) -> None:
    bad = replace(asked, every=timedelta(minutes=20))

    with pytest.raises(ConfigError, match="every"):
        asyncio.run(both_ways(Variant(name="small", file=file), bad))


def test_variants_need_names_of_their_own(file: ParkFile, asked: BacktestOptions) -> None:
    one = Variant(name="same", file=file)

    with pytest.raises(ConfigError, match="name of its own"):
        asyncio.run(compare([one, one], asked))


# ---------------------------------------------------------------- fingerprints


def test_a_park_has_the_same_fingerprint_wherever_it_lies_and_another_for_another_series(
    file: ParkFile,
) -> None:
    assert file.simulation is not None
    moved = replace(pickle.loads(pickle.dumps(file)), folder=Path("/elsewhere"))
    spot = file.simulation.day_ahead_per_mwh
    dearer = replace(
        file,
        simulation=replace(
            file.simulation, day_ahead_per_mwh=replace(spot, values=spot.values + 1.0)
        ),
    )

    assert fingerprint(moved) == fingerprint(file)
    assert fingerprint(dearer) != fingerprint(file)
    assert fingerprint({1: "a", 2: "b"}) == fingerprint({2: "b", 1: "a"})
    assert fingerprint([1, 2]) != fingerprint([2, 1])


# ---------------------------------------------------------------- strategy files, and what is shown


def test_strategy_files_are_compared_by_their_names_and_faults_are_told_by_line(
    file: ParkFile, tmp_path: Path
) -> None:
    good, bad = tmp_path / "calmer.yaml", tmp_path / "bad.yaml"
    good.write_text("strategies: []\n", encoding="utf-8")
    bad.write_text("strategies:\n  - {name: spot, use: nothing_such}\n", encoding="utf-8")

    assert [one.name for one in with_strategies(file, [good])] == ["current", "calmer"]
    with pytest.raises(ConfigErrors, match=r"bad\.yaml:2:"):
        with_strategies(file, [bad])
    with pytest.raises(ConfigError, match="name of another one"):
        with_strategies(file, [good, good])


def test_the_page_tells_every_life_and_day_and_is_the_same_each_time(
    compared: tuple[Backtest, Path], straight: Backtest
) -> None:
    result, _ = compared
    page = page_of(result)

    assert page == page_of(result)
    for word in ("current", "candidate", "2025-12-03", "Saved against current"):
        assert word in page
    assert "candidate costs" in page
    assert "<script" not in page
    assert "Saved against" not in page_of(straight)


def test_the_table_ends_with_how_lives_differ(compared: tuple[Backtest, Path]) -> None:
    out = io.StringIO()

    show_backtest(compared[0], Console(file=out, width=200))

    assert "candidate costs" in out.getvalue()
    assert "than current" in out.getvalue()
