"""Forecasts without a model: the seasonal baseline, and where there is no history the course of neighbours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from vpp.errors import DataError, PlanError
from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon
from vpp.model.ids import EnterpriseId
from vpp.model.resource import Resource
from vpp.model.resource.series import available_series, power_series
from vpp.model.time import local_date
from vpp.sense.forecast.borrowed import borrowed, pooled
from vpp.sense.forecast.seasonal import with_known
from vpp.sense.forecast.spread import measure
from vpp.service.events import Severity
from vpp.service.plant import Plant

MOST_NAMED = 10
"""Series that one error names."""


def by_baseline(
    plant: Plant, names: Sequence[str], horizon: Horizon, now: datetime
) -> tuple[dict[str, Forecast], dict[str, DataError | PlanError]]:
    """The seasonal baseline with the spread it had lately; and why some series have none."""
    found: dict[str, Forecast] = {}
    lacking: dict[str, DataError | PlanError] = {}
    try:
        found = _baseline(plant, names, horizon, now)
    except (DataError, PlanError):  # one of them; which ones is seen one by one
        for name in names:
            try:
                found |= _baseline(plant, [name], horizon, now)
            except (DataError, PlanError) as error:
                lacking[name] = error
    return found, lacking


def _baseline(
    plant: Plant, names: Sequence[str], horizon: Horizon, now: datetime
) -> dict[str, Forecast]:
    """All of them, with published values in place of forecasts. Raises as `SeasonalBaseline.issue`."""
    desk, calendar = plant.desk, plant.file.calendar
    issued = desk.baseline.issue(plant.series, names, horizon, now) if names else ()
    today = local_date(now, calendar.zone)
    if desk.spreads_of != today:
        desk.spreads, desk.spreads_of = {}, today
    fresh = [name for name in names if name not in desk.spreads]
    if fresh:
        desk.spreads |= measure(desk.baseline, plant.series, fresh, now)
    spread = {f.series_id: desk.spreads[f.series_id].around(f.expected, calendar) for f in issued}
    return {
        f.series_id: with_known(plant.series, replace(f, quantiles=spread[f.series_id]), now)
        for f in issued
    }


def by_neighbours(
    plant: Plant,
    lacking: Mapping[str, DataError | PlanError],
    known: Mapping[str, Forecast],
    now: datetime,
) -> dict[str, Forecast]:
    """The course that a resource without history takes from the others of its enterprise, told once each.

    Raises:
        DataError, PlanError: Why the first of them has no forecast, where nobody can lend it one, and
            which others have none: who gives them one by one waits a plan for each.
    """
    found: dict[str, Forecast] = {}
    without: list[str] = []
    sorts = _sorts(plant) if lacking else ()
    for name, why in lacking.items():
        try:
            found[name] = _lent(sorts, name, why, known)
        except (DataError, PlanError):
            without.append(name)
            continue
        if name not in plant.desk.borrowed:
            plant.events.emit_of_one(
                "forecasting",
                f"{name} has no history of its own, its enterprise's other resources lend it theirs",
                at=now,
                severity=Severity.WARNING,
                series_id=name,
            )
    if without:
        raise _of_all(without, lacking[without[0]])
    return found


def _of_all(names: Sequence[str], why: DataError | PlanError) -> DataError | PlanError:
    """The error of the first of some series, with the names of the others."""
    _, *others = names
    if not others:
        return why
    named = ", ".join(others[:MOST_NAMED])
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return type(why)(
        f"{why.what}, nor is there enough of {named}{more}", where=why.where, fix=why.fix
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Members:
    """Who measures or feeds what: the series of one sort, and whose they are."""

    owner: Mapping[str, EnterpriseId]
    """By series; of a cluster of several enterprises the one of its last member."""

    size_kw: Mapping[str, float]
    """Sizes of all whose course a series is."""

    of_owner: Mapping[EnterpriseId, Sequence[str]]
    """Series by enterprise, in park order."""

    pools: dict[EnterpriseId, tuple[Sequence[Forecast], float]] = field(default_factory=dict)
    """Forecasts that are lent in each enterprise, and of how many kW; added up when the first one borrows."""

    def pool(
        self, enterprise: EnterpriseId, known: Mapping[str, Forecast]
    ) -> tuple[Sequence[Forecast], float]:
        """What an enterprise lends."""
        if enterprise not in self.pools:
            names = [name for name in self.of_owner[enterprise] if name in known]
            size_kw = sum(self.size_kw[name] for name in names)
            self.pools[enterprise] = (pooled([known[name] for name in names]), size_kw)
        return self.pools[enterprise]


def _sorts(plant: Plant) -> tuple[_Members, ...]:
    """What is drawn, and what the weather gives: nobody lends the one for the other."""
    return tuple(
        _members(plant.file.park.resources, series_of, size_of)
        for series_of, size_of in ((power_series, _draw_kw), (available_series, _feed_kw))
    )


def _members(
    resources: Iterable[Resource],
    series_of: Callable[[Resource], str | None],
    size_of: Callable[[Resource], float],
) -> _Members:
    owner: dict[str, EnterpriseId] = {}
    size_kw: defaultdict[str, float] = defaultdict(float)
    for resource in resources:
        if (series := series_of(resource)) is not None:
            owner[series] = resource.enterprise_id
            size_kw[series] += size_of(resource)
    of_owner: defaultdict[EnterpriseId, list[str]] = defaultdict(list)
    for series, enterprise in owner.items():
        of_owner[enterprise].append(series)
    return _Members(owner, size_kw, of_owner)


def _lent(
    sorts: Iterable[_Members],
    name: str,
    why: DataError | PlanError,
    known: Mapping[str, Forecast],
) -> Forecast:
    for of in sorts:
        if name in of.owner:
            lenders, size_kw = of.pool(of.owner[name], known)
            if lenders:
                return borrowed(name, lenders, size_kw=of.size_kw[name], lenders_size_kw=size_kw)
    raise why


def _draw_kw(resource: Resource) -> float:
    return resource.draw_kw


def _feed_kw(resource: Resource) -> float:
    return resource.feed_kw
