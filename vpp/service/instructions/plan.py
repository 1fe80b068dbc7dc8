"""Loads that people turn down, in the plan: what is promised is counted on, what may still be asked is bounded.

    story ─▶ promised × reliability ─▶ the load is expected to draw so much less in its window
          ─▶ nothing more is planned of it around that window, nor on a day on which its person said no
    plan ─▶ its calls that begin soon ─▶ what is to be asked of whom (`instructing.py`)

A call is the plan's as long as nobody was told of it. Once told it stands, whatever the next plan would like
better: people are not turned up and down like batteries. Until the deadline the plan counts on whoever has not
answered; what falls out is others' to do from the next plan on, which is made at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from vpp.act.instructionlife import Happening
from vpp.act.kept import reliability, share_kept
from vpp.act.units import Bools, Units
from vpp.model.demandresponse import Stage
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import PersonId, ResourceId
from vpp.model.instruction import Reason, State, Why
from vpp.model.measurement import ParkState, Reading
from vpp.model.resource import CurtailableLoad
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER, Interval, local_date
from vpp.plan.view import PlanningView
from vpp.service.instructions.desk import Resplit, Story
from vpp.service.instructions.schema import ReachedSection
from vpp.service.plant import Plant
from vpp.trade.drlifecycle import OWED

SAID_NO = frozenset({State.DECLINED, State.UNANSWERED})
CALLED = frozenset({State.ACCEPTED, State.ACCEPTED_LESS, State.UNDER_WAY, State.VERIFIED})
OPEN = frozenset({State.ASKED, State.REMINDED})

WORTH_TELLING_KW = 1.0
"""Who moves by less takes over nothing."""


def reached(plant: Plant) -> Mapping[ResourceId, ReachedSection]:
    """Loads that people turn down, as the park file says it."""
    return {ResourceId(one.resource): one for one in plant.file.instructions.resources}


def is_simulated(plant: Plant, person_id: PersonId) -> bool:
    """Whether a person is part of a simulation: nobody has a channel where the market is simulated with the park.

    Such a one says yes to everything at once, and the load does as it is told like every simulated device.
    Whoever was asked and left the park file since is no such one.
    """
    person = plant.people.persons.get(person_id)
    if person is None:
        return plant.file.trading.mode == "simulated"
    return not person.addresses


def by_hand(plant: Plant, units: Units) -> Bools:
    """Which units a person turns, shape (N,): no set-point is sent to them."""
    names = (
        n for n, one in reached(plant).items() if not is_simulated(plant, PersonId(one.person))
    )
    return plant.instructions.hands(units, frozenset(names))


def simulated_kw(plant: Plant, now: datetime) -> Mapping[ResourceId, float]:
    """Net injection of loads whose simulated person turns them down now."""
    found = {}
    for story in plant.instructions.counted():
        one = story.instruction
        if now in one.window and is_simulated(plant, one.person_id):
            at = (now - one.window.start) // QUARTER
            found[one.resource_id] = -max(one.course_kw[at] - story.promised_kw, 0.0)
    return found


def load_of(plant: Plant, name: ResourceId) -> CurtailableLoad:
    """The load itself; the checks of the park file made sure of its kind."""
    load = plant.file.park.resource_by_id[name]
    assert isinstance(load, CurtailableLoad)
    return load


def reliability_of(plant: Plant, name: ResourceId) -> float:
    """What part of what is asked of a load is to be counted on."""
    settings = plant.file.instructions
    shares = (
        share_kept(story.instruction, story.state, story.verification)
        for story in plant.instructions.of(name)
    )
    return reliability(
        (share for share in shares if share is not None),
        last=settings.reliability_instructions,
        least=settings.least_reliability,
    )


# ---------------------------------------------------------------- what a plan may count on


def counted(plant: Plant, view: PlanningView) -> PlanningView:
    """The view, with what people promised in it; remembers which stories it knows."""
    names = reached(plant)
    if not names:
        return view
    desk, base_kw, most_kw = plant.instructions, dict(view.base_kw), dict[ResourceId, Floats]()
    for name in names:
        drawn_kw = view.base_kw[name].values
        stories = desk.of(name)
        less_kw, most_kw[name] = _of_load(plant, name, drawn_kw, stories, view)
        base_kw[name] = Profile(view.horizon, np.minimum(drawn_kw + less_kw, 0.0))
    versions = {s.instruction.instruction_id: len(s.steps) for s in desk.stories.values()}
    desk.seen = (most_kw, versions)
    state = _as_told(plant, view.state, view.now)
    return replace(view, base_kw=base_kw, state=state, most_turned_down_kw=most_kw)


def _of_load(
    plant: Plant, name: ResourceId, drawn_kw: Floats, stories: list[Story], view: PlanningView
) -> tuple[Floats, Floats]:
    """How much less it is expected to draw, and how much less it may still be asked to; shape (T,) each."""
    load, zone, horizon = load_of(plant, name), plant.file.park.timezone, view.horizon
    less_kw = np.zeros(horizon.steps)
    most_kw = reliability_of(plant, name) * load.curtailable_share * np.maximum(-drawn_kw, 0.0)
    days = np.array([local_date(start, zone).toordinal() for start in horizon.starts()])
    today = local_date(view.now, zone)
    for story in stories:
        window, day = story.instruction.window, local_date(story.instruction.window.start, zone)
        if story.state in SAID_NO:
            most_kw[days == day.toordinal()] = 0.0  # nobody is asked again on the same day
        if story.steps and story.steps[-1].happening is Happening.TAKE_BACK:
            most_kw[_steps(horizon, window.start, window.end)] = 0.0  # the control room said so
        if story.state not in CALLED | OPEN:
            continue
        less_kw[_steps(horizon, window.start, window.end)] += counts_kw(story)
        most_kw[_steps(horizon, window.start - load.rest, window.end + load.rest)] = 0.0
        if load.max_calls_per_day is not None and day != today:
            most_kw[days == day.toordinal()] = 0.0  # its calls of today are in its reading
    return less_kw, most_kw


def counts_kw(story: Story) -> float:
    """What a plan counts on of a story in its window: no more than the meter shows, once it shows something."""
    counted_kw = story.promised_kw * story.instruction.reliability
    if story.state is State.UNDER_WAY and story.drawn_kw:
        newest = max(story.drawn_kw)
        at = (newest - story.instruction.window.start) // QUARTER
        given_up_kw = story.instruction.course_kw[at] - story.drawn_kw[newest]
        return min(counted_kw, max(given_up_kw, 0.0))
    return counted_kw


def _steps(horizon: Horizon, start: datetime, end: datetime) -> slice:
    """Steps of the horizon that lie in a span, wholly or partly."""
    first = max((start - horizon.start) // horizon.step, 0)
    last = max(-((horizon.start - end) // horizon.step), 0)
    return slice(min(first, horizon.steps), min(last, horizon.steps))


def _as_told(plant: Plant, state: ParkState, now: datetime) -> ParkState:
    """The state, with what our record says of calls: a load that is turned by hand does not count its own."""
    names, zone = reached(plant), plant.file.park.timezone
    today = local_date(now, zone)

    def told(one: Reading) -> Reading:
        called = [s for s in plant.instructions.of(one.resource_id) if s.state in CALLED | OPEN]
        windows = [story.instruction.window for story in called]
        ended = [window.end for window in windows if window.end <= now]
        return replace(
            one,
            phase=None,
            phase_since=max(ended, default=None),
            calls_today=sum(local_date(window.start, zone) == today for window in windows),
        )

    return ParkState(
        taken_at=state.taken_at,
        resources=tuple(
            told(one) if isinstance(one, Reading) and one.resource_id in names else one
            for one in state.resources
        ),
    )


# ---------------------------------------------------------------- what a plan asks of people


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A call of the plan that its person is to be told of."""

    resource_id: ResourceId
    window: Interval
    amount_kw: float
    course_kw: tuple[float, ...]
    reliability: float
    why: Why


