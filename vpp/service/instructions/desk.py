"""What is remembered of instructions to people: each and its story, rebuilt from the journal in its order.

The journal comes first: a step is written down, then told to the desk. Of a load the newest instructions are
kept in memory, all others are on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
import numpy as np

from vpp.act.instructionlife import COUNTED, Happening, after
from vpp.act.units import Bools, Units
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.instruction import (
    Accepted,
    AcceptedLess,
    Answer,
    Declined,
    Instruction,
    Kept,
    State,
    Unanswered,
    Unverified,
    Verification,
    promised_kw,
)
from vpp.model.message import Topic
from vpp.model.schedule import Schedule
from vpp.model.time import Interval

KEPT_STORIES = 200
"""Of one load, in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resplit:
    """What others do by the newest plan instead, against the plan before; means over the window."""

    plan_id: str
    after_s: float
    """From the moment the share fell out to the plan that gives it to others."""
    lost_kw: float
    taken_kw: Mapping[ResourceId, float]
    """Net injection more than before, of each that moves by a kilowatt or more."""
    left_kw: float
    """Of what was lost, what nobody takes; below 0 where more than that is made up."""


Detail: TypeAlias = Answer | Verification | Resplit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened to an instruction."""

    instruction_id: str
    number: int
    """From 1 on, by instruction."""
    happening: Happening
    at: datetime
    words: str
    detail: Detail = None

    @property
    def key(self) -> str:
        """Under which the journal holds it."""
        return f"{self.instruction_id}/{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An instruction as it stands, and how it came to that."""

    instruction: Instruction
    state: State = State.ASKED
    answer: Answer | None = None
    verification: Verification | None = None
    resplit: Resplit | None = None
    drawn_kw: Mapping[datetime, float] = field(default_factory=dict)
    """Mean draw, a size, of each quarter-hour of the window that was metered."""
    steps: tuple[Step, ...] = ()

    @property
    def promised_kw(self) -> float:
        """What is to be counted on of the amount; 0 once nothing is."""
        return promised_kw(self.instruction, self.answer) if self.state in COUNTED else 0.0

    def with_step(self, step: Step) -> Story:
        """The story after one more step.

        Raises:
            ConflictError: The table of states does not hold it.
        """
        where = f"instruction {step.instruction_id}"
        state = after(self.state, step.happening, where=where)
        told = replace(self, state=state, steps=(*self.steps, step))
        match step.detail:
            case Accepted() | AcceptedLess() | Declined() | Unanswered():
                return replace(told, answer=step.detail)
            case Kept() | Unverified():
                return replace(told, verification=step.detail)
            case Resplit():
                return replace(told, resplit=step.detail)
            case None:
                return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A share that fell out, until a plan gives it to others."""

    since: datetime
    kw: float
    steps: int
    """Of its story: a plan that knows so many knows of it."""
    before: Schedule | None
    """The plan that still counted on it."""
    tried_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class InstructionDesk:
    """Filled from the journal by `instructing.recover`."""

    stories: dict[str, Story] = field(default_factory=dict)
    """By instruction, the oldest first."""

    live: set[str] = field(default_factory=set)
    """Of those, the ones whose windows are not over, or that may still move on."""

    by_load: dict[ResourceId, list[str]] = field(default_factory=dict)
    """The same by load, the oldest first."""

    made: int = 0
    """Instructions in the whole life of the record: the next one's number less 1."""

    seen: tuple[Mapping[ResourceId, Floats], Mapping[str, int]] | None = None
    """What the newest view holds, and how many steps of each story went into it."""

    known: Mapping[str, int] = field(default_factory=dict)
    """How many steps of each story the plan that stands knows."""

    lost: dict[str, Lost] = field(default_factory=dict)
    """By instruction: what nobody does yet."""

    told: dict[str, str] = field(default_factory=dict)
    """What was said last of each load that cannot be asked, and of each message that was not taken."""

    moving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a story is moved on: a person's answer and a deadline come one after the other."""

    by_hand: Bools | None = None

    def find(self, instruction_id: str) -> Story | None:
        return self.stories.get(instruction_id)

    def of(self, resource_id: ResourceId) -> list[Story]:
        """All of one load, the oldest first."""
        return [self.stories[name] for name in self.by_load.get(resource_id, ())]

    def counted(self) -> list[Story]:
        """Those that the plan counts on, and that may still move on."""
        return [story for story in self.alive() if story.state in COUNTED]

    def alive(self) -> list[Story]:
        """Those that there may still be something to say of."""
        return [self.stories[name] for name in sorted(self.live)]

    def retire(self, story: Story) -> None:
        """Nothing more comes of it."""
        self.live.discard(story.instruction.instruction_id)
        for topic in Topic:
            self.told.pop(f"{story.instruction.instruction_id}.{topic}", None)

    def knows(self, resource_id: ResourceId) -> bool:
        """Whether the plan that stands knows all that happened to instructions for a load."""
        return all(
            self.known.get(story.instruction.instruction_id, -1) >= len(story.steps)
            for story in self.of(resource_id)
        )

    def turned_down(self, resource_id: ResourceId, interval: Interval) -> bool:
        """Whether a load may have drawn what it was told in `interval`, not what it would have drawn."""
        return any(
            story.instruction.window.overlaps(interval)
            and (story.promised_kw > 0 or story.state is State.VERIFIED)
            for story in self.of(resource_id)
        )

    def take(self, instruction: Instruction) -> Story:
        """Book an instruction that is on disk; the same again changes nothing."""
        name = instruction.instruction_id
        if (known := self.stories.get(name)) is not None:
            return known
        names = self.by_load.setdefault(instruction.resource_id, [])
        names.append(name)
        for over in names[:-KEPT_STORIES]:
            del self.stories[over]
            self.live.discard(over)
        del names[:-KEPT_STORIES]
        self.made = max(self.made, int(name.rpartition("-")[2]))
        self.live.add(name)
        story = self.stories[name] = Story(instruction=instruction)
        return story

    def happen(self, step: Step) -> Story | None:
        """Book a step that is on disk; None where the instruction is not in memory any more."""
        story = self.stories.get(step.instruction_id)
        if story is None or step.number <= len(story.steps):
            return story
        told = self.stories[step.instruction_id] = story.with_step(step)
        return told

    def meter(self, instruction_id: str, quarter: datetime, drawn_kw: float) -> None:
        """Book what was metered of one quarter-hour."""
        if (story := self.stories.get(instruction_id)) is not None:
            drawn = {**story.drawn_kw, quarter: drawn_kw}
            self.stories[instruction_id] = replace(story, drawn_kw=drawn)

    def hands(self, units: Units, names: frozenset[ResourceId]) -> Bools:
        """Which units of the park are turned by a person, shape (N,): no set-point is sent to them."""
        if self.by_hand is None or len(self.by_hand) != len(units):
            self.by_hand = np.array([name in names for name in units.names], dtype=np.bool_)
        return self.by_hand


