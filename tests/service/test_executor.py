"""The executor always answers: whatever its child does, within the hard limit, and goes on after."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import vpp
from tests.patience import PATIENCE_S
from vpp.errors import UnavailableError
from vpp.model.demand import ActualDemand
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ConnectionPointId, EnterpriseId, ParkId, ProductId, ResourceId
from vpp.model.measurement import ParkState, Quality, Reading
from vpp.model.park import ConnectionPoint, Enterprise, Limits, Park
from vpp.model.resource import Storage
from vpp.model.schedule import Feasible, Optimal, Outcome, Schedule, Size, Unsolved
from vpp.model.tariff import TouBand, TwoPartTariff
from vpp.plan.problem import Method, Problem, SolveOptions
from vpp.plan.terms import Commitment, OpenTrade
from vpp.plan.validate import violations
from vpp.plan.view import PlanningView
from vpp.service.solving.child import answer as child_answer
from vpp.service.solving.executor import ProcessExecutor
from vpp.service.solving.handover import loaded, sheet
from vpp.service.solving.inline import InlineExecutor
from vpp.service.solving.warmchild import Failed, WarmChild

NOON = datetime(2025, 12, 3, 11, tzinfo=UTC)
PRICE = np.array([0.1, 0.3])


def a_problem(plan_id: str = "plan-1") -> Problem:
    """A lossless battery of 100 kWh and two hours: charge at 0.10, discharge at 0.30."""
    horizon = Horizon(NOON, timedelta(hours=1), 2)
    owner, point = EnterpriseId("a"), ConnectionPointId("cp-a")
    battery = Storage(
        resource_id=ResourceId("bat"),
        enterprise_id=owner,
        connection_point_id=point,
        capacity_kwh=100,
        max_charge_kw=100,
        max_discharge_kw=100,
        charge_efficiency=1,
        discharge_efficiency=1,
    )
    band = TouBand(
        name="all",
        start=datetime.min.time(),
        end=datetime.min.time(),
        price_per_kwh=Decimal(0),
    )
    park = Park(
        park_id=ParkId("test"),
        name="Test park",
        timezone=ZoneInfo("Europe/Stockholm"),
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=Limits(),
        feeders=(),
        enterprises=(Enterprise(enterprise_id=owner, name="A"),),
        connection_points=(
            ConnectionPoint(
                connection_point_id=point,
                enterprise_id=owner,
                feeder_id=None,
                limits=Limits(),
                meter_id=ResourceId("meter"),
                tariff_id="t",
            ),
        ),
        resources=(battery,),
        bidding_units=(),
        tariffs=(
            TwoPartTariff(
                tariff_id="t", bands=(band,), demand=ActualDemand(price_per_kw_month=Decimal(0))
            ),
        ),
        grid_kgco2_per_kwh=0.0,
    )
    reading = Reading(
        resource_id=ResourceId("bat"),
        enterprise_id=owner,
        measured_at=NOON,
        received_at=NOON,
        seq=1,
        quality=Quality.GOOD,
        power_kw=0.0,
        soc=0.0,
    )
    view = PlanningView(
        now=NOON,
        park=park,
        horizon=horizon,
        state=ParkState(taken_at=NOON, resources=(reading,)),
        base_kw={},
        available_kw={},
        outdoor_degc={},
        arriving_kw={},
        spot_per_kwh=Profile(horizon, PRICE),
        committed_kw=np.zeros(2),
        open_products=(),
        import_per_kwh={},
        paid_peaks=(),
    )
    return Problem(
        view=view,
        terms=(
            Commitment(base_kw=np.zeros(2), short_per_kwh=PRICE + 1, long_per_kwh=PRICE - 1),
            OpenTrade(
                product_id=ProductId("spot"),
                sell_per_kwh=PRICE,
                buy_per_kwh=PRICE,
                max_kw=np.full(2, 1e3),
            ),
        ),
        options=SolveOptions(
            plan_id=plan_id,
            strategy_version="test/1",
            gap=1e-3,
            soft_s=10.0,
            limit_excess_price_per_kwh=10.0,
        ),
        preferred_starts={},
    )


def is_the_plan(outcome: Outcome, plan_id: str = "plan-1") -> bool:
    return (
        isinstance(outcome, Optimal)
        and outcome.schedule.plan_id == plan_id
        and np.allclose(outcome.schedule.power_kw, [[-100, 100]])
    )


# ---------------------------------------------------------------- a child that works


def test_the_child_gives_the_plan_that_this_process_would_cold_and_warm() -> None:
    async def plans() -> list[Outcome]:
        inline = await InlineExecutor().solve(a_problem(), hard_s=PATIENCE_S)
        async with ProcessExecutor() as executor:
            cold = await executor.solve(a_problem(), hard_s=PATIENCE_S)
            warm = await executor.solve(a_problem(), hard_s=PATIENCE_S)
            assert executor.restarts == 0
        return [inline, cold, warm]

    inline, cold, warm = asyncio.run(plans())

    for outcome in (inline, cold, warm):
        assert is_the_plan(outcome)
        assert isinstance(outcome, Optimal)
        assert isinstance(inline, Optimal)
        assert outcome.schedule.power_kw.tobytes() == inline.schedule.power_kw.tobytes()
        assert outcome.schedule.input_digest == inline.schedule.input_digest


def test_the_child_keeps_what_a_plan_may_take_from_the_one_before() -> None:
    problem = a_problem()
    options = replace(problem.options, method=Method.STRUCTURED)

    async def plans() -> list[Outcome]:
        async with ProcessExecutor() as executor:
            asked = replace(problem, options=options)
            return [await executor.solve(asked, hard_s=PATIENCE_S) for _ in range(2)]

    first, again = asyncio.run(plans())
    assert isinstance(first, Optimal)
    assert isinstance(again, Optimal)
    assert first.schedule.how.why == "every tree fits"
    assert again.schedule.how.why.endswith("only what differs from the plan before was solved")
    assert (again.schedule.power_kw == first.schedule.power_kw).all()


def test_problems_wait_for_their_turn_and_each_gets_its_own_answer() -> None:
    async def plans() -> list[Outcome]:
        async with ProcessExecutor() as executor:
            return await asyncio.gather(
                *(executor.solve(a_problem(f"plan-{i}"), hard_s=PATIENCE_S) for i in range(5))
            )

    outcomes = asyncio.run(plans())

    assert all(is_the_plan(outcome, f"plan-{i}") for i, outcome in enumerate(outcomes))


def test_a_problem_that_makes_no_sense_is_unsolved_and_the_child_lives_on() -> None:
    problem = a_problem()
    nonsense = replace(problem, terms=problem.terms[1:])

    async def plans() -> tuple[Outcome, Outcome, int]:
        async with ProcessExecutor() as executor:
            bad = await executor.solve(nonsense, hard_s=PATIENCE_S)
            good = await executor.solve(problem, hard_s=PATIENCE_S)
            return bad, good, executor.restarts

    bad, good, restarts = asyncio.run(plans())

    assert isinstance(bad, Unsolved)
    assert "Add a Commitment" in bad.reason
    assert is_the_plan(good)
    assert restarts == 0


def no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def a_long_problem() -> Problem:
    """One whose arrays do not go with the objects."""
    problem, many = a_problem(), np.zeros(1000)
    longer = Commitment(base_kw=many, short_per_kwh=many + 1, long_per_kwh=many - 1)
    return replace(problem, terms=(longer, *problem.terms[1:]))


def test_no_memory_for_a_question_is_told_and_the_child_lives_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def plans() -> tuple[Outcome, Outcome, int, bool]:
        async with ProcessExecutor() as executor:
            await executor.solve(a_problem(), hard_s=PATIENCE_S)
            pid = executor.pid
            with monkeypatch.context() as full:
                full.setattr(os, "pwritev", no_room)
                bad = await executor.solve(a_long_problem(), hard_s=PATIENCE_S)
            good = await executor.solve(a_problem(), hard_s=PATIENCE_S)
            return bad, good, executor.restarts, executor.pid == pid

    bad, good, restarts, same = asyncio.run(plans())

    assert isinstance(bad, Unsolved)
    assert bad.reason.startswith("no memory is left to ask the solver process")
    assert bad.broke
    assert is_the_plan(good)
    assert (restarts, same) == (0, True)


def test_no_memory_for_an_answer_is_the_answer() -> None:
    large = Unsolved(reason="as long as a course")
    object.__setattr__(large, "reason", np.zeros(1000))  # an array that a sheet must hold
    with sheet() as descriptor, pytest.MonkeyPatch.context() as full:
        full.setattr(os, "pwritev", no_room)
        outcome = loaded(child_answer(large, descriptor), descriptor)

    assert isinstance(outcome, Unsolved)
    assert outcome.reason.startswith("no memory is left for the plan")


def test_a_child_is_replaced_by_a_fresh_one_from_time_to_time() -> None:
    async def pids() -> tuple[list[int | None], int]:
        seen = []
        async with ProcessExecutor(recycle_after=2) as executor:
            for _ in range(3):
                await executor.solve(a_problem(), hard_s=PATIENCE_S)
                seen.append(executor.pid)
            return seen, executor.restarts

    (first, _, third), restarts = asyncio.run(pids())

    assert first != third
    assert restarts == 0


def test_an_executor_that_is_not_open_says_so() -> None:
    with pytest.raises(UnavailableError, match="async with"):
        asyncio.run(ProcessExecutor().solve(a_problem(), hard_s=1.0))


# ---------------------------------------------------------------- children that do not

ROOT = str(Path(vpp.__file__).parents[1])
"""Where scripts find the package, installed or not."""

PREAMBLE = """
import os, pathlib, pickle, resource, signal, struct, sys
def say(payload): os.write(1, struct.pack(">Q", len(payload)) + payload)
def hear(): sys.stdin.buffer.read(struct.unpack(">Q", sys.stdin.buffer.read(8) or sys.exit())[0])
"""
ILL = {
    "sleeps for ever before it is ready": "signal.pause()",
    "sleeps for ever": "say(b'ready'); hear(); signal.pause()",
    "spins past its limit": "say(b'ready'); hear()\nwhile True: pass",
    "spins and ignores SIGTERM": """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
