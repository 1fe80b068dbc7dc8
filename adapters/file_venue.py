"""A venue that lives by a portal: bids go out as CSV files, awards and receipts come in as such; a `Venue`.

    outbox/{bid_set_id}.csv   bid_set_id,product,unit,bid_id,start,end,side,form,quantity_mw,price_per_mwh,offer
    inbox/receipts*.csv       bid_set_id,status
    inbox/awards*.csv         award_id,revision,final,bid_set_id,product,bid_id,start,end,quantity_mw,price_per_mwh

A bid set appears whole (written under another name, then renamed), once: the same bytes again change
nothing. In the outbox nobody knows whether the market has it, until a receipt says `received`, `cleared`
or `unknown`. A file of the inbox is taken whole, or told as a fault; a bid without a quantity got
nothing. Files are left where they are: whoever carries them clears the folders.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
from pydantic import ValidationError

from adapters.feed_table import Row, csv_rows
from adapters.watched_folder import WatchedFolder
from adapters.whole_file import write_whole
from vpp.errors import DataError, ForeignError, RejectedError
from vpp.model.time import Interval, isoformat
from vpp.model.venue import (
    CONFLICT,
    MAX_RAW_BYTES,
    BidSetWord,
    Declined,
    Later,
    Submission,
    Unknown,
    VenueHealth,
)
from vpp.ports import AwardPage, ForeignAward, PublishedAward
from vpp.wire import AwardRequest

MOST_FILES = 200
"""Of awards, read in one look, oldest first; the others wait for the next."""

BID_COLUMNS = (
    "bid_set_id", "product", "unit", "bid_id", "start", "end", "side", "form",
    "quantity_mw", "price_per_mwh", "offer",
)  # fmt: skip
AWARD_COLUMNS = {
    "award_id", "revision", "final", "bid_set_id", "product",
    "bid_id", "start", "end", "quantity_mw", "price_per_mwh",
}  # fmt: skip
NAMES_AWARD = ("product", "award_id", "revision", "final", "bid_set_id")
"""Columns that are the same in every row of one award."""


class FileVenue:
    """A `Venue` of two folders."""

    def __init__(
        self, outbox: Path, inbox: Path, *, max_bytes: int, now: Callable[[], datetime]
    ) -> None:
        """Take the folders, and the service's clock: nothing is put out once its time has passed."""
        self._now = now
        self._outbox = outbox
        self._awards = WatchedFolder(inbox, "awards*.csv", max_bytes=max_bytes)
        self._receipts = WatchedFolder(inbox, "receipts*.csv", max_bytes=max_bytes)
        self._confirmed: dict[str, str] = {}

    @property
    def answers(self) -> bool:
        return True

    def health(self) -> VenueHealth:
        return VenueHealth()

    async def prepare(self) -> None:
        """Nothing: a folder needs no token."""

    async def submit(self, bid_set_id: str, body: bytes, *, until: datetime) -> Submission:
        if (at := self._now()) >= until:
            return Later(retry_at=None, what=f"it is {isoformat(at)}, too late to put it out")
        return await asyncio.to_thread(self._submit, bid_set_id, body)

    async def bid_set_status(self, bid_set_id: str) -> BidSetWord:
        return await asyncio.to_thread(self._status, bid_set_id)

    async def awards(self, after: int, *, issued_in: Interval | None = None) -> AwardPage:
        """All files that were not confirmed; with a span all of them, for they have no numbers."""
        return await asyncio.to_thread(self._look, issued_in is not None)

    def confirm(self, page: AwardPage) -> None:
        self._confirmed |= page.versions

    def _submit(self, bid_set_id: str, body: bytes) -> Submission:
        content = bids_as_csv(body).encode()
        path = self._outbox / f"{bid_set_id}.csv"
        try:
            if path.exists():
                if path.read_bytes() != content:
                    return Declined(code=CONFLICT, what=f"{path} holds other bids")
            else:
                write_whole(path, content)
        except OSError as error:
            return Later(retry_at=None, what=f"{path} cannot be written: {error.strerror}")
        return Unknown(what=f"it lies in {path}, and no receipt says that the market has it")

    def _status(self, bid_set_id: str) -> BidSetWord:
        """The word of the newest receipt."""
        for file in reversed(self._receipts.files()):
            where = str(file.path)
            try:
                for place, row in csv_rows(self._receipts.read(file) or "bid_set_id\n", where):
                    if row.get("bid_set_id") == bid_set_id:
                        return _word(row, place)
            except DataError as error:
                raise ForeignError(
                    error.what, where=error.where, fix=error.fix, raw=_beginning(file.path)
                ) from error
        raise RejectedError(
            "no receipt has come",
            where=f"bid set {bid_set_id}",
            fix="Carry the file to the portal, and its receipt into the inbox",
        )

    def _look(self, every: bool) -> AwardPage:
        files = self._awards.files()
        for gone in self._confirmed.keys() - {file.path.name for file in files}:
            del self._confirmed[gone]
        fresh = [f for f in files if every or self._confirmed.get(f.path.name) != f.version]
        awards: list[PublishedAward] = []
        foreign: list[ForeignAward] = []
        versions: dict[str, str] = {}
        for file in fresh if every else fresh[:MOST_FILES]:
            try:
                content = self._awards.read(file)
                if content is None:
                    continue
                awards += awards_of(csv_rows(content, str(file.path)), str(file.path))
            except DataError as error:
                raw = _beginning(file.path)
                foreign.append(ForeignAward(where=error.where, what=error.what, raw=raw))
            versions[file.path.name] = file.version
        return AwardPage(awards=tuple(awards), foreign=tuple(foreign), versions=versions)


