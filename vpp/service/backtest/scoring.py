"""A simulated span that has ended, as a score sees it: three bills on the same devices and prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from vpp.errors import DataError, PlanError
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ProductId
from vpp.model.schedule import Optimal, Unsolved
from vpp.model.settlement import LineKind, Statement
from vpp.model.time import QUARTER, Interval
from vpp.plan.validate import violations
from vpp.service.accounting import statements_of
from vpp.service.backtest.score import (
    FORESIGHT_GAP,
    Actual,
    Bill,
    bill,
    day_ahead_cost,
    foresight_problem,
    foresight_soft_s,
)
from vpp.service.demo.simulation import Simulation
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant
from vpp.simulate.trajectory import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """What a span came to, ours beside nothing."""

    actual: Actual
    report: Mapping[str, Any]
    """Of the simulated world."""

    ours_course: Trajectory
    nothing_course: Trajectory
    ours: Bill
    nothing: Bill
    market_cost: Decimal
    """By the venue's own ledger; costs positive."""

    services: Decimal
    """What the load-management platform pays for demand response, by its own ledger. It is in no bill: doing
    nothing and foresight are not invited."""

    statements: tuple[Statement, ...]


async def scored_of(run: Simulation) -> Scored:
    """Bills of a simulation that has ended.

    Raises:
        DataError: The books do not agree: then nothing may be shown.
    """
    plant, span = run.plant, run.span
    report = await run.world.report()
    ours = await run.world.trajectory(span)
    nothing = await run.world.rollout(span)
    actual = _actual(run, report)
    statements = statements_of(plant, span)
    market_cost = _venue_cost(report, span)
    services = platform_paid(report, span)
    _require_equal_books(plant, statements, market_cost - services, span)
    park, lacked_per_kwh = plant.file.park, plant.file.planning.limit_excess_per_kwh
    return Scored(
        actual=actual,
        report=report,
        ours_course=ours,
        nothing_course=nothing,
        ours=bill(
            park, actual, ours, market_cost=float(market_cost), lacked_per_kwh=lacked_per_kwh
        ),
        nothing=bill(
            park,
            actual,
            nothing,
            market_cost=day_ahead_cost(actual, nothing),
            lacked_per_kwh=lacked_per_kwh,
        ),
        market_cost=market_cost,
        services=services,
        statements=statements,
    )


def _actual(run: Simulation, report: Mapping[str, Any]) -> Actual:
    if run.opening is None:
        raise DataError("the span never began", where="demo", fix="Look at the log")
    return Actual(
        span=run.span,
        opening=run.opening,
        opening_peaks_kw=run.opening_peaks_kw,
        scenario=run.scenario,
        day_ahead_per_mwh=_prices(report, "day_ahead", run.span),
        quarter_hour_per_mwh=_prices(report, "quarter_hour", run.span),
    )


def _prices(report: Mapping[str, Any], name: str, span: Interval) -> Profile:
    known = {start: float(price) for start, price in report["prices"][name] if price is not None}
    horizon = Horizon.over(span, QUARTER)
    return Profile(horizon, np.array([known[start] for start in horizon.starts()]))


def _venue_cost(report: Mapping[str, Any], span: Interval) -> Decimal:
    """What the venue's own ledger charges for the span; costs positive."""
    booked = (Decimal(amount) for _, _, start, _, amount in report["bookings"] if start in span)
    return -sum(booked, Decimal(0))


def platform_paid(report: Mapping[str, Any], span: Interval) -> Decimal:
    """What the platform's own ledger pays for calls that begin in the span."""
    results = report.get("demand_response", ())
    return sum(
        (
            Decimal(one["amount"]) - Decimal(one["penalty"])
            for one in results
            if one["start"] in span
        ),
        Decimal(0),
    )


def _require_equal_books(
    plant: Plant, statements: tuple[Statement, ...], market_cost: Decimal, span: Interval
) -> None:
    """The statements' sum equals the ledgers of venue and platform, contracts and the tariff, to the minor unit."""
    tariff = sum(
        line.amount
        for statement in statements
        for line in statement.lines
        if line.item in ("network_energy", "demand_charge")
    )
    market_cost -= _contracts(plant, span)
    total = sum(statement.total for statement in statements)
    settled = [one for interval, one in plant.accounted.items() if span.covers(interval)]
    expected = (span.end - span.start) // QUARTER
    if total != tariff - market_cost or len(settled) != expected:
        waiting = sum(any(line.provisional for line in one.lines) for one in settled)
        raise DataError(
            f"statements come to {total} over {len(settled)} of {expected} intervals, venue and tariff to"
            f" {tariff - market_cost}; {waiting} intervals are provisional",
            where="settlement",
            fix="Where intervals lack or are provisional, a machine too slow for this speed may have lost readings:"
            " play it slower. Else compare the venue's bookings with the settlement lines interval by interval",
        )


def _contracts(plant: Plant, span: Interval) -> Decimal:
    """What financial contracts brought: no venue books them, and nothing the park does changes them."""
    lines = [
        line
        for interval, accounted in plant.accounted.items()
        if span.covers(interval)
        for line in accounted.lines
    ]
    if any(line.kind is LineKind.CONTRACT for line in lines):
        raise DataError(
            "a physical contract was settled, of which the simulated market knows nothing",
            where="settlement",
            fix="Leave physical contracts out of days that are to be scored",
        )
    differences = (line.amount for line in lines if line.kind is LineKind.CONTRACT_DIFFERENCE)
    return sum(differences, Decimal(0))


async def foresight_cost(run: Simulation, actual: Actual) -> tuple[float, float]:
    """Cost of the foresight plan, and its gap.

    Raises:
        PlanError: It could not be planned: no time or memory was left for so long a span.
        DataError: It breaks its own rules.
    """
    plant = run.plant
    unit = trading_unit(plant)
    prices = {"energy_da": actual.day_ahead_per_mwh, "energy_id": actual.quarter_hour_per_mwh}
    traded: dict[ProductId, tuple[Profile, float]] = {
        p.product_id: (prices[p.kind], min(p.most_kw, unit.declared_kw))
        for p in plant.file.products
        if p.trades_energy and p.kind in prices
    }
    excess_per_kwh = plant.file.planning.limit_excess_per_kwh
    problem = foresight_problem(
        plant.file.park, actual, traded, limit_excess_per_kwh=excess_per_kwh
    )
    outcome = await run.executor.solve(problem, hard_s=2 * foresight_soft_s(run.span))
    if isinstance(outcome, Unsolved):
        raise PlanError(outcome.reason, where="foresight", fix="Shorten the span")
    wrong = violations(
        outcome.schedule,
        problem.view,
        problem.terms,
        limit_excess_price_per_kwh=excess_per_kwh,
    )
    if wrong:
        raise DataError("; ".join(wrong), where="foresight", fix="Mend the planner")
    gap = FORESIGHT_GAP if isinstance(outcome, Optimal) else outcome.gap
    return outcome.schedule.cost, gap
