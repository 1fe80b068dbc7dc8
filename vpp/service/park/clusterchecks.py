"""Resources that are forecast as one are of one sort: a sum of sun and wind is the course of neither.

Of different enterprises they may be. A fleet has one roof or one shop an enterprise, which alone would be learnt each
by itself; whoever writes the park file says of each that it is forecast so, and it gets its part by size of what all
did together.
"""

from __future__ import annotations

from collections.abc import Iterator

from vpp.model.resource import CurtailableLoad, FixedLoad, Generator
from vpp.service.park.parts import Parts


def check_clusters(parts: Parts) -> None:
    """Each member is of the sort of the first one."""
    first: dict[str, FixedLoad | CurtailableLoad | Generator] = {}
    for found in parts.resources:
        one = found.resource
        if not isinstance(one, FixedLoad | CurtailableLoad | Generator) or one.forecast_as is None:
            continue
        other = first.setdefault(one.forecast_as, one)
        if other is not one and (told := next(_unlike(one, other), None)) is not None:
            what = f"{told}: what is forecast as {one.forecast_as} is of one sort"
            parts.fault((*found.path, "forecast_as"), what)


def _unlike(
    one: FixedLoad | CurtailableLoad | Generator, other: FixedLoad | CurtailableLoad | Generator
) -> Iterator[str]:
    """In what two members differ so that their sum is the course of neither."""
    a, b = one.resource_id, other.resource_id
    if type(one) is not type(other):
        yield f"{a} is of another kind than {b}"
    if (one.node_id is None) != (other.node_id is None):
        yield f"of {a} and {b} one is electric and one is not"
    if isinstance(one, Generator) and isinstance(other, Generator):
        if (one.panels is None) != (other.panels is None):
            yield f"of {a} and {b} one has panels and one has none"
        if one.weather_driven != other.weather_driven:
            yield f"of {a} and {b} one is driven by the weather and one is not"
