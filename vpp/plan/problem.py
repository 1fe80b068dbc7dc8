"""What a solver is asked: plain data, so that who asks need not load a solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ProductId, ResourceId
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView


class Method(StrEnum):
    """What solves the linear programmes of a plan."""

    AUTO = "auto"
    """By size and horizon (`fleet/auto.py`)."""

    HIGHS = "highs"
    STRUCTURED = "structured"
    """Whatever fits a forest of buses, however small; HiGHS for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveOptions:
    """Limits of one solve and what it is called."""

    plan_id: str
    strategy_version: str
    gap: float
    """Relative gap that counts as optimal, e.g. 1e-3."""

    soft_s: float
    """The search stops here with the best plan it has."""

    limit_excess_price_per_kwh: float
    """Price of planning beyond a limit of the tree; far above any market price."""

    method: Method = Method.AUTO
    cvar_weight: float = 0.0
    """λ, 0 to 1, where several futures are planned for: their mean cost counts (1 - λ), the mean of
    the dearest of them λ."""

    cvar_level: float = 0.9
    """α, 0 to 1 (exclusive): the dearest 1 - α of the futures are meant."""

    doubt: float = 0.0
    """Where futures are few draws of many: what a unit decided otherwise than by the plan without them
    seems to save is believed but for so many standard errors of its mean. 0 where they are all there are."""

    def __post_init__(self) -> None:
        if not 0 <= self.doubt < inf:
            raise DataError(
                f"doubt is {self.doubt}", where="SolveOptions", fix="Give a number not below 0"
            )
        if not (0 <= self.cvar_weight <= 1 and 0 <= self.cvar_level < 1):
            raise DataError(
                f"cvar_weight {self.cvar_weight}, cvar_level {self.cvar_level}",
                where="SolveOptions",
                fix="Give a weight from 0 to 1 and a level from 0 to below 1",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Future:
    """One course that things may take: the same park, horizon and state, other forecasts and prices.

    All futures of a problem are equally likely. A strategy is asked for the terms of each.
    """

    view: PlanningView
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveAsk:
    """Curves that are wanted of one product for one delivery: how much is sold at which price."""

    product_id: ProductId
    first_step: int
    """Of the horizon, where the delivery begins."""

    width: int
    """Steps in one delivery interval: one quantity is sold in all of them."""

    intervals: int
    tick_per_kwh: float
    most_steps: int
    """Most different quantities of one curve."""

    futures: tuple[Future, ...]
    """The price scenarios, equally likely; they differ in prices alone."""

    mixtures: Floats
    """Price paths that the curves are checked on, as weights of the scenarios, shape (N, S): each row
    adds up to 1 (`curvecheck.mixtures`)."""

    most_undelivered: float
    """Share of the energy traded on these paths that may stay undelivered, 0 to 1: where more would,
    the curves are cut."""

    undelivered_per_kwh: float
    """What a kWh that is not delivered costs on a path: above every price, so that the park does what it can."""

    soft_s: float
    """Time for all of it; what is not checked by then stays unchecked, which is told."""

    cvar_weight: float = 0.0
    cvar_level: float = 0.9
    """As in `SolveOptions`, over these scenarios."""

    def __post_init__(self) -> None:
        scenarios = len(self.futures)
        sums = self.mixtures.sum(axis=1) if self.mixtures.ndim == 2 else np.zeros(0)
        if (
            not scenarios
            or self.mixtures.shape[1:] != (scenarios,)
            or not np.allclose(sums, 1.0)
            or min(self.width, self.intervals, self.most_steps) < 1
            or self.tick_per_kwh <= 0
        ):
            raise DataError(
                f"{scenarios} scenarios, mixtures of shape {self.mixtures.shape}",
                where=f"curves of {self.product_id}",
                fix="Give some scenarios, and paths whose weights of them add up to 1",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """All that a solver process needs."""

    view: PlanningView
    terms: tuple[Term, ...]
    options: SolveOptions
    preferred_starts: Mapping[ResourceId, tuple[datetime, ...]]
    """Starts that the last plan announced, kept where they are still good enough."""

    preferred_lengths: Mapping[ResourceId, tuple[timedelta, ...]] = field(default_factory=dict)
    """How long each of these lasts, where that is known; in the same order."""

    announced_kw: Mapping[ResourceId, Floats] = field(default_factory=dict)
    """Net injection that the last plan announced, shape (T,) each, NaN where it said nothing: of plans
    that cost the same the nearest is taken."""

    futures: tuple[Future, ...] = ()
    """What else may come, beside `view` and `terms` (the expected course): what cannot wait is chosen
    well for all of them together. Empty: the plan trusts its forecast."""

    no_futures: str = ""
    """Why there are none, where some were asked for."""

    curves: tuple[CurveAsk, ...] = ()
    """Bid curves that are wanted beside the plan."""

    def __post_init__(self) -> None:
        for future in (*self.futures, *(one for ask in self.curves for one in ask.futures)):
            if future.view.horizon != self.view.horizon or future.view.park != self.view.park:
                raise DataError(
                    f"a future of {future.view.park.park_id} on {future.view.horizon}",
                    where="Problem",
                    fix="Let all futures be about the same park and horizon",
                )
