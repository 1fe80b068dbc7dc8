"""The desk of a plant that begins: what its file says, and what its journal knows."""

from __future__ import annotations

from pathlib import Path

from vpp.ports import Journal
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning import record
from vpp.service.tuning.desk import Seen, TuningDesk


def desk_of(strategies: Strategies, path: Path | None, journal: Journal) -> TuningDesk:
    """A desk on which `strategies` are live: as the version of the record that was live at its end, where it was that text."""
    versions = record.versions_on_record(journal)
    newest = record.live_number(versions)
    goes_on = newest is not None and record.text_of(journal, newest) == strategies.text
    return TuningDesk(
        path=path,
        seen=Seen(text=strategies.text),
        live_number=newest if goes_on and newest is not None else 0,
        versions=versions,
    )
