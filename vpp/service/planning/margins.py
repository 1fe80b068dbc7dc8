"""Which room is kept below which limit or paid peak: the errors of all that nobody moves behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import Limits, Park, Place
from vpp.model.resource import Resource
from vpp.model.resource.series import arriving_series, available_series, power_series
from vpp.plan.view import Margin, PaidPeak, PeakMargin
from vpp.sense.forecast.margins import added_up, rooms_kw


def margins(
    park: Park,
    errors_kw: Mapping[str, Floats],
    steps: int,
    *,
    probability: float,
    price_per_kwh: float,
    known: NDArray[np.bool_] | None = None,
) -> tuple[Margin, ...]:
    """A margin for each limited place of the tree that has such errors behind it.

    `errors_kw` is measured less forecast by series id, net injection, shape (origins, leads) each,
    the same origins in all. A series that is not named is taken to be known. Errors of converters
    and zones, which the plan itself moves, are none.

    Raises:
        DataError: As `rooms_kw`.
    """
    found = []
    for place, behind in _behind(park):
        if errors := _errors_behind(park, behind, errors_kw):
            drawing, feeding = rooms_kw(added_up(errors), probability, steps, known=known)
            found.append(
                Margin(
                    place=place,
                    import_kw=drawing,
                    export_kw=feeding,
                    price_per_kwh=price_per_kwh,
                )
            )
    return tuple(found)


def with_peak_margins(
    peaks: Sequence[PaidPeak],
    park: Park,
    errors_kw: Mapping[str, Floats],
    steps: int,
    *,
    probability: float,
) -> tuple[PaidPeak, ...]:
    """The peaks, with a margin below each where errors behind its connection point are known.

    The margin is exceeded with the probability 1 - p, what is forecast with one half: a plan that
    comes near a peak, somewhere between the two, is charged the mean of both, (0.75 - p / 2).

    Raises:
        DataError: As `rooms_kw`.
    """
    found = []
    for peak in peaks:
        point = peak.connection_point_id
        behind = [park.resource_by_id[name] for name in park.behind_point.get(point, ())]
        if errors := _errors_behind(park, behind, errors_kw):
            drawing, _ = rooms_kw(added_up(errors), probability, steps)
            margin = PeakMargin(import_kw=drawing, share=0.75 - probability / 2)
            found.append(replace(peak, margin=margin))
        else:
            found.append(peak)
    return tuple(found)


def _errors_behind(
    park: Park, behind: Iterable[Resource], errors_kw: Mapping[str, Floats]
) -> list[Floats]:
    """Those of series that nobody moves, in the order of their names; of a cluster the part that is here."""
    parts: dict[str, float] = {}
    for resource in behind:
        for of in (power_series, available_series, arriving_series):
            if (name := of(resource)) is not None and name in errors_kw:
                parts[name] = parts.get(name, 0.0) + park.part_of_series(resource.resource_id)
    return [errors_kw[name] * parts[name] for name in sorted(parts)]


def _behind(park: Park) -> Iterator[tuple[Place, list[Resource]]]:
    """Every place that is limited, with the electric resources below it."""
    point, owner, feeder = park.behind_point, park.behind_enterprise, park.behind_feeder
    nodes: list[tuple[Place, Limits, Iterable[ResourceId]]] = [
        *(
            (p.connection_point_id, p.limits, point[p.connection_point_id])
            for p in park.connection_points
        ),
        *((e.enterprise_id, e.limits, owner[e.enterprise_id]) for e in park.enterprises),
        *((f.feeder_id, f.limits, feeder[f.feeder_id]) for f in park.feeders),
        (park.park_id, park.limits, [r.resource_id for r in park.electric]),
    ]
    for place, limits, behind in nodes:
        if isfinite(limits.import_kw) or isfinite(limits.export_kw):
            yield place, [park.resource_by_id[name] for name in behind]
