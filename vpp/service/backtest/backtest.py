"""Days played again with what was known then: nothing, plans, foresight, side by side.

    park file ─▶ as asked (every, steps, trading from the span's start)
                   │
                   ├─ point      replay: plans for the forecast alone
                   ├─ scenario   replay: plans for several futures at once      same devices, market, seed
                   ├─ nothing    every resource on its own default
                   └─ foresight  one solve over the span that knows everything

Each replay runs the plant's own cycles (`replay.py`) and is scored as the demo is (`scoring.py`),
against doing nothing and foresight *from its own opening state*: half a day of run-up before the span
ends where its plans leave it. So that costs can be compared all the same, what stands in stores at the
opening is part of them, at the price that what is left is worth.

Several files of strategies are compared in the same way (`compare.py`): a replay for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from vpp.model.time import isoformat
from vpp.service.backtest.asked import BacktestOptions, Way
from vpp.service.backtest.living import Lived, Variant, lived
from vpp.service.backtest.rows import Row, plain
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.executor import Executor


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """The whole comparison."""

    file: ParkFile
    options: BacktestOptions
    lives: tuple[Lived, ...]
    """In the order asked for; differences are told against the first."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """Doing nothing and foresight from the opening of the first life, and every life between them."""
        first = self.lives[0]
        ours = (life.ours for life in self.lives)
        return (first.nothing, *ours, *([] if first.foresight is None else [first.foresight]))

    def document(self) -> dict[str, Any]:
        """As plain data; the same inputs give the same document, so nothing of the wall clock."""
        options, park = self.options, self.file.park
        return {
            "park": park.park_id,
            "park_digest": self.file.digest,
            "span_start": isoformat(options.span.start),
            "span_end": isoformat(options.span.end),
            "every_minutes": options.every // timedelta(minutes=1),
            "control_period_s": options.period // timedelta(seconds=1),
            "seed": options.seed,
            "scenarios": options.scenarios,
            "margin_probability": options.probability,
            "currency": park.currency,
            "rows": [plain(row) for row in self.rows],
            "lives": [life.document(self.lives[0]) for life in self.lives],
        }


Progress = Callable[[Way, Plant], None]


async def backtest(
    file: ParkFile, options: BacktestOptions, executor: Executor, progress: Progress
) -> Backtest:
    """Play the span in every way that was asked for, one after the other in this process.

    Raises:
        ConfigError: The park cannot be replayed as asked.
        PlanError, DataError: As `lived`.
    """
    lives = []
    for way in ways_of(options):

        def look(plant: Plant, way: Way = way) -> None:
            progress(way, plant)

        variant = Variant(name=way.value, file=file)
        lives.append(await lived(variant, options, way, executor, look))
    return Backtest(file=file, options=options, lives=tuple(lives))


def ways_of(options: BacktestOptions) -> tuple[Way, ...]:
    """The ways that are lived through; nothing and foresight go with each."""
    return (Way.POINT, Way.SCENARIO) if options.scenarios > 1 else (Way.POINT,)
