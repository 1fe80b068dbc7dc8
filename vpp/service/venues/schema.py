"""The section `venues` of a park file: markets that bids are sent to, and whose awards are fetched.

The mapping of a venue that speaks HTTP stands in a file of its own (`mapping:`); left out it is the dialect
of the simulated venue. docs/venues.md says what each answer becomes.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from vpp.model.venue import AnswerMeaning, BidSetWord
from vpp.service.feeds.schema import HeaderName
from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import FileName, Id, Section, Text
from vpp.service.secretfiles import SecretSection, no_list_of_values

Status = Annotated[str, StringConstraints(pattern=r"^[1-5][0-9][0-9]$")]
Place = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}$")]
"""Where in a JSON body something stands: `data.status`."""
Parameter = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Fields = Annotated[list[Parameter], Field(max_length=100)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def _path(path: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/{}-]*", path):
        raise ValueError(f"{path!r} is no path from the venue's url on")
    if re.search(r"[{}]", path.replace("{bid_set_id}", "")):
        raise ValueError("in braces only {bid_set_id}")
    return path


def _names_the_bid_set(path: str) -> str:
    if "{bid_set_id}" not in _path(path):
        raise ValueError("must name {bid_set_id}")
    return path


Path = Annotated[str, StringConstraints(max_length=200), AfterValidator(_path)]
BidSetPath = Annotated[str, StringConstraints(max_length=200), AfterValidator(_names_the_bid_set)]


def _statuses() -> dict[str, AnswerMeaning]:
    return {
        "200": "taken",
        "201": "taken",
        "409": "conflict",
        "410": "gate_closed",
        "422": "declined",
        "408": "later",
        "425": "later",
        "429": "later",
        "503": "later",
    }


def _words() -> dict[str, AnswerMeaning]:
    return {"received": "taken"}


def _bid_set_words() -> dict[str, BidSetWord]:
    return {"received": "received", "cleared": "cleared", "unknown": "unknown"}


class BidsMappingSection(Section):
    """How bids are sent, and what the answers mean."""

    method: Literal["PUT", "POST"] = "PUT"
    path: Path = "/bid-sets/{bid_set_id}"
    content_type: Text = "application/json"
    """Of the bytes that are sent; they are always those of a BidSetResponse."""
    statuses: Annotated[dict[Status, AnswerMeaning], Field(min_length=1, max_length=100)] = Field(
        default_factory=_statuses
    )
    """Statuses that are not here: 5xx unknown, 401 later, all others foreign. A 5xx is `later` only with a
    Retry-After."""
    word_at: Place | None = "status"
    """Where a body that was taken says so in a word; null: the status alone says it."""
    words: Annotated[dict[Text, AnswerMeaning], Field(max_length=100)] = Field(
        default_factory=_words
    )
    code_at: Place = "code"
    """Where a refusal's code stands."""
    what_at: Place = "detail"
    also: Fields = Field(default_factory=lambda: ["bid_set_id"])
    """Other fields that an answer may have at its top; one that is not known is foreign."""

    @model_validator(mode="after")
    def _can_be_taken(self) -> Self:
        said = {*self.statuses.values()}
        if "taken" not in said or (self.word_at and "taken" not in self.words.values()):
            raise ValueError("no answer means `taken`: every bid would be in doubt for ever")
        return self


class StatusMappingSection(Section):
    """How it is asked what became of a bid set."""

    path: BidSetPath = "/bid-sets/{bid_set_id}"
    at: Place = "status"
    words: Annotated[dict[Text, BidSetWord], Field(min_length=1, max_length=100)] = Field(
        default_factory=_bid_set_words
    )
    unknown_statuses: Annotated[list[Status], Field(max_length=20)] = Field(default_factory=list)
    """HTTP statuses that mean `unknown`: 404, say."""
    also: Fields = Field(default_factory=list)