def wishes(plant: Plant, schedule: Schedule, view: PlanningView, now: datetime) -> Iterator[Wish]:
    """The calls of a plan that begin soon, and nobody was told of."""
    settings = plant.file.instructions
    for name in reached(plant):
        if not plant.instructions.knows(name):
            continue  # the next plan knows what was answered meanwhile
        starts = schedule.starts.get(name, ())
        for start, length in zip(starts, schedule.start_lengths.get(name, ()), strict=False):
            window = _span(schedule.horizon, start, length)
            soon = now < window.start <= now + settings.tell_before
            known = any(
                story.instruction.window.overlaps(window) and story.state in CALLED | OPEN
                for story in plant.instructions.of(name)
            )
            if not soon or known or _not_confirmed(plant, window):
                continue
            sure = reliability_of(plant, name)
            planned_kw = float(schedule.curtailed_kw[name][start : start + length].mean())
            course = expected_kw(view, name, window)
            most_kw = load_of(plant, name).curtailable_share * sum(course) / len(course)
            yield Wish(
                resource_id=name,
                window=window,
                amount_kw=round(min(planned_kw / sure, most_kw), 1),
                course_kw=course,
                reliability=sure,
                why=_why(plant, name, window, schedule.plan_id),
            )


def expected_kw(view: PlanningView, name: ResourceId, window: Interval) -> tuple[float, ...]:
    """What a load is expected to draw in each quarter-hour of a window that the view covers; sizes."""
    inside = view.horizon.slice(window)
    return tuple(np.maximum(-view.base_kw[name].values[inside], 0.0).tolist())


