"""Venues that fail: bids that may be there already, gates that nobody answers, lists of awards in disorder.

    python -m benchmarks.venue_faults       all runs and the seeds of what failed; `benchmarks venue_faults` a part

The desk trades with the simulated venue, five seconds to a minute at a time, on a clock that is set by hand: through
the adapter that trades live, over sockets in `down` and in every fifth run of `lost`, else without. What the venue knows
is read from its own ledger. Each run has its seed; what fails is told with it.

    lost     each bid set's answer is lost once after it was taken, and the venue is away for up to 20 min; it
             has no idempotency: whatever is sent twice counts twice
    down     the venue is away for 10 to 30 min across a gate: it refuses connections, or hangs up
    awards   dropped, hidden, repeated, shuffled, cut into pages, revised, late, and some of nobody, all at once; and
             answers lost, late, refused for now, or untrue
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from benchmarks._venue import FIRST, GATE, MINUTE, OPENING, SECOND, Stall, open_stall
from benchmarks.harness import Benchmark, Figure
from vpp.model.time import QUARTER
from vpp.service.venues.state import SendState
from vpp.simulate.venuedoor import Answer, Asked, HungUp, Reply
from vpp.simulate.venuefaults import Fault
from vpp.trade.book import BidSetStatus

LOST_QUARTERS, DOWN_QUARTERS, AWARD_QUARTERS = 100, 8, 8
"""Deliveries of one run."""

WHOLE, USUAL, SMALL = (20, 20, 500), (2, 5, 40), (1, 1, 2)
"""Runs that lose answers, are away, and muddle awards."""

SETTLED_S = 60.0
ALARM_BEFORE = 5 * MINUTE
BIDS_MADE = 20 * MINUTE
"""So long before a gate, by the desk's defaults."""
AWARD_FAULTS = (
    Fault.AWARD_DROPPED,
    Fault.AWARD_HIDDEN,
    Fault.AWARD_REPEATED,
    Fault.AWARD_REORDERED,
    Fault.AWARD_PAGED,
    Fault.AWARD_REVISED,
    Fault.AWARD_LATE,
    Fault.AWARD_OF_NOBODY,
)
ANSWER_FAULTS = (
    Fault.REPLY_LOST,
    Fault.HUNG_UP,
    Fault.SLOW,
    Fault.BUSY,
    Fault.UNAVAILABLE,
    Fault.UNKNOWN_ONCE,
)
"""Those after which an answer may come; what is foreign latches the venue, and is no matter of chance."""


@dataclass(slots=True)
class Tally:
    """What runs of one kind came to."""

    runs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    failed: list[str] = field(default_factory=list)
    """Each with its seed."""


# ---------------------------------------------------------------- answers that are lost


@dataclass(kw_only=True)
class Losses:
    """A venue that takes each bid set, loses the answer, and is away for a while."""

    stall: Stall
    dice: Random
    back_at: datetime = OPENING
    open: dict[str, datetime] = field(default_factory=dict)
    """Bid sets whose answer was lost, since when, as long as the desk is in doubt."""
    lost: set[str] = field(default_factory=set)
    twice: int = 0

    def before(self, asked: Asked) -> Answer | None:
        """Away it hangs up."""
        return HungUp() if self.stall.clock.at < self.back_at else None

    def after(self, asked: Asked, answer: Answer) -> Answer:
        """The first answer to a bid set is lost; a second copy of it is worked through again."""
        name = asked.path.removeprefix("/bid-sets/")
        if asked.method != "PUT" or not isinstance(answer, Reply) or answer.status >= 300:
            return answer
        now = self.stall.clock.at
        if name in self.lost:
            self.twice += 1
            self.stall.hall.put(name, asked.body, now, again=True)
            return answer
        self.lost.add(name)
        self.open[name] = now
        away = self.dice.choice((0.0, self.dice.uniform(0, 120), self.dice.uniform(0, 1200)))
        self.back_at = max(self.back_at, now + timedelta(seconds=away))
        return HungUp()

    def settled_s(self) -> list[float]:
        """Of the bid sets that are settled now: how long after the venue was back."""
        now, found = self.stall.clock.at, []
        for name, since in list(self.open.items()):
            taken = self.stall.desk.sendings[name].state is SendState.TAKEN
            if taken or self.stall.plant.book.status(name) is BidSetStatus.AWARDED:
                del self.open[name]
                found.append((now - max(since, self.back_at)).total_seconds())
        return found


