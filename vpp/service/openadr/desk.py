"""What a plant keeps of one utility's programmes between one look and the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from vpp.model.programme import PayloadUnits, Program
from vpp.ports import ProgrammeServer
from vpp.service.openadr.schema import AnyUtility
from vpp.trade.programme import NotDone, ProgrammeSchedule, Standing
from vpp.trade.programmeorders import Uses


@dataclass(frozen=True, slots=True, kw_only=True)
class SentReport:
    """The newest report that left."""

    name: str
    event_id: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class OpenAdrDesk:
    """One utility, and how we stand with it."""

    section: AnyUtility
    port: ProgrammeServer
    due: datetime | None = None
    """When it is asked next; None: at once."""

    carried_out_at: datetime | None = None
    """When what is done was last made equal to what stands."""

    failures: int = 0
    """In a row."""

    ill: str | None = None
    """Why it was not heard the last time; None where it was."""

    registered: bool = False
    polled_at: datetime | None = None
    """When it was heard last."""

    digest: str = ""
    """Of the newest list."""

    programs: tuple[Program, ...] = ()
    stood: dict[str, Standing] = field(default_factory=dict)
    schedule: ProgrammeSchedule = field(default_factory=dict)
    not_done: tuple[NotDone, ...] = ()
    told: set[tuple[str, ...]] = field(default_factory=set)
    """What was said once and is not said again: alerts, and what nothing is done about."""

    reported: set[str] = field(default_factory=set)
    """Names of reports that arrived."""

    unsure: set[str] = field(default_factory=set)
    """Names of reports that left and were not answered."""

    last_report: SentReport | None = None

    @property
    def uses(self) -> Uses:
        """What payloads do, by id of the program."""
        does = {program.name: program.does.uses() for program in self.section.programs}
        # What the record names, and the park file does not any more, does nothing.
        known = [program for program in self.programs if program.name in does]
        return {program.program_id: does[program.name] for program in known}

    @property
    def units(self) -> Mapping[str, tuple[PayloadUnits, ...]]:
        """In what each program counts."""
        return {program.program_id: program.units for program in self.programs}

    def draw(self, name: str) -> float:
        """From -1 to 1, the same for a name at all times; other parks draw other numbers."""
        return Random(f"{self.section.ven_name}/{name}").uniform(-1, 1)

    def source(self, event_id: str) -> str:
        """Who asks, as people know them."""
        return f"OpenADR {self.section.id}, event {event_id}"[:120]
