"""Signals as they are followed now: what is asked and what the meters answer, judged while it runs.

    act cycle ─▶ meters − what is owed beside the signal = response ─▶ samples    what settlement judges by
                                                                    └▶ Following  what people and metrics see

Samples of a quarter-hour that is over go to the journal in one entry: what settlement judges by outlives the
process, but for the quarter-hour under way when it ends. Where two products' signals run at once, each is answered by what the other did not ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from vpp.account.following import Following, Rule
from vpp.account.regulation import Sample
from vpp.errors import UnavailableError
from vpp.model.activation import Activation
from vpp.model.ids import ProductId
from vpp.model.money import exact
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary, parse_utc
from vpp.service import record
from vpp.service.calls import activations, reserves
from vpp.service.calls.reservedesk import Run
from vpp.service.plant import Plant
from vpp.service.steering import mainmeters, owing

KIND = "regulation_samples"
"""Of journal entries; keyed by the quarter-hour."""

RECENT = timedelta(days=2)
TICK = timedelta(microseconds=1)
PAUSE = timedelta(minutes=1)
"""A signal that begins so long after the end of the one before is a run of its own."""


class _Kept(msgspec.Struct, frozen=True):
    """Samples of one quarter-hour: seconds after its beginning, and the response in MW."""

    samples: list[tuple[float, str]]


def note(plant: Plant, now: datetime) -> None:
    """Keep how the park answers while a signal runs; nothing where its meters are not heard."""
    start = latest_boundary(now, QUARTER)
    running = [
        call
        for call in reserves.signals(plant, Interval(start, start + QUARTER))
        if now in call.interval
    ]
    if not running:
        return
    shown, samples = mainmeters.shown(plant, now), plant.reserve.samples
    base_kw = None if shown is None else _base_kw(plant, shown.at, now)
    if shown is not None and base_kw is not None and not (samples and samples[-1].at >= shown.at):
        samples.append(Sample(shown.at, round(exact((shown.kw - base_kw) / 1000), 6)))
        _answered(plant, running, samples[-1])
    for call in running:
        _instruct(plant, call, now)


def _answered(plant: Plant, running: Sequence[Activation], sample: Sample) -> None:
    """Hand a sample to every run, after the set-points that came before it: those of its moment are not answered yet."""
    for call in running:
        _instruct(plant, call, sample.at - TICK)
    asked = {call.product_id: call.asked_mw(sample.at - TICK) for call in running}
    for call in running:
        others = sum(asked.values()) - asked[call.product_id]
        following = plant.reserve.runs[call.product_id].following
        following.see(sample.at, sample.response_mw - others)
        plant.metrics.agc.followed(call.product_id, following)


def _base_kw(plant: Plant, shown_at: datetime, now: datetime) -> float | None:
    """What the meters would show without the signal: what was owed beside it when they were read.

    As it stood in that quarter-hour; None where nobody looked: the plan of now may not reach back.
    """
    start, before = latest_boundary(now, QUARTER), plant.reserve.base
    base_kw = owing.mean_owed_kw(plant, Interval(start, start + QUARTER))
    plant.reserve.base = start, base_kw
    if shown_at >= start:
        return base_kw
    known = before is not None and before[0] == latest_boundary(shown_at, QUARTER)
    return before[1] if before is not None and known else None


def _instruct(plant: Plant, call: Activation, now: datetime) -> None:
    """Hand set-points that came until `now` and are new to the run, and begin one where none goes on."""
    run = plant.reserve.runs.get(call.product_id)
    if run is None or call.interval.start > run.until + PAUSE:
        run = Run(
            since=call.interval.start,
            until=call.interval.end,
            following=Following(rule_of(plant, call, now)),
        )
        plant.reserve.runs[call.product_id] = run
    run.until = max(run.until, call.interval.end)
    rule = rule_of(plant, call, now)
    if rule.capacity_mw > 0:  # an award that is over: what it left behind is judged by it still
        run.following.rule = rule
    known = run.told_until
    for at, mw in _since(call, known):
        if at <= now:
            run.following.ask(at, mw)
            run.told_until = at


def _since(call: Activation, known: datetime | None) -> list[tuple[datetime, Decimal]]:
    """Set-points after `known`, oldest first, without a walk over the day's course."""
    fresh = []
    for at, mw in reversed(call.followed):
        if known is not None and at <= known:
            break
        fresh.append((at, mw))
    return fresh[::-1]


def rule_of(plant: Plant, call: Activation, now: datetime) -> Rule:
    """By what the market file of a product judges a signal."""
    judged = activations.listed(plant, call.product_id).section.performance
    awarded_mw = activations.awarded_mw(plant, call.product_id, call.unit_id, now)
    settings = plant.file.trading
    by_band = judged.index == "tolerance_band"
    return Rule(
        index=judged.index,
        params=judged.params,
        capacity_mw=awarded_mw,
        standard_rate=awarded_mw * settings.regulation_rate_share_per_min,
        band_share=judged.params["pct"] if by_band else Decimal(0),
        band_mw=judged.params["abs_mw"] if by_band else awarded_mw * settings.regulation_band_share,
    )


async def keep(plant: Plant, now: datetime) -> None:
    """Put the samples of quarter-hours that are over on record, each once."""
    desk, until = plant.reserve, latest_boundary(now, QUARTER)
    fresh: dict[datetime, list[tuple[float, str]]] = {}
    for one in reversed(desk.samples):
        start = latest_boundary(one.at, QUARTER)
        if desk.kept_until is not None and start < desk.kept_until:
            break
        if start < until:
            after_s = round((one.at - start).total_seconds(), 3)
            fresh.setdefault(start, []).append((after_s, str(one.response_mw)))
    with suppress(UnavailableError):  # said and counted there; the next cycle writes them
        for start, samples in sorted(fresh.items()):
            body = msgspec.json.encode(_Kept(samples[::-1]))
            await record.append(plant, KIND, isoformat(start), body, now=now)
            desk.kept_until = start + QUARTER


def recover(plant: Plant, now: datetime) -> None:
    """Take up the samples that deliveries of the last two days may still be settled by."""
    for entry in plant.journal.entries(KIND):
        start = parse_utc(entry.key, where="journal")
        plant.reserve.kept_until = start + QUARTER
        if start >= now - RECENT:
            for after_s, mw in msgspec.json.decode(entry.body, type=_Kept).samples:
                at = start + timedelta(seconds=after_s)
                plant.reserve.samples.append(Sample(at, Decimal(mw)))


def runs_at(plant: Plant, now: datetime) -> list[tuple[ProductId, Run, bool]]:
    """The newest run of each product, and whether it still runs."""
    return [
        (name, run, run.since <= now < run.until)
        for name, run in sorted(plant.reserve.runs.items())
    ]
