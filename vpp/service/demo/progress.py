"""How far a demo is, on a terminal; silent elsewhere."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, TextColumn

from vpp.service.demo.bars import Bars
from vpp.service.demo.simulation import CLOSING, Simulation
from vpp.service.plant import Plant


class Progress(Bars):
    """A context in which `update` moves one bar."""

    def __init__(self, run: Simulation, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.fields[when]}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self._run = run
        self._began: datetime | None = None
        self._task = self.bar.add_task("", total=1.0, when="", text="starting")

    def update(self, plant: Plant) -> None:
        """Show where the plant stands."""
        now = plant.clock.now()
        self._began = self._began or now
        whole = self._run.span.end + CLOSING - self._began
        local = now.astimezone(plant.file.park.timezone)
        newest = plant.trace[-1] if plant.trace else None
        power = "" if newest is None or newest.park_kw is None else f"{newest.park_kw:,.0f} kW"
        self.bar.update(
            self._task,
            completed=(now - self._began) / whole,
            when=f"{local:%a %d %b %H:%M}",
            text=f"{power}  {plant.money:,} {plant.file.park.currency}  {plant.safe_state.value}",
        )
