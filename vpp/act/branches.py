"""The park's tree of limits as arrays: who stands behind which node, and what each node may carry.

    unit ──point_of──▶ connection point ──Level.of_point──▶ enterprise, feeder, park
      └──── Groups: lists of units, for they lie across the tree

Every unit of electricity has one node on each level, so a level is checked and cut as a whole. Whoever
has none there (another carrier, an enterprise without a limit) has the number `len(level.names)`: one
place too many in every array, that nobody reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.park import Limits, Park

Places: TypeAlias = NDArray[np.intp]
"""Numbers of units, points or nodes."""


def totals(node_of: Places, values: Floats, count: int) -> Floats:
    """The sum of the values of each of `count` nodes, where `node_of` tells whose each value is."""
    return np.asarray(np.bincount(node_of, values, count), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """Nodes that share no unit; M of them over P connection points."""

    names: tuple[str, ...]
    """As people read them: `feeder north`."""

    of_point: Places
    """The node of each connection point, M where it has none; shape (P + 1,)."""

    import_kw: Floats
    """What each may draw, a size, inf where nothing limits it; shape (M,)."""

    export_kw: Floats

    is_points: bool = False
    """Whether its nodes are the connection points themselves, in their order."""

    def sums(self, at_points_kw: Floats) -> Floats:
        """What powers at the connection points, shape (P + 1,), come to at each node; shape (M,)."""
        m = len(self.names)
        if self.is_points:
            return at_points_kw[:m].copy()
        return totals(self.of_point, at_points_kw, m + 1)[:m]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Units that share a transformer or a crane; G groups. Only what is drawn counts."""

    names: tuple[str, ...]
    starts: Places
    """Where each group begins in `members`, and the end of the last; shape (G + 1,)."""

    members: Places
    """Units of the first group, of the second, …"""

    import_kw: Floats
    """What the members of each may draw together, a size; shape (G,)."""

    def of(self, group: int) -> Places:
        """Its members."""
        return self.members[self.starts[group] : self.starts[group + 1]]

    def sums(self, power_kw: Floats) -> Floats:
        """What the members of each draw, 0 or below; shape (G,)."""
        if not self.names:
            return np.zeros(0)
        drawn = np.minimum(power_kw[self.members], 0.0)
        return np.add.reduceat(drawn, self.starts[:-1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Branches:
    """All nodes above N units behind P connection points. Nodes are numbered groups first, then by level."""

    point_of: Places
    """The connection point of each unit; P where its power loads no wire; shape (N,)."""

    points: int
    groups: Groups
    levels: tuple[Level, ...]
    """Connection points, enterprises, feeders, the park: the deepest first."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all nodes, by number."""
        return (*self.groups.names, *(name for level in self.levels for name in level.names))

    def at_points(self, power_kw: Floats) -> Floats:
        """What powers of the units come to at each connection point; shape (P + 1,)."""
        return totals(self.point_of, power_kw, self.points + 1)

    @cached_property
    def _by_point(self) -> tuple[Places, Places]:
        """All units, point after point, and where each point begins among them; shapes (N,), (P + 2,)."""
        order = np.argsort(self.point_of, kind="stable")
        counts = np.bincount(self.point_of, minlength=self.points + 1)
        return order, np.concatenate(([0], np.cumsum(counts))).astype(np.intp)

    def behind(self, points: Places) -> Places:
        """The units behind some connection points, in park order."""
        order, starts = self._by_point
        counts = starts[points + 1] - starts[points]
        shift = np.repeat(starts[points] - np.cumsum(counts) + counts, counts)
        return np.sort(order[shift + np.arange(len(shift))])

    def under(self, park: Park) -> Branches:
        """The same tree with the limits of `park`, which differs in nothing else."""
        fresh = _levels(park)
        same = copy(self)  # with what was derived from it before
        levels = tuple(
            replace(
                level,
                names=names,
                of_point=of_point,
                import_kw=_sizes(limits, "import_kw"),
                export_kw=_sizes(limits, "export_kw"),
            )
            for level, (names, of_point, limits) in zip(self.levels, fresh, strict=True)
        )
        object.__setattr__(same, "levels", levels)
        return same


def branches(park: Park, index: Mapping[ResourceId, int]) -> Branches:
    """The tree of a park whose resources have the numbers `index`."""
    point_at = {p.connection_point_id: at for at, p in enumerate(park.connection_points)}
    point_of = np.full(len(park.resources), len(point_at), dtype=np.intp)
    for resource in park.electric:
        point_of[index[resource.resource_id]] = point_at[resource.connection_point_id]
    limited = [group for group in park.groups if group.max_draw_kw < inf]
    counts = [len(group.resource_ids) for group in limited]
    groups = Groups(
        names=tuple(f"group {group.group_id}" for group in limited),
        starts=np.concatenate(([0], np.cumsum(counts))).astype(np.intp),
        members=np.array(
            [index[name] for group in limited for name in group.resource_ids], dtype=np.intp
        ),
        import_kw=np.array([group.max_draw_kw for group in limited], dtype=np.float64),
    )
    return Branches(
        point_of=point_of,
        points=len(point_at),
        groups=groups,
        levels=tuple(
            Level(
                names=names,
                of_point=of_point,
                import_kw=_sizes(limits, "import_kw"),
                export_kw=_sizes(limits, "export_kw"),
                is_points=number == 0,
            )
            for number, (names, of_point, limits) in enumerate(_levels(park))
        ),
    )


def _levels(park: Park) -> list[tuple[tuple[str, ...], Places, Sequence[Limits]]]:
    """Names, node of each point, and limits of every level."""
    limited = [e for e in park.enterprises if e.limits != Limits()]
    return [
        (
            tuple(f"connection point {p.connection_point_id}" for p in park.connection_points),
            np.arange(len(park.connection_points) + 1, dtype=np.intp),
            [p.limits for p in park.connection_points],
        ),
        (
            tuple(f"enterprise {e.enterprise_id}" for e in limited),
            _of_points(
                [e.enterprise_id for e in limited],
                [p.enterprise_id for p in park.connection_points],
            ),
            [e.limits for e in limited],
        ),
        (
            tuple(f"feeder {f.feeder_id}" for f in park.feeders),
            _of_points(
                [f.feeder_id for f in park.feeders],
                [p.feeder_id for p in park.connection_points],
            ),
            [f.limits for f in park.feeders],
        ),
        (
            (f"park {park.park_id}",),
            _of_points([""], ["" for _ in park.connection_points]),
            [park.limits],
        ),
    ]


def _of_points(nodes: Sequence[str], of_points: Iterable[str | None]) -> Places:
    at = {name: number for number, name in enumerate(nodes)}
    none = len(nodes)
    return np.array([*(at.get(name or "", none) for name in of_points), none], dtype=np.intp)


def _sizes(limits: Sequence[Limits], name: str) -> Floats:
    return np.array([getattr(one, name) for one in limits], dtype=np.float64)
