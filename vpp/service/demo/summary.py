"""What a demo run comes to, as one document."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service.backtest.score import (
    Bill,
    value_captured,
)
from vpp.service.backtest.scoring import foresight_cost, scored_of
from vpp.service.demo.demo import Run
from vpp.service.demo.summaryparts import parts_of
from vpp.service.plant import PlanRecord, Plant

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


FAULTS_IN_OURS = "devices failed in our run and in neither of the other two"


async def summarise(run: Run) -> dict[str, Any]:
    """Score the run and count everything; the run must have ended.

    Raises:
        DataError: The books do not agree, or foresight was beaten: then nothing may be shown.
    """
    plant, span = run.plant, run.span
    scored = await scored_of(run)
    began = perf_counter()
    foresight, gap = await foresight_cost(run, scored.actual)
    foresight_s = perf_counter() - began
    score: float | None = None
    why_not: str | None = FAULTS_IN_OURS
    if not run.options.faults.faults:  # what fails draws less, and costs less: no two runs compare
        score, why_not = value_captured(scored.nothing.total, scored.ours.total, foresight, gap=gap)
    captured = {} if why_not is None else {"value_captured_null_because": why_not}
    return (
        {
            "park": plant.file.park.park_id,
            "span_start": isoformat(span.start),
            "span_end": isoformat(span.end),
            "seed": run.seed,
            "currency": plant.file.park.currency,
        }
        | _counts(run, scored.report)
        | _energies(plant, span)
        | {
            "cost_nothing": round(scored.nothing.total, 2),
            "cost_ours": round(scored.ours.total, 2),
            "cost_foresight": round(foresight, 2),
            "saved": round(scored.nothing.total - scored.ours.total, 2),
            "value_captured": None if score is None else round(score, 4),
        }
        | captured
        | {
            "bill_nothing": rounded(scored.nothing),
            "bill_ours": rounded(scored.ours),
            "market_cost": str(scored.market_cost),
            "demand_response_paid": str(scored.services),
            "statements": {s.enterprise_id: str(s.total) for s in scored.statements},
            "carbon_kgco2": round(sum(s.carbon_kgco2 for s in scored.statements), 3),
        }
        | parts_of(run, scored)
        | _wall(run, foresight_s)
    )


def _counts(run: Run, report: Mapping[str, Any]) -> dict[str, Any]:
    plant, span = run.plant, run.span
    published = sum(report["published"].values())
    scored = [record for record in plant.plan_log if record.at in span]
    return {
        "telemetry_messages": plant.intake.accepted,
        "messages_lost": published - _had(plant),
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
        "device_faults": dict(sorted(report["faults"].items())),
        "guard_clips": sum(plant.clipped.values()),
        "events_alarm": sum(e.severity.value == "alarm" for e in plant.events.recent()),
    }


def _had(plant: Plant) -> int:
    """Messages that came, also those that faulty devices sent and that were not let in."""
    intake = plant.intake
    return intake.accepted + sum(intake.refused.values()) + intake.duplicates


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


def rounded(one: Bill) -> dict[str, float]:
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
