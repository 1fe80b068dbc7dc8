"""The desk of a plant that begins: what its file says, and what its journal knows."""

from __future__ import annotations

from pathlib import Path

from vpp.ports import Journal
from vpp.service.tuning import record
from vpp.service.tuning.desk import Reader, Seen, TuningDesk
from vpp.service.tuning.file import signature_of


def desk_of(text: str, path: Path | None, reader: Reader, journal: Journal) -> TuningDesk:
    """A desk on which `text` is live; it goes on as a version of the record where it was live at its end.

    Raises:
        ConfigErrors: Every fault of the text.
    """
    live = reader(text, "strategies" if path is None else path.name)
    versions = record.versions_on_record(journal)
    newest = record.live_number(versions)
    goes_on = newest is not None and versions[newest].version == live.version
    return TuningDesk(
        reader=reader,
        path=path,
        live=live,
        seen=Seen(text=text, version=live.version),
        live_number=newest if goes_on and newest is not None else 0,
        versions=versions,
        signature=None if path is None else signature_of(path),
    )
