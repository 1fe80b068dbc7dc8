"""What the core needs from the world: small protocols, each with its contract.

Every adapter of a port passes the same contract test (`tests/contracts`), the simulated one too.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol, TypeAlias

import msgspec

from vpp.model.charging import StayBegun
from vpp.model.command import Setpoint
from vpp.model.forecast import Forecast
from vpp.model.forecastscore import ScoreKey, ScoreSums
from vpp.model.ids import ResourceId
from vpp.model.message import Handover, Letter
from vpp.model.nomination import ConfirmedSchedule
from vpp.model.programme import EventList, ProgrammeReport
from vpp.model.reporting import ReportAnswer, ReportHead
from vpp.model.time import Interval
from vpp.model.venue import Submission, VenueHealth
from vpp.wire import AwardRequest, SeriesUpload
from vpp.wirebackfill import ResendMessage


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message as it came off the wire, undecoded. Made twenty thousand times a second."""

    topic: str
    payload: bytes


AskAgain: TypeAlias = Callable[[Mapping[ResourceId, ResendMessage]], Awaitable[None]]
"""Ask devices for telemetry that never came; what does not come then is asked for another time."""


class MessageSource(Protocol):
    """Where telemetry and acknowledgements come from."""

    def messages(self) -> AsyncIterator[Message]:
        """Yield messages as they come, across reconnects, for ever."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the link stands now."""
        ...

    @property
    def since(self) -> datetime:
        """When `connected` last changed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A command of which nobody can say that it arrived."""

    setpoint: Setpoint
    reason: str


class SetpointSink(Protocol):
    """Where commands go."""

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Hand all commands to the link. They are never retained.

        Returns:
            Those that did not leave, or were not confirmed in time: they may have arrived all the
            same, and their expiry bounds what comes of it. The others are on their way.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One line of the record."""

    number: int
    """Rises by one with each entry."""

    recorded_at: datetime
    kind: str
    key: str
    """What the entry is about; unique within its kind."""

    body: bytes
    """JSON."""


class Journal(Protocol):
    """The append-only record. What was appended survives a kill -9 and a power cut."""

    async def append(self, kind: str, key: str, body: bytes, *, now: datetime) -> JournalEntry:
        """Write one entry; on return it is on disk.

        The same kind, key and body twice is one entry, and gives that entry again.

        Raises:
            ConflictError: `kind` and `key` are there with another body.
            UnavailableError: The disk refuses; nothing was written.
        """
        ...

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        """Write several (kind, key, body) in one transaction: all or none. As `append` otherwise."""
        ...

    def find(self, kind: str, key: str) -> JournalEntry | None:
        """The entry of that kind and key."""
        ...

    def entries(self, *kinds: str) -> Iterator[JournalEntry]:
        """All entries of these kinds, oldest first."""
        ...

    def newest(self, *kinds: str, before: int | None, limit: int) -> list[JournalEntry]:
        """At most `limit` entries of these kinds with a number below `before`, newest first."""
        ...

    def greatest_key(self, kind: str) -> str | None:
        """The key of that kind that sorts last, code point by code point; None where there is none."""
        ...


class SetAside(Protocol):
    """Takes old entries out of the journal's file and into its archive, a page at a time."""

    async def __call__(
        self, kinds: Sequence[str], before: datetime, *, after: int = 0
    ) -> int | None:
        """The number up to which this page reached; None where nothing more is old enough.

        Entries of `kinds` that were recorded before `before` go, above the number `after`; the one of each
        kind whose key sorts last stays, for numbers go on from there.

        Raises:
            UnavailableError: The disk refuses; what was not set aside is in the journal still.
        """
        ...


class SetTelemetryAside(Protocol):
    """Takes old rows out of the historian's file and into its archive, a page of one device at a time."""

    async def __call__(
        self, before: datetime, *, after: tuple[str, str] = ("", "")
    ) -> tuple[str, str] | None:
        """Where the next page begins; None where there is none.

        Rows that were measured before `before` go, from the place `after` on.

        Raises:
            UnavailableError: The disk refuses; what was not set aside is in the historian still.
        """
        ...


