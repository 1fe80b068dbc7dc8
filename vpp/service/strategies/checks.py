"""What must fit between a strategy file and its park: names, scopes, members and what they own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.plan.part import Reach
from vpp.service.park.config import Document, Fault, KeyPath
from vpp.service.strategies.schema import ScopeSection, StrategiesSection, StrategySection
from vpp.service.strategies.strategies import Ground
from vpp.service.strategies.wiring import kinds


def check(document: Document, section: StrategiesSection, ground: Ground) -> list[Fault]:
    """Every name that the park does not know, and every scope that a strategy cannot have."""
    faults: list[Fault] = []
    enterprises = [e.enterprise_id for e in ground.park.enterprises]
    seen: dict[str, int] = {}
    for place, one in enumerate(section.strategies):
        path: KeyPath = ("strategies", place)
        if one.name in seen:
            first = f"strategies.{seen[one.name]}"
            faults.append(document.fault((*path, "name"), f"{one.name!r} names {first} already"))
        seen.setdefault(one.name, place)
        faults += _scope_faults(document, path, one, ground)
        faults += _override_faults(document, path, one, ground)
    for name, member in section.members.items():
        at: KeyPath = ("members", name)
        if name not in enterprises:
            faults += _unknown(document, at, name, enterprises, "enterprise")
            continue
        owned = [r.resource_id for r in ground.park.resources if r.enterprise_id == name]
        named = [("vetoes", n, veto.resources) for n, veto in enumerate(member.vetoes)]
        named += [("maintenance", n, one.resources) for n, one in enumerate(member.maintenance)]
        for key, number, resources in named:
            for place, resource in enumerate(resources):
                where = (*at, key, number, "resources", place)
                faults += _unknown(document, where, resource, owned, f"resource of {name}")
    return faults


def _override_faults(
    document: Document, path: KeyPath, one: StrategySection, ground: Ground
) -> Iterator[Fault]:
    """Overrides of enterprises that are not there, or where the strategy never holds."""
    park = ground.park
    points, resources = scoped(one.scope, ground)
    within = {park.point_by_id[name].enterprise_id for name in points}
    within |= {park.resource_by_id[name].enterprise_id for name in resources}
    enterprises = [e.enterprise_id for e in park.enterprises]
    for name in one.overrides:
        where = (*path, "overrides", name)
        if name not in enterprises:
            yield from _unknown(document, where, name, enterprises, "enterprise")
        elif name not in within:
            yield document.fault(where, f"{name} is not in its scope")


def _scope_faults(
    document: Document, path: KeyPath, one: StrategySection, ground: Ground
) -> Iterator[Fault]:
    if one.use not in kinds():
        return  # told already
    scope, reach = one.scope, kinds()[one.use].reach
    if reach is Reach.PARK:
        for key in ("scope", "overrides"):
            if (*path, key) in document.marks:
                what = f"{one.use} holds for the whole park: leave `{key}` out"
                yield document.fault((*path, key), what)
        return
    if scope is None:
        return
    enterprises = {e.enterprise_id for e in ground.park.enterprises}
    known_tags = {
        tag
        for name, tags in ground.tags.items()
        for tag in tags
        if reach is Reach.RESOURCE or name in enterprises
    }
    lists: tuple[tuple[str, list[str], Iterable[str], str], ...] = (
        ("enterprises", scope.enterprises, enterprises, "enterprise"),
        (
            "tags",
            scope.tags,
            known_tags,
            "tag" if reach is Reach.RESOURCE else "tag of an enterprise",
        ),
        ("resources", scope.resources, ground.park.resource_by_id, "resource"),
    )
    for key, names, known, kind in lists:
        if key == "resources" and names and reach is Reach.POINT:
            what = f"{one.use} holds at connection points: name enterprises, or tags of theirs"
            yield document.fault((*path, "scope", key), what)
            continue
        for place, name in enumerate(names):
            yield from _unknown(document, (*path, "scope", key, place), name, known, kind)


def _unknown(
    document: Document, path: KeyPath, name: str, known: Iterable[str], kind: str
) -> Iterator[Fault]:
    names = sorted(known)
    if name not in names:
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        yield document.fault(path, f"unknown {kind} {name!r}; known: {shown or 'none'}")


def scoped(
    scope: ScopeSection | None, ground: Ground
) -> tuple[frozenset[ConnectionPointId], frozenset[ResourceId]]:
    """Connection points and resources of a scope; everything where it is left out."""
    park = ground.park
    if scope is None:
        return frozenset(park.point_by_id), frozenset(park.resource_by_id)
    tags = set(scope.tags)

    def meant(enterprise: EnterpriseId) -> bool:
        return enterprise in scope.enterprises or bool(ground.tags.get(enterprise, set()) & tags)

    points = [p for p in park.connection_points if meant(p.enterprise_id)]
    resources = [
        r
        for r in park.resources
        if meant(r.enterprise_id)
        or r.resource_id in scope.resources
        or ground.tags.get(r.resource_id, set()) & tags
    ]
    return (
        frozenset(p.connection_point_id for p in points),
        frozenset(r.resource_id for r in resources),
    )
