"""How the answers of a venue are read by its mapping; pure, so that every odd answer gets a test.

    status   in the mapping      what it says there (by a word of the body, where one is named)
             5xx, not in it      unknown: whoever stood in front may have passed it on
             401                 later: our credentials, not the bids
             any other           foreign: redirects, pages of a proxy, what nobody agreed on

What the mapping says is believed only from an answer that looks as agreed: content type, JSON, the known
fields. A cut body says nothing (unknown); `later` from a 5xx counts only with a `Retry-After`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
from pydantic import ValidationError

from adapters.http_exchange import Answered
from adapters.http_get import WORTH_ANOTHER_TRY, Reply, retry_at
from vpp.errors import ForeignError, UnavailableError
from vpp.model.venue import (
    CONFLICT,
    GATE_CLOSED,
    MAX_RAW_BYTES,
    AnswerMeaning,
    BidSetWord,
    Declined,
    Foreign,
    Later,
    Submission,
    Taken,
    Unknown,
)
from vpp.ports import AwardPage, ForeignAward, PublishedAward
from vpp.wire import AwardRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class BidsMapping:
    """How bids are sent, and what the answers mean."""

    method: Literal["PUT", "POST"] = "PUT"
    path: str = "/bid-sets/{bid_set_id}"
    content_type: str = "application/json"
    """Of the bytes that are sent."""

    statuses: Mapping[int, AnswerMeaning] = field(
        default_factory=lambda: {
            200: "taken",
            201: "taken",
            409: "conflict",
            410: "gate_closed",
            422: "declined",
            408: "later",
            425: "later",
            429: "later",
            503: "later",
        }
    )
    word_at: str | None = "status"
    """Where in the body of a taken bid its word stands; None: the status alone says it."""

    words: Mapping[str, AnswerMeaning] = field(default_factory=lambda: {"received": "taken"})
    code_at: str = "code"
    what_at: str = "detail"
    also: frozenset[str] = frozenset({"bid_set_id"})
    """Other fields that a body may have at its top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMapping:
    """How it is asked what became of a bid set."""

    path: str = "/bid-sets/{bid_set_id}"
    at: str = "status"
    words: Mapping[str, BidSetWord] = field(
        default_factory=lambda: {"received": "received", "cleared": "cleared", "unknown": "unknown"}
    )
    unknown_statuses: frozenset[int] = frozenset()
    """HTTP statuses that mean `unknown`, 404 say."""

    also: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardsMapping:
    """How awards are fetched: parameters of the question, places in the answer."""

    path: str = "/awards"
    after: str = "after"
    limit: str = "limit"
    since: str = "from"
    until: str = "to"
    page: int = 200
    list_at: str = "awards"
    last_at: str = "last_sequence"
    more_at: str = "more"
    sequence_at: str = "sequence"
    product_at: str = "product"
    award_at: str = "award"
    also: frozenset[str] = frozenset()
    entry_also: frozenset[str] = frozenset({"issued_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueMapping:
    """The whole dialect of a venue; the defaults are that of the simulated one."""

    bids: BidsMapping = BidsMapping()
    status: StatusMapping | None = StatusMapping()
    """None: the venue cannot be asked."""

    awards: AwardsMapping | None = AwardsMapping()
    """None: awards come by push alone."""


def read_submission(answered: Answered, mapping: BidsMapping, now: datetime) -> Submission:
    """What became of bids that were sent."""
    reply = answered.reply
    meaning = mapping.statuses.get(reply.status)
    told = f"answered {reply.status} {reply.content_type or 'without a content type'}"
    if reply.status == 401:
        return Later(retry_at=None, what=f"{told}: our credentials are refused")
    if meaning is None:
        if reply.status >= 500:
            return Unknown(what=told)
        return _foreign(reply, f"{told}, which the mapping does not know")
    if meaning == "later":
        wait = retry_at(reply, now)
        if reply.status >= 500 and wait is None:
            return Unknown(what=f"{told} without a time to wait")
        return Later(retry_at=wait, what=told)
    if meaning == "unknown":
        return Unknown(what=told)
    if answered.cut:
        return Unknown(what=f"{told}, and the body is cut: {answered.cut}")
    if answered.too_large:
        return _foreign(reply, f"{told} with more bytes than are read")
    try:
        body = _body_of(meaning, reply, mapping)
        if meaning == "taken" and mapping.word_at is not None:
            meaning = mapping.words[_text(body, mapping.word_at)]
    except KeyError as error:
        return _foreign(reply, f"{told}: the word {error} is not in the mapping")
    except ValueError as error:
        return _foreign(reply, f"{told}: {error}")
    return _outcome(meaning, body, reply, mapping, told)


def _body_of(meaning: AnswerMeaning, reply: Reply, mapping: BidsMapping) -> dict[str, Any]:
    """The body of an answer; it may be empty where the status says it all. Raises ValueError."""
    by_status = meaning in ("conflict", "gate_closed") or (
        meaning == "taken" and mapping.word_at is None
    )
    if by_status and not reply.body:
        return {}
    body = _object(reply)
    if meaning == "taken":
        word_at = mapping.word_at or mapping.code_at
        _require_known(body, {word_at, mapping.code_at, mapping.what_at}, mapping.also)
    return body


def _outcome(
    meaning: AnswerMeaning, body: dict[str, Any], reply: Reply, mapping: BidsMapping, told: str
) -> Submission:
    """What a word means, whether a status or the body said it."""
    what = _at(body, mapping.what_at)
    said = f"{told}: {what[:300]}" if isinstance(what, str) else told
    match meaning:
        case "taken":
            return Taken()
        case "conflict":
            return Declined(code=CONFLICT, what=said)
        case "gate_closed":
            return Declined(code=GATE_CLOSED, what=said)
        case "declined":
            code = _at(body, mapping.code_at)
            if not isinstance(code, str) or not code:
                return _foreign(reply, f"{told} without a code at {mapping.code_at}")
            return Declined(code=code[:100], what=said)
        case "later":
            return Later(retry_at=None, what=said)
        case _:
            return Unknown(what=said)


def read_word(answered: Answered, mapping: StatusMapping, *, where: str) -> BidSetWord:
    """What a venue says of a bid set.

    Raises:
        UnavailableError: 5xx, busy, a cut body, refused credentials: the same question may be answered later.
        ForeignError: Whatever is not the agreed answer.
    """
    if answered.reply.status in mapping.unknown_statuses:
        return "unknown"
    body = _agreed(answered, where)
    try:
        _require_known(body, {mapping.at}, mapping.also)
        word = _text(body, mapping.at)
        if word not in mapping.words:
            raise ValueError(f"the word {word!r} is not in the mapping")
        return mapping.words[word]
    except ValueError as error:
        raise _foreign_error(answered.reply, str(error), where) from error


def read_awards(answered: Answered, mapping: AwardsMapping, *, after: int, where: str) -> AwardPage:
    """One page of a list of awards. An entry that is no award is told and does not hide the others.

    Raises as `read_word`.
    """
    body = _agreed(answered, where)
    try:
        known = {mapping.list_at, mapping.last_at, mapping.more_at}
        _require_known(body, known, mapping.also)
        entries, last = _at(body, mapping.list_at), _at(body, mapping.last_at)
        more = _at(body, mapping.more_at)
        if not isinstance(entries, list):
            raise ValueError(f"{mapping.list_at} is no list")
        if not _whole(last) or not isinstance(more, bool):
            raise ValueError(
                f"no number at {mapping.last_at}, or no yes or no at {mapping.more_at}"
            )
    except ValueError as error:
        raise _foreign_error(answered.reply, str(error), where) from error
    awards: list[PublishedAward] = []
    foreign: list[ForeignAward] = []
    for place, entry in enumerate(entries):
        match _entry(entry, mapping, place):
            case PublishedAward() as award:
                awards.append(award)
            case ForeignAward() as stranger:
                foreign.append(stranger)
    numbers = [number for entry in entries if _whole(number := _sequence(entry, mapping))]
    furthest = max(numbers, default=after)  # of foreign ones too: behind them the list goes on
    return AwardPage(
        awards=tuple(awards),
        foreign=tuple(foreign),
        next_after=furthest if more and furthest > after else None,
        last_sequence=last,
    )


def _entry(entry: Any, mapping: AwardsMapping, place: int) -> PublishedAward | ForeignAward:
    sequence = _sequence(entry, mapping)
    where = f"sequence {sequence}" if _whole(sequence) else f"entry {place}"
    try:
        if not isinstance(entry, dict) or not _whole(sequence):
            raise ValueError("it has no sequence")
        known = {mapping.sequence_at, mapping.product_at, mapping.award_at}
        _require_known(entry, known, mapping.entry_also)
        return PublishedAward(
            sequence=sequence,
            product_id=_text(entry, mapping.product_at),
            award=AwardRequest.model_validate(_at(entry, mapping.award_at)),
        )
    except (ValidationError, ValueError) as error:
        raw = msgspec.json.encode(entry)[:MAX_RAW_BYTES]
        return ForeignAward(where=where, what=str(error)[:500], raw=raw)


def _sequence(entry: Any, mapping: AwardsMapping) -> Any:
    return _at(entry, mapping.sequence_at) if isinstance(entry, dict) else None


def _agreed(answered: Answered, where: str) -> dict[str, Any]:
    """The body of a good answer to a question."""
    reply = answered.reply
    if reply.status >= 500 or reply.status in WORTH_ANOTHER_TRY or reply.status == 401:
        raise UnavailableError(f"answered {reply.status}", where=where, fix="Ask again")
    if answered.cut:
        raise UnavailableError(f"the body is cut: {answered.cut}", where=where, fix="Ask again")
    if reply.status != 200:
        raise _foreign_error(reply, f"answered {reply.status}", where)
    if answered.too_large:
        raise _foreign_error(reply, "sends more bytes than are read", where)
    try:
        return _object(reply)
    except ValueError as error:
        raise _foreign_error(reply, str(error), where) from error


def _foreign(reply: Reply, what: str) -> Foreign:
    return Foreign(what=what[:500], raw=reply.body[:MAX_RAW_BYTES])


def _foreign_error(reply: Reply, what: str, where: str) -> ForeignError:
    return ForeignError(
        what[:500],
        where=where,
        fix="Compare with the mapping of this venue",
        raw=reply.body[:MAX_RAW_BYTES],
    )


def _object(reply: Reply) -> dict[str, Any]:
    """The body as a JSON object. Raises ValueError."""
    kind = reply.content_type
    if kind != "application/json" and not kind.endswith("+json"):
        raise ValueError(f"it is {kind or 'without a content type'}, not JSON")
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no JSON: {str(error)[:120]}") from error
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    return body


def _require_known(body: dict[str, Any], paths: set[str], also: frozenset[str]) -> None:
    strange = sorted(body.keys() - {path.split(".")[0] for path in paths} - also)
    if strange:
        raise ValueError(f"fields that the mapping does not know: {', '.join(strange)[:200]}")


def _at(body: Any, path: str) -> Any:
    """What stands at a dotted path; None where nothing does."""
    for key in path.split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body


def _text(body: dict[str, Any], path: str) -> str:
    found = _at(body, path)
    if not isinstance(found, str):
        raise ValueError(f"no text at {path}")
    return found


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**53
