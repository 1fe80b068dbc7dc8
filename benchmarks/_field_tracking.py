"""How well what is owed is delivered: quarter-hours while devices fail at random, and a made regulation signal.

Tracking is a day of the demo park with its own forecasts and a plan each quarter-hour; 5 % of its devices fail at
any time, for ten minutes each, in one of six ways drawn by seed. What counts, and what is left out: `_fieldtrack.py`.

The regulation signals are made, not recorded (`_fieldagc.py`): one moves every 4 s about a level, and PJM's score is
of that; the other steps once a minute, and the indices of single instructions are of that. Three quarters of an hour
of each are judged: what is left of the hour that is awarded after the first quarter-hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from benchmarks._fieldagc import Regulated, regulate, rule_of
from benchmarks._fieldtrack import Tracked, track
from benchmarks.harness import BrokenBenchmarkError, Figure, percentile
from vpp.simulate.devicefaults import FaultPlan

SEED = 7
FAILING = 0.05
INDICES = {"hunan": "cn_hn_fr_mileage", "south": "cn_south_fr_mileage", "north": "cn_north_fr_kp"}
SIGNAL, STEPS = timedelta(seconds=4), timedelta(minutes=1)
STANDARD_RATE_SHARE = Decimal(1)
"""Of storage: all that is awarded within a minute (Hunan 2025)."""


def figures(*, small: bool) -> Sequence[Figure]:
    """All of them; small: an hour, and twelve minutes of one signal at five times the period, where nothing fails."""
    hours, minutes = (1, 12) if small else (24, 45)
    period = timedelta(seconds=10 if small else 2)
    day = track(
        length=timedelta(hours=hours),
        failing_share=FAILING,
        seed=SEED,
        learn=not small,
        plans_every=timedelta(hours=1) if small else timedelta(minutes=15),
        lead=timedelta(hours=2) if small else None,
    )
    length = timedelta(minutes=minutes)
    wiggle = regulate(
        length=length, seed=SEED, every=STEPS if small else SIGNAL, steps=small, period=period
    )
    if small:
        return (*_tracking(day), *_pjm("agc", wiggle, promise=0.9), *_indices(wiggle))
    steps = regulate(length=length, seed=SEED, every=STEPS, steps=True, period=period)
    faults = FaultPlan.at_random(FAILING, seed=SEED)
    failing = regulate(
        length=length, seed=SEED, every=SIGNAL, steps=False, period=period, faults=faults
    )
    return (
        *_tracking(day),
        *_pjm("agc", wiggle, promise=0.9),
        *_pjm("agc_failing", failing, promise=None),
        *_indices(steps),
    )


def _tracking(day: Tracked) -> Sequence[Figure]:
    judged, all_of_them = day.judged, len(day.quarters)
    errors = [abs(q.error_kwh) / abs(q.owed_kwh) * 100 for q in judged if q.owed_kwh]
    held = sum(
        bool(quarter.held_by_ceiling) for quarter in day.quarters
    )  # not of numpy's own kind, for JSON
    return (
        Figure(name="tracking_within_2pct_share", measured=day.met_share, at_least=0.95),
        Figure(name="tracking_intervals_judged", measured=len(judged)),
        Figure(name="tracking_left_out_no_room", measured=all_of_them - len(judged) - held),
        Figure(name="tracking_left_out_peak_ceiling", measured=held),
        Figure(
            name="tracking_intervals_with_failures",
            measured=sum(bool(quarter.failing) for quarter in day.quarters),
        ),
        Figure(name="tracking_error_p95", measured=percentile(errors, 0.95), unit="%"),
    )


def _pjm(name: str, regulated: Regulated, *, promise: float | None) -> Sequence[Figure]:
    told = regulated.judged("none", {}, STANDARD_RATE_SHARE)
    if told.pjm is None:
        raise BrokenBenchmarkError("the signal was too short for a score")
    return (
        Figure(name=f"{name}_score_pjm", measured=told.pjm.score, at_least=promise),
        Figure(name=f"{name}_pjm_accuracy", measured=told.pjm.accuracy),
        Figure(name=f"{name}_pjm_delay", measured=told.pjm.delay),
        Figure(name=f"{name}_pjm_precision", measured=told.pjm.precision),
        Figure(name=f"{name}_in_band_share", measured=_float(told.in_band)),
    )


def _indices(steps: Regulated) -> Sequence[Figure]:
    found = []
    for name, market in INDICES.items():
        told = steps.judged(*rule_of(market), STANDARD_RATE_SHARE)
        found.append(Figure(name=f"agc_{name}_index", measured=_float(told.index)))
        parts = told.parts._asdict() if told.parts is not None else {}
        found += [
            Figure(name=f"agc_{name}_{part}", measured=_float(value))
            for part, value in parts.items()
        ]
    told = steps.judged("none", {}, STANDARD_RATE_SHARE)
    return (
        *found,
        Figure(name="agc_first_reaction", measured=_float(told.first_reaction_s), unit="s"),
        Figure(name="agc_delay_mean", measured=_float(told.delay_s), unit="s"),
        Figure(name="agc_instructions", measured=told.instructions),
    )


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