def bids_as_csv(body: bytes) -> str:
    """A `BidSetResponse` as a table: a row for each step of a curve, else one for each bid."""
    said = msgspec.json.decode(body)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(BID_COLUMNS)
    for bid in said["bids"]:
        offer = bid["offer"]
        first = (
            said["bid_set_id"], said["product"], said["unit"],
            bid["bid_id"], bid["start"], bid["end"], bid["side"], offer["form"],
        )  # fmt: skip
        whole = msgspec.json.encode(offer).decode()
        for step in offer.get("steps", [offer]):
            table.writerow((*first, step.get("quantity_mw"), step.get("price_per_mwh"), whole))
    return text.getvalue()


def awards_of(rows: list[Row], where: str) -> Iterator[PublishedAward]:
    """The awards of a table, in the order in which they begin.

    Raises:
        DataError: A column or a value that was not agreed on.
    """
    found: dict[tuple[str, ...], list[Row]] = {}
    for place, row in rows:
        if row.keys() != AWARD_COLUMNS:
            strange = ", ".join(sorted(row.keys() ^ AWARD_COLUMNS))
            raise DataError(
                f"columns that are missing or unknown: {strange[:200]}",
                where=place,
                fix=f"Have {', '.join(sorted(AWARD_COLUMNS))}",
            )
        key = tuple(str(row[name]) for name in NAMES_AWARD)
        found.setdefault(key, []).append((place, row))
    for (product_id, award_id, revision, final, bid_set_id), lines in found.items():
        if final not in ("yes", "no"):
            raise DataError(f"final is {final!r}", where=lines[0][0], fix="Write yes or no")
        cleared: list[dict[str, Any]] = [
            {name: row[name] for name in ("bid_id", "start", "end", "quantity_mw", "price_per_mwh")}
            for _, row in lines
            if row["quantity_mw"]
        ]
        try:
            award = AwardRequest.model_validate(
                {
                    "award_id": award_id,
                    "revision": revision,
                    "final": final == "yes",
                    "bid_set_id": bid_set_id,
                    "cleared": cleared,
                    "rejected": [row["bid_id"] for _, row in lines if not row["quantity_mw"]],
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise DataError(what, where=lines[0][0], fix=f"Mend {where}") from error
        yield PublishedAward(sequence=None, product_id=product_id, award=award)


def _word(row: Mapping[str, object], place: str) -> BidSetWord:
    for word in get_args(BidSetWord):
        if row.get("status") == word:
            known: BidSetWord = word
            return known
    raise DataError(
        f"status is {row.get('status')!r}", where=place, fix="Write received, cleared or unknown"
    )


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_RAW_BYTES)
    except OSError:  # gone meanwhile: what was wrong with it is told all the same
        return b""