class StayLedger(Protocol):
    """The record of stays: what a station told once it does not tell again after a restart of ours."""

    def going_on(self) -> Iterable[StayBegun]:
        """Those that have begun and not ended, oldest first."""
        ...

    def last_number(self, most: int) -> int:
        """The greatest transaction on record that is a number up to `most`; 0 where there is none."""
        ...

    async def began(self, stay: StayBegun) -> StayBegun:
        """Put it on record; on return it is on disk.

        A stay that began at the same point at the same moment is the same one, told again: it is returned as
        it stands on record, with the transaction that it was given first. Of another transaction with another
        card or register it is another stay.

        Raises:
            UnavailableError: The record refuses; nothing was written.
        """
        ...

    async def ended(
        self, station_id: str, transaction: str, at: datetime, energy_wh: float | None
    ) -> None:
        """Put its end on record; again changes nothing. Raises as `began`."""
        ...

    def ended_at(self, station_id: str, transaction: str) -> datetime | None:
        """When it ended, as was told first; None where it has not."""
        ...


class ProgrammeServer(Protocol):
    """A utility's server of programmes, asked as its client.

    Every question raises:
        UnavailableError: No answer, or none that can be believed now; ask again.
        RejectedError: It refuses, or answers something else.
    """

    async def register(self) -> None:
        """Make ourselves known; where we are already, nothing happens."""
        ...

    async def events(self, programs: Sequence[str]) -> EventList:
        """All events of the programs with these names: the whole list, or an error."""
        ...

    async def send_report(self, report: ProgrammeReport) -> None:
        """Hand a report over; one of the same name again changes nothing where the server can tell."""
        ...

    async def has_report(self, report: ProgrammeReport) -> bool:
        """Whether it has a report of that name: asked where nobody knows if it came."""
        ...

    def offer_power(self, power_kw: Callable[[], float | None]) -> None:
        """Where a server can ask for the power that is drawn now: kW, None where that is not known."""
        ...


class ReportPlatform(Protocol):
    """A dispatch centre or platform that is told how a unit does."""

    async def send(self, head: ReportHead, body: bytes) -> ReportAnswer:
        """Hand one report over, as it is on record; a second time it is the same bytes under the same id.

        What goes wrong is an answer too: it raises nothing but for a mistake of ours.
        """
        ...


class ForecastRecord(Protocol):
    """Forecasts as they were issued, and how they did. It may lose the last ones in a power cut."""

    def keep(self, forecasts: Sequence[Forecast]) -> None:
        """Keep what one plan went by. The same series, issue and model again changes nothing.

        Raises:
            UnavailableError: The disk refuses.
        """
        ...

    def issued(
        self, *, since: datetime, until: datetime, series_id: str | None = None
    ) -> list[Forecast]:
        """Forecasts issued from `since` to `until`, both included, oldest first. Raises as `keep`."""
        ...

    def add_scores(
        self, sums: Mapping[ScoreKey, ScoreSums], scored_until: Mapping[str, datetime]
    ) -> None:
        """Add to the sums, and note up to which moment each series is scored: both or neither.

        Raises as `keep`.
        """
        ...

    def scores(self, since: date) -> dict[ScoreKey, ScoreSums]:
        """The sums of all days from `since` on. Raises as `keep`."""
        ...

    def scored_until(self) -> dict[str, datetime]:
        """Up to which moment each series is scored. Raises as `keep`."""
        ...

    def forget(self, *, issued_before: datetime, scored_before: date) -> None:
        """Drop what is older. Raises as `keep`."""
        ...


class VenueLedger(Protocol):
    """What a market knows about our bids: asked after a restart, before anything new is bid."""

    async def bid_set_status(self, bid_set_id: str) -> str:
        """`received`, `cleared` or `unknown`.

        Raises:
            UnavailableError: The venue did not answer.
            RejectedError: It refuses to say, or says something else (`ForeignError`).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAward:
    """One award as a venue lists it."""

    sequence: int | None
    """Rises by one with each award of the venue; None where it does not number them."""

    product_id: str
    award: AwardRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignAward:
    """An entry of a list of awards that is none, for the record."""

    where: str
    """Its sequence where it has one, or `file:line`."""

    what: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardPage:
    """A part of a venue's list of awards, in whatever order it came."""

    awards: tuple[PublishedAward, ...] = ()
    foreign: tuple[ForeignAward, ...] = ()
    next_after: int | None = None
    """Where the next page begins; None where this is the last."""

    last_sequence: int | None = None
    """Of the newest award that the venue has; None where it does not number them."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Each file that was read and its version: what `confirm` remembers."""


