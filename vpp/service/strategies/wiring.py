"""Where strategies are found by the names of their files; no other module names one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

from pydantic import ConfigDict, TypeAdapter

import strategies
from strategies.settled_at_spot import SettledAtSpot
from strategies.stored_energy_value import StoredEnergyWorth
from strategies.two_part_tariff import TwoPartTariff
from vpp.plan.part import Part, Reach
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView

_STRICT = ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
)


class Settings(Protocol):
    """A strategy: a frozen dataclass of settings, each with its unit in its name and its range."""

    REACH: ClassVar[Reach]

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """What it asks of the planner, where and when it holds; nothing is looked at but the view."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """A file of strategies/ that people may use."""

    use: str
    purpose: str
    """The first line of its file."""

    reach: Reach
    adapter: TypeAdapter[Any]
    """Checks settings, and makes the strategy of them."""


@cache
def kinds() -> Mapping[str, Kind]:
    """Every strategy by the name of its file; base strategies are left out.

    Settings are documented and bounded where they stand: docstrings and pydantic's annotations become the
    schema of the file.
    """
    found: dict[str, Kind] = {}
    for module in pkgutil.iter_modules(strategies.__path__):
        source = importlib.import_module(f"strategies.{module.name}")
        settings: Any = getattr(source, "STRATEGY", None)
        if settings is None:
            continue
        settings.__pydantic_config__ = _STRICT
        found[module.name] = Kind(
            use=module.name,
            purpose=(source.__doc__ or "").partition("\n")[0],
            reach=settings.REACH,
            adapter=TypeAdapter(settings),
        )
    return found


@cache
def base() -> frozenset[str]:
    """Files of strategies that every park has unasked."""
    return frozenset(m.name for m in pkgutil.iter_modules(strategies.__path__)) - kinds().keys()


def base_terms(view: PlanningView, untraded: Part) -> tuple[Term, ...]:
    """What every park asks; `untraded` is where no strategy trades."""
    return (*SettledAtSpot().terms(view, untraded), *bill_terms(view))


def bill_terms(view: PlanningView) -> tuple[Term, ...]:
    """What every park pays beside the market, and the worth of what is left in its stores."""
    return (*TwoPartTariff().terms(view), *StoredEnergyWorth().terms(view))
