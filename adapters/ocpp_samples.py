"""Sampled values of OCPP meters: one power, one register, one state of charge out of many measurands.

A value for all phases counts; else the three phases are added. Units are told by the value, with the
defaults of the standard: W, Wh. Whatever is no finite number is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from math import isfinite

from adapters.ocpp_words import Sample

MOST = 1e9
"""Beyond it nothing is believed."""

POWER, POWER_OUT = "Power.Active.Import", "Power.Active.Export"
ENERGY = "Energy.Active.Import.Register"
SOC = "SoC"
PHASES = frozenset({"L1", "L2", "L3", "L1-N", "L2-N", "L3-N"})
_SCALE = {"W": 1e-3, "kW": 1.0, "Wh": 1.0, "kWh": 1000.0, "Percent": 1.0}


class Sums:
    """What one moment's values add up to."""

    __slots__ = ("_phases", "_whole")

    def __init__(self) -> None:
        self._whole: dict[str, float] = {}
        self._phases: dict[str, float] = {}

    def add(self, measurand: str, phase: str | None, value: float, unit: str | None) -> None:
        """One value; of other measurands nothing is kept."""
        if measurand not in (POWER, POWER_OUT, ENERGY, SOC):
            return
        if unit is None:
            unit = "Wh" if measurand == ENERGY else "Percent" if measurand == SOC else "W"
        scale = _SCALE.get(unit)
        if scale is None or not isfinite(value) or abs(value * scale) > MOST:
            return
        if phase is None:
            self._whole[measurand] = value * scale
        elif phase in PHASES:
            self._phases[measurand] = self._phases.get(measurand, 0.0) + value * scale

    def sample(self, at: datetime) -> Sample:
        """What is known of this moment."""
        power, out = self._of(POWER), self._of(POWER_OUT)
        net = None if power is None and out is None else (power or 0.0) - (out or 0.0)
        soc = self._of(SOC)
        return Sample(
            at=at,
            power_kw=net,
            energy_wh=self._of(ENERGY),
            soc=None if soc is None or not 0 <= soc <= 100 else soc / 100,
        )

    def _of(self, measurand: str) -> float | None:
        value = self._whole.get(measurand)
        return self._phases.get(measurand) if value is None else value


def number(value: str | float) -> float:
    """A value as it stands in 1.6: text that holds a number. NaN where it is none."""
    try:
        return float(value)
    except ValueError:
        return float("nan")


def useful(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Those that say anything, oldest first."""
    said = [s for s in samples if s.power_kw is not None or s.energy_wh is not None]
    return tuple(sorted(said, key=lambda sample: sample.at))