class Venue(VenueLedger, Protocol):
    """A market that bids are sent to, and whose awards are fetched."""

    @property
    def answers(self) -> bool:
        """Whether it can be asked about a bid set: where not, `bid_set_status` is never called."""
        ...

    async def prepare(self) -> None:
        """Get what sending needs, such as a token: so that `submit` need not wait for it.

        What cannot be had is told by `submit`.
        """
        ...

    async def submit(self, bid_set_id: str, body: bytes, *, until: datetime) -> Submission:
        """Hand over the bytes of a `BidSetResponse`, once. Nothing is sent at or after `until`.

        The same id with the same bytes again is one submission wherever the venue can tell.
        """
        ...

    async def awards(self, after: int, *, issued_in: Interval | None = None) -> AwardPage:
        """Awards with a sequence above `after`; only those issued in a span where one is given.

        Raises:
            UnavailableError: The venue did not answer.
            RejectedError: It refuses, or answers something else (`ForeignError`).
        """
        ...

    def confirm(self, page: AwardPage) -> None:
        """What a page holds is on record: a venue that keeps no sequence need not bring it again."""
        ...

    def health(self) -> VenueHealth:
        """What was noticed beside the answers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBatch:
    """Values of one series that a feed brought."""

    series_id: str
    upload: SeriesUpload
    where: str
    """File or address they came from, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFault:
    """Why nothing of a document was taken."""

    where: str
    """`file:line`, or an address and the row."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedNews:
    """What a feed holds that was not confirmed yet."""

    batches: tuple[FeedBatch, ...] = ()
    faults: tuple[FeedFault, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Each document and its version: what `confirm` remembers."""


class SeriesFeed(Protocol):
    """Where values of series are fetched from."""

    async def look(self, now: datetime) -> FeedNews:
        """What is there and new, oldest first. A document is taken whole, or is a fault.

        The same document is news, or a fault, until it is confirmed, and again once it has changed.

        Raises:
            UnavailableError: The source cannot be reached; it may be later.
            RejectedError: It answers something that is no document of this feed.
        """
        ...

    def confirm(self, news: FeedNews) -> None:
        """The news were dealt with: do not bring these documents again as they are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationNews:
    """Confirmations of nominations that were not dealt with yet."""

    confirmed: tuple[ConfirmedSchedule, ...] = ()
    faults: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Each file that was read and its version: what `confirm` remembers."""


class NominationBox(Protocol):
    """Where the schedules of a unit are put, and where confirmations come back."""

    async def put(self, name: str, content: bytes) -> None:
        """Put one version out, whole; the same again changes nothing.

        Raises:
            UnavailableError: It cannot be put there; it may be later.
        """
        ...

    async def look(self) -> ConfirmationNews:
        """What came and is new, or has changed. A file is taken whole, or is a fault.

        Raises:
            UnavailableError: It cannot be looked at; it may be later.
        """
        ...

    def confirm(self, news: ConfirmationNews) -> None:
        """The news were dealt with: do not bring these files again as they are."""
        ...


class Messenger(Protocol):
    """A way to people: a mail server, a receiver of webhooks."""

    async def send(self, letter: Letter, *, to: str) -> Handover:
        """Try once to hand a letter over, in a bounded time; whatever fails outside is an outcome.

        `to` is an address as this channel understands it: that of a mailbox, or a person's id. The same letter again carries the same id, so that a receiver can tell that it has it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEntry:
    """One entry that a window adds to a stream."""

    stream: str
    fields: Mapping[str, bytes]
    keep: int
    """How many entries the stream holds; the oldest go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowNews:
    """What a window is to show from now on."""

    whole: bool
    """Whether `hashes` stand in place of all that was there, not beside it."""

    hashes: Mapping[str, Mapping[str, bytes]]
    """Every hash that is shown, by name, with the fields that are new; one without any lives on."""

    entries: Sequence[StreamEntry] = ()


class StateWindow(Protocol):
    """Where other processes look at us. It holds nothing that we need again."""

    async def show(self, news: WindowNews) -> bool:
        """Show it, all at once; False where what was shown before is gone: then show the whole.

        Raises:
            UnavailableError: It cannot be reached, refuses, or does not answer in its time.
        """
        ...