async def lose(folder: Path, seed: int, quarters: int, tally: Tally) -> None:
    """One run in which each answer to a bid set is lost; every fifth one over sockets."""
    sockets = seed % 5 == 1
    async with open_stall(folder, seed=seed, quarters=quarters, sockets=sockets) as stall:
        losses = Losses(stall=stall, dice=Random(seed))
        stall.door.before, stall.door.after = losses.before, losses.after
        end = FIRST + (quarters - 2) * QUARTER
        while stall.clock.at < end:
            now = stall.clock.at
            if now < losses.back_at:
                await stall.look(min(now + 20 * SECOND, losses.back_at))
            else:
                await stall.look(now + (5 * SECOND if losses.open else MINUTE))
            for seconds in losses.settled_s():
                tally.slowest_s = max(tally.slowest_s, seconds)
                tally.counts["settled"] += 1
        await stall.until(max(losses.back_at, end) + 3 * MINUTE, 5 * SECOND)
        tally.counts["settled"] += len(losses.settled_s())
        tally.runs += 1
        tally.counts["lost"] += len(losses.lost)
        tally.counts["duplicates"] += losses.twice
        tally.counts["unsettled"] += len(losses.open)
        if losses.twice or losses.open:
            tally.failed.append(
                f"seed {seed}: {losses.twice} twice, in doubt {sorted(losses.open)}"
            )
        if stall.ours_mwh() != stall.theirs_mwh():
            tally.counts["positions apart"] += 1
            tally.failed.append(f"seed {seed}: {_apart(stall)}")


# ---------------------------------------------------------------- gates that nobody answers


async def be_away(folder: Path, seed: int, quarters: int, tally: Tally) -> None:
    """One run in which the venue is away across a gate."""
    dice = Random(seed)
    async with open_stall(folder, seed=seed, quarters=quarters) as stall:
        length = dice.uniform(10, 30) * MINUTE
        gate = FIRST + dice.randrange(2, quarters - 3) * QUARTER - GATE
        start = gate - dice.uniform(0.05, 0.95) * length
        if seed % 2:  # from before its bids are made until after it
            length = max(length, 22 * MINUTE)
            start = gate - BIDS_MADE - dice.uniform(0, 1) * (length - BIDS_MADE)
        await stall.until(start, 5 * SECOND)
        refuses = dice.random() < 0.5
        if refuses:
            await stall.server.go_away()
        else:
            stall.door.before = lambda asked: HungUp()
        await stall.until(start + length, 5 * SECOND)
        if refuses:
            await stall.server.come_back()
        else:
            stall.door.before = lambda asked: None
        await stall.until(FIRST + quarters * QUARTER, 5 * SECOND)
        _judge(stall, seed, quarters, tally)


def _judge(stall: Stall, seed: int, quarters: int, tally: Tally) -> None:
    """Each delivery was bid once, or a person heard of it in time."""
    sent = Counter(
        e["bid_set_id"].rsplit(".", 2)[-2] for e in stall.ledger.entries if e["kind"] == "received"
    )
    tally.runs += 1
    for number in range(quarters):
        start = FIRST + number * QUARTER
        bids = sent[f"{start:%Y%m%dT%H%MZ}"]
        alarmed = stall.alarms.get(start)
        in_time = alarmed is not None and alarmed <= start - GATE - ALARM_BEFORE
        tally.counts["deliveries"] += 1
        tally.counts["bid once"] += bids == 1
        tally.counts["alarmed and not bid"] += bids == 0 and in_time
        tally.counts["alarmed, and bid all the same"] += bids == 1 and in_time
        if bids > 1 or (bids == 0 and not in_time):
            tally.failed.append(f"seed {seed}: {start} has {bids} bids, alarm at {alarmed}")


# ---------------------------------------------------------------- awards in disorder


