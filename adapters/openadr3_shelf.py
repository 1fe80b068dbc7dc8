"""What one client of our OpenADR 3 server can see: its program, events, reports, subscriptions, its VEN and devices.

Every client has a shelf of its own, and nothing is ever looked up anywhere else: what is another's is simply not
there (404), whether it exists or not. Events are the plant's; the client adds reports and subscriptions.

An event that is not on the shelf is cancelled. Versions of one event have times that rise, also where the clock does
not. Ids of programs, VENs and devices are the same after a restart; events are new ones then, with new ids.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

import msgspec

from adapters.openadr3_reports import ReportBody
from vpp.errors import ConflictError, RejectedError
from vpp.model.programme import Program, ProgrammeEvent

MOST_REPORTS = 500
"""That are kept for their client to read; the one that was written longest ago gives way. What they say went to the plant at once."""

MOST_REPORT_BYTES = 4_000_000
"""Of all of them, as JSON; the newest stays, however large."""

MOST_SUBSCRIPTIONS = 5
MOST_PAST = 2000
"""Events that are over, and still may be reported on."""

_SPACE = UUID("8f6c3c7e-6c0e-4a53-9d4b-0b6f6a1d6f2a")


class Operation(StrEnum):
    """What happened to an object, as 3.1 says it."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


OLD_WORDS = {"POST": Operation.CREATE, "PUT": Operation.UPDATE, "DELETE": Operation.DELETE}
"""As 3.0 says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One client."""

    name: str
    """Ours for it."""
    ven_name: str
    program: str
    resources: tuple[str, ...] = ()
    """Names of its devices."""
    callbacks: tuple[str, ...] = ()
    """Where it may be notified: scheme, host and port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as it is kept."""

    report_id: str
    event_id: str
    client_name: str
    """As the client calls itself there."""
    content: bytes
    """As JSON: read, it would be many times as large."""
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """What is notified where."""

    url: str
    objects: frozenset[str]
    operations: frozenset[Operation]
    bearer: str | None = field(default=None, repr=False)
    """What the client wants to be shown; never told again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A wish to be notified."""

    subscription_id: str
    client_name: str
    program_id: str | None
    callbacks: tuple[Callback, ...]
    old_words: bool
    """Whether it was made in 3.0, and is told in its words."""
    created_at: datetime
    modified_at: datetime


Changed = Callable[[Operation, ProgrammeEvent], None]


def _nobody(operation: Operation, event: ProgrammeEvent) -> None:
    """Tells nobody."""


