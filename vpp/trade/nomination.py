"""Nominations as files, and confirmations held against them interval by interval.

net position ─▶ nominated ─▶ {unit}.{day}.v{n}.csv      confirmation ─▶ match: nothing, or where and by how much
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from vpp.model.nomination import Nomination
from vpp.model.time import Interval, isoformat

COLUMNS = ("nomination_id", "unit", "delivery_day", "version", "start", "end", "nominated_mw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One interval in which a confirmation says something else."""

    interval: Interval
    nominated_mw: Decimal | None
    """None where it was not nominated."""
    confirmed_mw: Decimal | None
    """None where the confirmation leaves it out."""

    @property
    def by_mw(self) -> Decimal | None:
        """Confirmed less nominated; None where one of them is missing."""
        if self.nominated_mw is None or self.confirmed_mw is None:
            return None
        return self.confirmed_mw - self.nominated_mw


def nomination_csv(nomination: Nomination) -> bytes:
    """The file of one version; the same version gives the same bytes."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for interval, mw in nomination.nominated_mw.items():
        table.writerow(
            (
                nomination.nomination_id,
                nomination.unit_id,
                nomination.day.isoformat(),
                nomination.version,
                isoformat(interval.start),
                isoformat(interval.end),
                format(mw, "f"),
            )
        )
    return text.getvalue().encode()


def differences(
    nomination: Nomination, confirmed_mw: Mapping[Interval, Decimal]
) -> tuple[Difference, ...]:
    """Every interval that is not confirmed as it was nominated, in order; () where all is."""
    nominated = nomination.nominated_mw
    return tuple(
        Difference(
            interval=interval,
            nominated_mw=nominated.get(interval),
            confirmed_mw=confirmed_mw.get(interval),
        )
        for interval in sorted(nominated.keys() | confirmed_mw.keys())
        if nominated.get(interval) != confirmed_mw.get(interval)
    )