async def muddle(folder: Path, seed: int, quarters: int, tally: Tally) -> None:
    """One run with every fault of a list of awards and of answers, each at a rate of its own."""
    dice = Random(seed)
    rates = {fault: dice.uniform(0.0, 0.5) for fault in AWARD_FAULTS}
    rates |= {fault: dice.uniform(0.0, 0.2) for fault in ANSWER_FAULTS}
    async with open_stall(
        folder, seed=seed, quarters=quarters, rates=rates, sockets=False
    ) as stall:
        await stall.until(FIRST + quarters * QUARTER, MINUTE)
        stall.faults.become({})
        await stall.until(stall.clock.at + timedelta(minutes=75), 5 * MINUTE)  # over a reconcile
        tally.runs += 1
        for fault, count in stall.faults.counts.items():
            tally.counts[str(fault)] += count
        tally.counts["awards"] += stall.ledger.counts["cleared"]
        lies = {e["told"]["award"]["award_id"] for e in stall.ledger.entries if e["kind"] == "lie"}
        held = {award.award_id for award, _ in stall.plant.book.quarantined()}
        if stall.ours_mwh() != stall.theirs_mwh():
            tally.failed.append(f"seed {seed}: {_apart(stall)}")
        elif lies != held:
            tally.failed.append(
                f"seed {seed}: of nobody {sorted(lies)}, in quarantine {sorted(held)}"
            )


def _apart(stall: Stall) -> str:
    ours, theirs = stall.ours_mwh(), stall.theirs_mwh()
    starts = sorted(s for s in ours.keys() | theirs.keys() if ours.get(s) != theirs.get(s))
    return ", ".join(f"{s:%H:%M} ours {ours.get(s)} theirs {theirs.get(s)} MWh" for s in starts)


# ---------------------------------------------------------------- all together

Play = Callable[[Path, int, int, Tally], Coroutine[None, None, None]]


def play(kind: Play, seeds: Sequence[int], quarters: int) -> Tally:
    """Runs of one kind, one after the other."""
    tally = Tally()
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="vpp-venue-") as folder:
            asyncio.run(kind(Path(folder), seed, quarters, tally))
    return tally


def measure(small: bool) -> Sequence[Figure]:
    """All three kinds, some minutes; `small`: seconds. The whole of it is what `tell` plays."""
    losing, away, muddled = SMALL if small else USUAL
    lost = play(lose, range(losing), 6 if small else LOST_QUARTERS)
    down = play(be_away, range(away), DOWN_QUARTERS)
    awards = play(muddle, range(muddled), AWARD_QUARTERS)
    return (
        Figure(name="answers lost after the bids were taken", measured=lost.counts["lost"]),
        Figure(name="bid sets that were sent twice", measured=lost.counts["duplicates"], at_most=0),
        Figure(name="bid sets still in doubt", measured=lost.counts["unsettled"], at_most=0),
        Figure(name="settled after the venue was back, slowest", measured=lost.slowest_s, unit="s", at_most=SETTLED_S),
        Figure(name="deliveries across outages", measured=down.counts["deliveries"]),
        Figure(name="of them alarmed and not bid", measured=down.counts["alarmed and not bid"]),
        Figure(name="of them without a bid or an alarm in time", measured=len(down.failed), at_most=0),
        Figure(name="runs with awards in disorder", measured=awards.runs),
        Figure(name="of them with a position that is not the venue's", measured=len(awards.failed), at_most=0),
    )  # fmt: skip


def tell() -> None:
    """The whole of it, with all counts and the seeds of what failed: some twenty minutes."""
    kinds = (
        ("lost", lose, LOST_QUARTERS),
        ("down", be_away, DOWN_QUARTERS),
        ("awards", muddle, AWARD_QUARTERS),
    )
    for (name, kind, quarters), runs in zip(kinds, WHOLE, strict=True):
        tally = play(kind, range(runs), quarters)
        print(
            f"{name}: seeds 0 to {runs - 1}, {quarters} deliveries each, slowest {tally.slowest_s:g} s"
        )
        for what, count in sorted(tally.counts.items()):
            print(f"    {what:32} {count}")
        for line in tally.failed or ["nothing failed"]:
            print(f"    {line}")


BENCHMARK = Benchmark(about="a venue that loses, hides and repeats", measure=measure)


if __name__ == "__main__":
    tell()