class Shelf:
    """All objects of one client."""

    def __init__(
        self,
        owner: Owner,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.owner, self._now, self._new_id = owner, now, new_id
        self.opened_at = now()
        self.program = Program(
            program_id=self._lasting("program", owner.program), name=owner.program
        )
        self.ven_id = self._lasting("ven", owner.ven_name)
        self.resource_ids: Mapping[str, str] = {
            self._lasting("resource", name): name for name in owner.resources
        }
        self.changed: Changed = _nobody
        self._events: dict[str, ProgrammeEvent] = {}
        self._past: OrderedDict[str, None] = OrderedDict()
        self._reports: OrderedDict[str, Report] = OrderedDict()
        self._subscriptions: dict[str, Subscription] = {}
        self._stamped = self.opened_at

    def _lasting(self, kind: str, name: str) -> str:
        return uuid5(_SPACE, f"{self.owner.name}/{kind}/{name}").hex

    def _stamp(self) -> datetime:
        """Now, and after every time that was given before."""
        self._stamped = max(self._now(), self._stamped + timedelta(milliseconds=1))
        return self._stamped

    # ------------------------------------------------------------ events

    @property
    def events(self) -> tuple[ProgrammeEvent, ...]:
        """All that there are now, the oldest first."""
        return tuple(self._events.values())

    def event(self, event_id: str) -> ProgrammeEvent | None:
        return self._events.get(event_id)

    def put_event(self, event: ProgrammeEvent) -> ProgrammeEvent:
        """Add an event (its id empty), or a new version of one; as it stands then."""
        at = self._stamp()
        before = self._events.get(event.event_id)
        created_at = at if before is None else before.created_at
        put = replace(
            event,
            event_id=event.event_id or self._new_id(),
            program_id=self.program.program_id,
            created_at=created_at,
            modified_at=at,
        )
        self._events[put.event_id] = put
        self.changed(Operation.CREATE if before is None else Operation.UPDATE, put)
        return put

    def drop_event(self, event_id: str) -> None:
        """Cancel an event; it may still be reported on. One that is not there changes nothing."""
        if (event := self._events.pop(event_id, None)) is None:
            return
        self._past[event_id] = None
        if len(self._past) > MOST_PAST:
            self._past.popitem(last=False)
        self.changed(Operation.DELETE, replace(event, modified_at=self._stamp()))

    # ------------------------------------------------------------ reports

    @property
    def reports(self) -> tuple[Report, ...]:
        return tuple(self._reports.values())

    def report(self, report_id: str) -> Report | None:
        return self._reports.get(report_id)

    def add_report(self, body: ReportBody) -> Report:
        """Keep a new report.

        Raises:
            RejectedError: It is about an event or a program that is not here.
            ConflictError: The very same report is here already.
        """
        self._require_known(body)
        content = msgspec.json.encode(body)
        if any(known.content == content for known in self._reports.values()):
            raise ConflictError(
                "came before with the same content", where="report", fix="Nothing is to be done"
            )
        at = self._stamp()
        report = Report(
            report_id=self._new_id(),
            event_id=body.eventID,
            client_name=body.clientName,
            content=content,
            created_at=at,
            modified_at=at,
        )
        self._keep(report)
        return report

    def change_report(self, report_id: str, body: ReportBody) -> Report | None:
        """Replace one; None where there is none. Raises RejectedError as `add_report`."""
        if (before := self._reports.get(report_id)) is None:
            return None
        self._require_known(body)
        report = replace(
            before,
            event_id=body.eventID,
            client_name=body.clientName,
            content=msgspec.json.encode(body),
            modified_at=self._stamp(),
        )
        self._keep(report)
        return report

    def _keep(self, report: Report) -> None:
        self._reports[report.report_id] = report
        self._reports.move_to_end(report.report_id)
        kept_bytes = sum(len(one.content) for one in self._reports.values())
        while len(self._reports) > 1 and (
            len(self._reports) > MOST_REPORTS or kept_bytes > MOST_REPORT_BYTES
        ):
            kept_bytes -= len(self._reports.popitem(last=False)[1].content)

    def drop_report(self, report_id: str) -> Report | None:
        return self._reports.pop(report_id, None)

    def _require_known(self, body: ReportBody) -> None:
        if body.eventID not in self._events and body.eventID not in self._past:
            raise RejectedError("eventID is unknown", where="report", fix="Name an event of yours")
        if body.programID not in (None, self.program.program_id):
            raise RejectedError(
                "programID is unknown", where="report", fix="Name that of the event"
            )
        for resource in body.resources:
            if not self.device(resource.resourceName):
                raise RejectedError(
                    "resourceName is unknown", where="report", fix="Name a resource of yours"
                )

    def device(self, name: str) -> str | None:
        """The device that a report is about; a report on all together is one on the only one."""
        if name in self.owner.resources:
            return name
        if name == "AGGREGATED_REPORT" and len(self.owner.resources) == 1:
            return self.owner.resources[0]
        return None

    # ------------------------------------------------------------ subscriptions

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return tuple(self._subscriptions.values())

    def subscription(self, subscription_id: str) -> Subscription | None:
        return self._subscriptions.get(subscription_id)

    def put_subscription(self, wanted: Subscription) -> Subscription:
        """Add one (its id empty) or replace it.

        Raises:
            RejectedError: There are too many, or its program is not here.
        """
        if wanted.program_id not in (None, self.program.program_id):
            raise RejectedError("programID is unknown", where="subscription", fix="Name yours")
        before = self._subscriptions.get(wanted.subscription_id)
        if before is None and len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            raise RejectedError(
                f"there are {MOST_SUBSCRIPTIONS} already", where="subscription", fix="Delete one"
            )
        at = self._stamp()
        put = replace(
            wanted,
            subscription_id=wanted.subscription_id or self._new_id(),
            created_at=at if before is None else before.created_at,
            modified_at=at,
        )
        self._subscriptions[put.subscription_id] = put
        return put

    def drop_subscription(self, subscription_id: str) -> Subscription | None:
        return self._subscriptions.pop(subscription_id, None)