# ---------------------------------------------------------------- bytes

_DETAILS: Mapping[Happening, Any] = {
    Happening.ACCEPT: Accepted,
    Happening.ACCEPT_LESS: AcceptedLess,
    Happening.DECLINE: Declined,
    Happening.PASS: Unanswered,
    Happening.RESPLIT: Resplit,
}


class _StepRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    happening: Happening
    at: datetime
    words: str
    detail: msgspec.Raw
    """`null` where there is none."""


def step_to_record(step: Step) -> bytes:
    """What the journal keeps of a step, beside its key."""
    return msgspec.json.encode(
        {
            "happening": step.happening,
            "at": step.at,
            "words": step.words,
            "detail": step.detail,
        }
    )


def step_from_record(key: str, body: bytes) -> Step:
    """A step as `InstructionDesk.happen` takes it."""
    record = msgspec.json.decode(body, type=_StepRecord)
    name, _, number = key.rpartition("/")
    return Step(
        instruction_id=name,
        number=int(number),
        happening=record.happening,
        at=record.at,
        words=record.words,
        detail=_detail(record),
    )


def _detail(record: _StepRecord) -> Detail:
    if (kind := _DETAILS.get(record.happening)) is not None:
        found: Answer | Resplit = msgspec.json.decode(record.detail, type=kind)
        return found
    if record.happening is Happening.VERIFY:
        if b"delivered_kw" in bytes(record.detail):
            return msgspec.json.decode(record.detail, type=Kept)
        return msgspec.json.decode(record.detail, type=Unverified)
    return None