say(b'ready'); hear()
while True: pass
""",
    "crashes": """
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
say(b'ready'); hear(); os.kill(os.getpid(), signal.SIGSEGV)
""",
    "is killed for memory": "say(b'ready'); hear(); os.kill(os.getpid(), signal.SIGKILL)",
    "exits": "say(b'ready'); hear(); sys.exit(3)",
    "exits before it is ready": "sys.exit(4)",
    "hangs up and lives on": "say(b'ready'); hear(); os.close(1); signal.pause()",
    "answers garbage": "say(b'ready'); hear(); say(b'\\x80\\x05garbage'); signal.pause()",
    "answers another thing": "say(b'ready'); hear(); say(pickle.dumps([1, 2])); signal.pause()",
    "shouts": "say(b'ready'); hear(); os.write(1, b'\\xff' * 64); signal.pause()",
    "stops in the middle": "say(b'ready'); hear(); os.write(1, b'\\0' * 7 + b'\\x09half')",
}
REASONS = {
    "sleeps for ever before it is ready": "killed at the hard limit of 0.5 s",
    "sleeps for ever": "killed at the hard limit of 0.5 s",
    "spins past its limit": "killed at the hard limit of 0.5 s",
    "spins and ignores SIGTERM": "killed at the hard limit of 0.5 s",
    "crashes": "the solver process died with code -11",
    "is killed for memory": "the solver process died with code -9",
    "exits": "the solver process died with code 3",
    "exits before it is ready": "the solver process died with code 4",
    "hangs up and lives on": "the solver process died with code None",
    "answers garbage": "the solver process answered nonsense: UnpicklingError",
    "answers another thing": "the solver process answered nonsense: TypeError('list is no outcome')",
    "shouts": "the solver process answered nonsense: ValueError('an answer of",
    "stops in the middle": "the solver process died with code 0",
}
QUICK_S = 0.5
"""Hard limit where the child is expected to overrun."""


WELL = Unsolved(reason="well again, and nothing to plan")


@pytest.fixture
def fell_ill(tmp_path: Path) -> Iterator[int]:
    """The reading end of a pipe by which an ill child says that it runs."""
    os.mkfifo(tmp_path / "fell-ill")
    pipe = os.open(tmp_path / "fell-ill", os.O_RDONLY | os.O_NONBLOCK)
    yield pipe
    os.close(pipe)


async def ill(pipe: int) -> None:
    """Return once the child runs: a hard limit counts from a cold start, which may take seconds."""
    heard = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe, heard.set)
    await heard.wait()
    asyncio.get_running_loop().remove_reader(pipe)


@pytest.fixture
def ill_then_well(tmp_path: Path, fell_ill: int) -> Callable[[str], tuple[str, ...]]:
    """A command that runs `body` the first time it is started, and answers `WELL` ever after."""

    def command(body: str) -> tuple[str, ...]:
        script, mark = tmp_path / "child.py", tmp_path / "was-here"
        pipe = str(tmp_path / "fell-ill")
        script.write_text(
            f"{PREAMBLE}\nmark = pathlib.Path({str(mark)!r})\n"
            "if mark.exists():\n"
            "    say(b'ready')\n"
            "    while True:\n"
            "        hear()\n"
            f"        say({pickle.dumps(WELL)!r})\n"
            "mark.touch()\n"
            f"pipe = os.open({pipe!r}, os.O_WRONLY); os.write(pipe, b'ill'); os.close(pipe)\n"
            f"{body}\n"
        )
        return sys.executable, str(script)

    return command


@pytest.mark.parametrize("illness", ILL)
def test_an_ill_child_costs_one_interval_and_is_replaced(
    ill_then_well: Callable[[str], tuple[str, ...]], fell_ill: int, illness: str
) -> None:
    overruns = "hard limit" in REASONS[illness]

    async def plans() -> tuple[Outcome, float, Outcome, int]:
        async with ProcessExecutor(ill_then_well(ILL[illness])) as executor:
            if overruns:
                await ill(fell_ill)
            loop = asyncio.get_running_loop()
            began = loop.time()
            first = await executor.solve(a_problem(), hard_s=QUICK_S if overruns else PATIENCE_S)
            seconds = loop.time() - began
            restarts = executor.restarts
            second = await executor.solve(a_problem(), hard_s=PATIENCE_S)
            third = await executor.solve(a_problem(), hard_s=PATIENCE_S)
            assert third == second
            assert executor.restarts == restarts
            return first, seconds, second, restarts

    first, seconds, second, restarts = asyncio.run(plans())

    assert isinstance(first, Unsolved)
    assert first.reason.startswith(REASONS[illness])
    assert seconds < PATIENCE_S / 8
    assert second == WELL
    assert restarts == 1


def test_a_command_that_does_not_exist_is_an_answer_too() -> None:
    async def plan() -> Outcome:
        async with ProcessExecutor(("/nowhere/solver",)) as executor:
            await executor.solve(a_problem(), hard_s=QUICK_S)
            return await executor.solve(a_problem(), hard_s=QUICK_S)

    outcome = asyncio.run(plan())

    assert isinstance(outcome, Unsolved)
    assert outcome.reason.startswith("the solver process cannot be reached: ")


def test_a_child_that_died_between_two_problems_costs_nothing() -> None:
    async def plan() -> tuple[Outcome, int]:
        async with ProcessExecutor() as executor:
            await executor.solve(a_problem(), hard_s=PATIENCE_S)
            assert executor.pid is not None
            await killed(executor.pid)
            return await executor.solve(a_problem("plan-2"), hard_s=PATIENCE_S), executor.restarts

    outcome, restarts = asyncio.run(plan())

    # The loop may hear of the death before it asks, or by asking; both ways the next one works.
    assert restarts == 1
    assert is_the_plan(outcome, "plan-2") or isinstance(outcome, Unsolved)


def test_ctrl_c_at_the_terminal_is_not_for_the_child() -> None:
    async def groups() -> tuple[int, int]:
        async with ProcessExecutor() as executor:
            await executor.solve(a_problem(), hard_s=PATIENCE_S)
            assert executor.pid is not None
            return os.getpgid(executor.pid), os.getpgid(0)

    child, ours = asyncio.run(groups())

    assert child != ours  # a terminal interrupts the group in front, and that is ours


async def killed(pid: int) -> None:
    """Kill a process and return when it is gone and the loop has heard of it."""
    watch, gone = os.pidfd_open(pid), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(watch, gone.set)
    os.kill(pid, signal.SIGKILL)
    await gone.wait()
    loop.remove_reader(watch)
    os.close(watch)


def test_the_answer_to_a_cancelled_problem_never_meets_another(
    ill_then_well: Callable[[str], tuple[str, ...]], fell_ill: int
) -> None:
    """The first child takes the problem and is slow; its caller gives up."""

    async def plan() -> tuple[Outcome, int]:
        command = ill_then_well("say(b'ready'); hear(); signal.pause()")
        async with ProcessExecutor(command) as executor:
            await ill(fell_ill)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(executor.solve(a_problem(), hard_s=PATIENCE_S), QUICK_S)
            return await executor.solve(a_problem(), hard_s=PATIENCE_S), executor.restarts

    outcome, restarts = asyncio.run(plan())

    assert outcome == WELL
    assert restarts == 1


def test_a_question_is_made_to_its_end_before_the_next_one_though_nobody_waits_for_it(
    ill_then_well: Callable[[str], tuple[str, ...]], fell_ill: int
) -> None:
    """All are written on one sheet; the thread that makes one cannot be stopped."""
    begun, go_on, order = Event(), Event(), list[str]()

    def slow() -> bytes:
        begun.set()
        go_on.wait()
        order.append("the first is made")
        return b"first"

    def quick() -> bytes:
        order.append("the second begins")
        return b"second"

    async def ask() -> bytes | Failed:
        command = ill_then_well(ILL["sleeps for ever"])
        async with WarmChild(command, name="test", recycle_after=9) as child:
            first = asyncio.create_task(child.ask(slow, bytes, hard_s=PATIENCE_S, apart=True))
            second = asyncio.create_task(child.ask(quick, bytes, hard_s=PATIENCE_S, apart=True))
            await asyncio.to_thread(begun.wait)
            for _ in range(2):  # by its limit, and by who waits for it
                first.cancel()
                await asyncio.to_thread(
                    lambda: None
                )  # the loop turns; a second question could begin
            order.append("nobody waits for the first")
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await second

    assert asyncio.run(ask()) == pickle.dumps(WELL)
    assert order == ["nobody waits for the first", "the first is made", "the second begins"]


def test_the_loop_goes_on_while_a_child_spins(
    ill_then_well: Callable[[str], tuple[str, ...]],
) -> None:
    async def order() -> list[str]:
        done: list[str] = []

        async def other() -> None:
            await asyncio.to_thread(lambda: None)
            done.append("other work")

        async with ProcessExecutor(ill_then_well(ILL["spins and ignores SIGTERM"])) as executor:
            task = asyncio.create_task(other())
            await executor.solve(a_problem(), hard_s=QUICK_S)
            done.append("the solve")
            await task
        return done

    assert asyncio.run(order()) == ["other work", "the solve"]


# ---------------------------------------------------------------- what a child may say and take


def test_what_a_library_prints_does_not_stand_between_the_answers(tmp_path: Path) -> None:
    script = tmp_path / "noisy.py"
    script.write_text(
        f"import os, sys; sys.path.insert(0, {ROOT!r})\n"
        "import vpp.service.solving.child as child\n"
        "quiet = child.solve\n"
        "def noisy(*args):\n"
        "    os.write(1, b'Presolving model')\n"
        "    return quiet(*args)\n"
        "child.solve = noisy\n"
        "child.main()\n"
    )

    async def plan() -> Outcome:
        async with ProcessExecutor((sys.executable, str(script))) as executor:
            return await executor.solve(a_problem(), hard_s=PATIENCE_S)

    assert is_the_plan(asyncio.run(plan()))


def test_a_plan_that_wants_too_much_memory_says_so_and_harms_nobody_else(tmp_path: Path) -> None:
    script = tmp_path / "greedy.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "import vpp.service.solving.child as child\n"
        "solve = child.solve\n"
        "def greedy(problem, *rest):\n"
        "    if problem.options.plan_id == 'large': bytearray(16 * 2**30)\n"
        "    return solve(problem, *rest)\n"
        "child.solve = greedy\n"
        "child.main()\n"
    )

    async def plans() -> tuple[Outcome, Outcome, int]:
        async with ProcessExecutor((sys.executable, str(script))) as executor:
            bad = await executor.solve(a_problem("large"), hard_s=PATIENCE_S)
            good = await executor.solve(a_problem(), hard_s=PATIENCE_S)
            return bad, good, executor.restarts

    bad, good, restarts = asyncio.run(plans())

    assert isinstance(bad, Unsolved)
    assert bad.reason.startswith("the plan needs more memory than the 12 GiB that the solver may")
    assert bad.broke
    assert is_the_plan(good)
    assert restarts == 0


@pytest.mark.parametrize("label", [Optimal, Feasible], ids=["optimal", "feasible"])
def test_a_garbage_schedule_passes_the_executor_and_not_the_validator(
    tmp_path: Path, label: type[Optimal] | type[Feasible]
) -> None:
    """A well-pickled lie is an outcome; the cycle asks the validator before it is used."""
    problem = a_problem()
    lie = Schedule(
        plan_id="plan-1",
        issued_at=NOON,
        horizon=problem.view.horizon,
        resource_ids=(ResourceId("bat"),),
        power_kw=np.array([[500.0, np.nan]]),
        stored_kwh={},
        temperature_degc={},
        connection_point_kw={},
        net_kw=np.zeros(2),
        committed_kw=np.zeros(2),
        trade_kw={},
        stored_value_per_kwh={},
        net_value_per_kwh=np.zeros(2),
        starts={},
        unserved_kwh={},
        cost_by_cause={"market": -1e9},
        gap=0.0,
        size=Size(columns=0, rows=0, nonzeros=0, binaries=0),
        build_s=0.0,
        solve_s=0.0,
        strategy_version="test/1",
        input_digest="",
    )
    outcome = Optimal(schedule=lie) if label is Optimal else Feasible(schedule=lie, gap=0.1)
    (tmp_path / "lie.pickle").write_bytes(pickle.dumps(outcome))
    script = tmp_path / "liar.py"
    script.write_text(
        f"{PREAMBLE}\nsay(b'ready'); hear()\n"
        f"say(pathlib.Path({str(tmp_path / 'lie.pickle')!r}).read_bytes())\n"
    )

    async def plan() -> Outcome:
        async with ProcessExecutor((sys.executable, str(script))) as executor:
            return await executor.solve(problem, hard_s=PATIENCE_S)

    answer = asyncio.run(plan())

    assert isinstance(answer, label)
    found = violations(
        answer.schedule, problem.view, problem.terms, limit_excess_price_per_kwh=10.0
    )
    assert "power_kw: a value is not finite" in found


# ---------------------------------------------------------------- ends


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal to orphans is Linux's")
def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        f"import asyncio, os, signal, sys; sys.path.insert(0, {ROOT!r})\n"
        f"os.environ['PYTHONPATH'] = {ROOT!r}\n"
        "from vpp.service.solving.executor import ProcessExecutor\n"
        "async def main():\n"
        "    async with ProcessExecutor() as executor:\n"
        "        await executor._ready\n"
        "        print(executor.pid, flush=True)\n"
        "        signal.pause()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        watch = os.pidfd_open(child)
        try:
            parent.kill()
            parent.wait()
            gone, _, _ = select.select([watch], [], [], 10.0)
        finally:
            os.close(watch)

    assert gone


def test_no_child_is_left_when_the_executor_closes() -> None:
    async def pids() -> list[int]:
        seen = []
        for early in (True, False):
            async with ProcessExecutor() as executor:
                if not early:
                    await executor.solve(a_problem(), hard_s=PATIENCE_S)
                    assert executor.pid is not None
                    seen.append(executor.pid)
            assert executor.pid is None
        return seen

    (pid,) = asyncio.run(pids())

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