def _span(horizon: Horizon, start: int, length: int) -> Interval:
    begins = horizon.start + start * horizon.step
    return Interval(begins, begins + length * horizon.step)


def _not_confirmed(plant: Plant, window: Interval) -> bool:
    """Whether an invitation lies in it of which nothing is confirmed yet: nobody is told for what may not come."""
    return any(
        story.stage in (Stage.INVITED, Stage.NOMINATED) and story.invitation.window.overlaps(window)
        for story in plant.dr.book.stories()
    )


def _why(plant: Plant, name: ResourceId, window: Interval, plan_id: str) -> Why:
    """The confirmed call that its enterprise takes part in, or the plan."""
    owner = plant.file.park.resource_by_id[name].enterprise_id
    for story in plant.dr.book.stories():
        nomination = story.nomination
        part = nomination is not None and owner in nomination.members
        if part and story.stage in OWED and story.invitation.window.overlaps(window):
            return Why(reason=Reason.DEMAND_RESPONSE, reference=story.invitation.invitation_id)
    return Why(reason=Reason.PLAN, reference=plan_id)


# ---------------------------------------------------------------- who takes over


def resplit(
    before: Schedule, after: Schedule, story: Story, *, lost_kw: float, after_s: float
) -> Resplit:
    """What others do more by the plan after a share fell out than by the plan before."""
    window, own = story.instruction.window, story.instruction.resource_id
    was, now = _mean_kw(before, window), _mean_kw(after, window)
    more_kw = {name: now[name] - kw for name, kw in was.items() if name in now and name != own}
    return Resplit(
        plan_id=after.plan_id,
        after_s=after_s,
        lost_kw=lost_kw,
        taken_kw={n: round(kw, 3) for n, kw in more_kw.items() if kw >= WORTH_TELLING_KW},
        left_kw=round(lost_kw - sum(more_kw.values()), 3),
    )


def _mean_kw(schedule: Schedule, window: Interval) -> dict[ResourceId, float]:
    """Mean net injection of each over what the plan covers of a window; empty where it covers nothing."""
    inside = _steps(schedule.horizon, window.start, window.end)
    if inside.start >= inside.stop:
        return {}
    means = schedule.power_kw[:, inside].mean(axis=1).tolist()
    return dict(zip(schedule.resource_ids, means, strict=True))


def taken_over(found: Resplit) -> str:
    """A re-split in words."""
    who = ", ".join(f"{kw:.0f} kW by {name}" for name, kw in found.taken_kw.items()) or "nobody"
    left = max(found.left_kw, 0.0)
    rest = f"; {left:.0f} kW find nobody" if left >= WORTH_TELLING_KW else ""
    return (
        f"{found.lost_kw:.0f} kW are taken over {found.after_s:.0f} s later ({found.plan_id}):"
        f" {who}{rest}"
    )
