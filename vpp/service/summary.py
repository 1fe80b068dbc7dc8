"""What a demo run comes to, as one document."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ProductId
from vpp.model.schedule import Optimal, Unsolved
from vpp.model.settlement import Statement
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.plan.validate import violations
from vpp.service.accounting import statements_of
from vpp.service.cycle import LIMIT_EXCESS_PRICE_PER_KWH
from vpp.service.demo import Run
from vpp.service.inputs import trading_unit
from vpp.service.plant import PlanRecord, Plant
from vpp.service.score import (
    FORESIGHT_GAP,
    FORESIGHT_SOFT_S,
    Actual,
    Bill,
    bill,
    day_ahead_cost,
    foresight_problem,
    value_captured,
)

WALL_CLOCK_FIELDS = (
    "wall_s",
    "first_plan_s",
    "plan_s_median",
    "plan_s_max",
    "solve_s_median",
    "solve_s_max",
    "foresight_s",
    "loop_lag_s_p99",
    "rss_main_mib",
    "rss_solver_mib",
    "rss_broker_mib",
    "rss_world_mib",
)
"""Fields that depend on the machine; all others are the same for the same seed."""


async def summarise(run: Run) -> dict[str, Any]:
    """Score the run and count everything; the run must have ended.

    Raises:
        DataError: The books do not agree, or foresight was beaten: then nothing may be shown.
    """
    plant, span = run.plant, run.span
    report = await run.world.report()
    ours = await run.world.trajectory(span)
    nothing = await run.world.rollout(span)
    actual = _actual(run, report)
    statements = statements_of(plant, span)
    market_cost = _venue_cost(report, span)
    _require_equal_books(plant, statements, market_cost, span)
    bill_ours = bill(plant.file.park, actual, ours, market_cost=float(market_cost))
    bill_nothing = bill(
        plant.file.park, actual, nothing, market_cost=day_ahead_cost(actual, nothing)
    )
    began = perf_counter()
    foresight, gap = await _foresight(run, actual)
    foresight_s = perf_counter() - began
    score, why_not = value_captured(bill_nothing.total, bill_ours.total, foresight, gap=gap)
    captured = {} if why_not is None else {"value_captured_null_because": why_not}
    return (
        {
            "park": plant.file.park.park_id,
            "span_start": isoformat(span.start),
            "span_end": isoformat(span.end),
            "seed": run.options.seed,
            "currency": plant.file.park.currency,
        }
        | _counts(run, report)
        | _energies(plant, span)
        | {
            "cost_nothing": round(bill_nothing.total, 2),
            "cost_ours": round(bill_ours.total, 2),
            "cost_foresight": round(foresight, 2),
            "saved": round(bill_nothing.total - bill_ours.total, 2),
            "value_captured": None if score is None else round(score, 4),
        }
        | captured
        | {
            "bill_nothing": _rounded(bill_nothing),
            "bill_ours": _rounded(bill_ours),
            "market_cost": str(market_cost),
            "statements": {s.enterprise_id: str(s.total) for s in statements},
            "carbon_kgco2": round(sum(s.carbon_kgco2 for s in statements), 3),
        }
        | _wall(run, foresight_s)
    )


def _actual(run: Run, report: Mapping[str, Any]) -> Actual:
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


def _require_equal_books(
    plant: Plant, statements: tuple[Statement, ...], market_cost: Decimal, span: Interval
) -> None:
    """The statements' sum equals the venue's ledger plus the tariff, to the last minor unit."""
    tariff = sum(
        line.amount
        for statement in statements
        for line in statement.lines
        if line.item in ("network_energy", "demand_charge")
    )
    total = sum(statement.total for statement in statements)
    intervals = sum(1 for interval in plant.accounted if span.covers(interval))
    if total != tariff - market_cost or intervals != (span.end - span.start) // QUARTER:
        raise DataError(
            f"statements come to {total} over {intervals} intervals, venue and tariff to"
            f" {tariff - market_cost}",
            where="settlement",
            fix="Compare the venue's bookings with the settlement lines interval by interval",
        )


async def _foresight(run: Run, actual: Actual) -> tuple[float, float]:
    """Cost of the foresight plan, and its gap.

    Raises:
        DataError: It could not be planned, or breaks its own rules.
    """
    plant = run.plant
    unit = trading_unit(plant)
    prices = {"energy_da": actual.day_ahead_per_mwh, "energy_id": actual.quarter_hour_per_mwh}
    traded: dict[ProductId, tuple[Profile, float]] = {
        p.product_id: (prices[p.kind], min(float(p.max_quantity_mw) * 1000, unit.declared_kw))
        for p in plant.file.products
    }
    problem = foresight_problem(plant.file.park, actual, plant.strategies, traded)
    outcome = await plant.executor.solve(problem, hard_s=2 * FORESIGHT_SOFT_S)
    if isinstance(outcome, Unsolved):
        raise DataError(outcome.reason, where="foresight", fix="Shorten the span")
    wrong = violations(
        outcome.schedule,
        problem.view,
        problem.terms,
        limit_excess_price_per_kwh=LIMIT_EXCESS_PRICE_PER_KWH,
    )
    if wrong:
        raise DataError("; ".join(wrong), where="foresight", fix="Mend the planner")
    gap = FORESIGHT_GAP if isinstance(outcome, Optimal) else outcome.gap
    return outcome.schedule.cost, gap


def _counts(run: Run, report: Mapping[str, Any]) -> dict[str, Any]:
    plant, span = run.plant, run.span
    published = sum(report["published"].values())
    scored = [record for record in plant.plan_log if record.at in span]
    return {
        "telemetry_messages": plant.intake.accepted,
        "messages_lost": published - plant.intake.accepted,
        "telemetry_refused": sum(plant.intake.refused.values()),
        "plans": len(scored),
        "plans_fallback": sum(record.status == "unsolved" for record in scored),
        "plans_feasible": sum(record.status == "feasible" for record in scored),
        "plan_gap_max": round(max((record.gap or 0.0 for record in scored), default=0.0), 6),
        "bids": _bids(plant, span),
        "bid_intervals_share": _bid_share(plant, span),
        "awards": report["ledger"].get("award_acknowledged", 0),
        "setpoints": plant.setpoints_sent,
        "setpoints_refused": report["refused"],
        "guard_clips": sum(plant.clipped.values()),
        "events_alarm": sum(e.severity.value == "alarm" for e in plant.events.recent()),
    }


def _bids(plant: Plant, span: Interval) -> int:
    return len({bid.bid_id for bid in plant.book.all_bids() if span.covers(bid.interval)})


def _bid_share(plant: Plant, span: Interval) -> float:
    """Share of the span's intervals that carry a bid above 0 MW."""
    with_bid = {bid.interval for bid in plant.book.all_bids() if span.covers(bid.interval)}
    return round(len(with_bid) / ((span.end - span.start) // QUARTER), 4)


def _energies(plant: Plant, span: Interval) -> dict[str, float]:
    """Owed and delivered, as sizes: what was delivered in the direction owed, up to what was owed."""
    owed = delivered = 0.0
    for interval, delivery in plant.deliveries.items():
        if span.covers(interval):
            owed += abs(delivery.owed_kwh)
            same_way = delivery.owed_kwh * delivery.delivered_kwh > 0
            if same_way:
                delivered += min(abs(delivery.owed_kwh), abs(delivery.delivered_kwh))
    return {"energy_owed_kwh": round(owed, 3), "energy_delivered_kwh": round(delivered, 3)}


def _rounded(one: Bill) -> dict[str, float]:
    return {name: round(getattr(one, name), 2) for name in one.__dataclass_fields__}


def _wall(run: Run, foresight_s: float) -> dict[str, Any]:
    plant = run.plant
    scored: list[PlanRecord] = [r for r in plant.plan_log if r.at in run.span]
    lag = sorted(plant.lag_s) or [0.0]
    return {
        "wall_s": round(perf_counter() - run.began, 2),
        "first_plan_s": None if run.first_plan_s is None else round(run.first_plan_s, 2),
        "plan_s_median": round(median(r.total_s for r in scored), 3),
        "plan_s_max": round(max(r.total_s for r in scored), 3),
        "solve_s_median": round(median(r.solve_s for r in scored), 3),
        "solve_s_max": round(max(r.solve_s for r in scored), 3),
        "foresight_s": round(foresight_s, 2),
        "loop_lag_s_p99": round(lag[int(0.99 * (len(lag) - 1))], 4),
        "rss_main_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "rss_solver_mib": _rss_mib(run.opened.executor.pid),
        "rss_broker_mib": round(run.broker.broker.memory_rss_kib / 1024, 1),
        "rss_world_mib": _rss_mib(run.world.pid),
    }


def _rss_mib(pid: int | None) -> float | None:
    """Resident memory of a child; None where it is gone or the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if pid is None or not status.exists():
        return None
    rows = dict(row.split(":", 1) for row in status.read_text(encoding="ascii").splitlines())
    return round(int(rows["VmRSS"].split()[0]) / 1024, 1)