class AwardsMappingSection(Section):
    """How awards are fetched: names of parameters, places in the answer."""

    path: Path = "/awards"
    after: Parameter = "after"
    limit: Parameter = "limit"
    since: Parameter = "from"
    until: Parameter = "to"
    page: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Awards that are asked for at once."""
    list_at: Place = "awards"
    last_at: Place = "last_sequence"
    more_at: Place = "more"
    sequence_at: Place = "sequence"
    """In each entry; the award itself, at `award_at`, is an AwardRequest."""
    product_at: Place = "product"
    award_at: Place = "award"
    also: Fields = Field(default_factory=list)
    entry_also: Fields = Field(default_factory=lambda: ["issued_at"])


class MappingSection(Section):
    """The dialect of a venue."""

    bids: BidsMappingSection = BidsMappingSection()
    status: StatusMappingSection | None = StatusMappingSection()
    """null: it cannot be asked, so nothing is ever sent to it twice."""
    awards: AwardsMappingSection | None = AwardsMappingSection()
    """null: its awards come by POST alone."""


class TokenSection(Section):
    """OAuth 2 client credentials."""

    url: Url
    client_id: SecretSection
    client_secret: SecretSection
    scope: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    ahead_s: Annotated[float, Field(ge=1, le=86_400)] = 120.0
    """So long before its end a token is renewed; at most half of its life."""


class CertificateSection(Section):
    """A certificate that we show (mutual TLS), as PEM beside the park file or absolute."""

    cert: FileName
    key: FileName
    ca: FileName | None = None
    """Whom we trust instead of the machine's authorities."""


class VenueSection(Section):
    """What all venues have."""

    id: Id
    products: Annotated[list[ProductName], Field(min_length=1, max_length=100)]
    bids: Literal["sent", "asked"] = "sent"
    """sent: we make bids before each gate and send them. asked: the venue asks by POST, as ever; its
    awards are fetched all the same."""
    ask_before_minutes: Annotated[int, Field(ge=6, le=1440)] = 20
    """So long before a gate bids are made."""
    alarm_before_minutes: Annotated[int, Field(ge=5, le=720)] = 7
    """A gate whose bids the venue has not confirmed by then is at risk, and a person hears of it."""
    last_send_s: Annotated[float, Field(ge=0, le=600)] = 2.0
    """Nothing is sent in the last seconds before a gate, nor while the venue's clock says it has passed."""
    poll_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    """How often awards are fetched."""
    overlap: Annotated[int, Field(ge=0, le=100_000)] = 20
    """So many awards before the newest one are fetched again."""
    first_sequence: Annotated[int, Field(ge=0, le=2**53)] = 1
    """The number of the first award that is ours to know of."""
    reconcile_hours: Annotated[int, Field(ge=1, le=168)] = 24
    """How often all awards of the last days are held against ours."""
    reconcile_days: Annotated[int, Field(ge=1, le=60)] = 3
    clock_limit_s: Annotated[float, Field(ge=1, le=3600)] = 5.0
    """A venue's clock may differ from ours by so much."""

    @model_validator(mode="after")
    def _alarm_after_the_first_try(self) -> Self:
        if self.alarm_before_minutes >= self.ask_before_minutes:
            raise ValueError(
                "alarm_before_minutes must be below ask_before_minutes: nothing is tried yet"
            )
        return self


class HttpVenueSection(VenueSection):
    """A venue that is spoken to over HTTP."""

    kind: Literal["http"]
    url: Url
    """https, or http on this machine; the mapping's paths follow it."""
    mapping: FileName | None = None
    """A file beside the park file that says how it speaks; left out: as the simulated venue does."""
    headers: Annotated[
        dict[HeaderName, SecretSection], Field(max_length=20), BeforeValidator(no_list_of_values)
    ] = Field(default_factory=dict)
    """Sent along, by name; the file says only where a value is kept: `{env: NAME}` or `{file: NAME}`."""
    token: TokenSection | None = None
    certificate: CertificateSection | None = None
    timeout_s: Annotated[float, Field(ge=1, le=30)] = 10.0
    max_bytes: Annotated[int, Field(ge=1000, le=50_000_000)] = 2_000_000


class FileVenueSection(VenueSection):
    """A venue that lives by a portal: files that a person, or a program of the portal's, carries."""

    kind: Literal["files"]
    outbox: FileName
    """Folder for bids, beside the park file or absolute; one CSV for each bid set."""
    inbox: FileName
    """Folder that is watched for awards (`awards*.csv`) and receipts (`receipts*.csv`)."""
    max_bytes: Annotated[int, Field(ge=1000, le=50_000_000)] = 5_000_000


AnyVenue = Annotated[HttpVenueSection | FileVenueSection, Field(discriminator="kind")]
