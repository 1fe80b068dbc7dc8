"""What enterprises own and the planner may move: a few general kinds.

A catalogue of devices is data; here are the physics that the planner, the guard and the
simulated devices agree on. Powers are net injection at the terminals: positive feeds the grid (or
its carrier's node), negative draws from it. Sizes and limits are never negative. Every kind says
what the device does by itself when nobody commands it: its *default*, which is also where it falls
back to when a set-point expires.

| kind              | default                                    | a set-point means                    |
|-------------------|--------------------------------------------|--------------------------------------|
| FixedLoad         | the load as it comes                       | (never commanded)                    |
| Storage           | idle                                       | the power to run at                  |
| Generator         | all that the weather gives; else nothing   | the most it may feed                 |
| CurtailableLoad   | the load as it comes                       | the most it may draw                 |
| InterruptibleLoad | runs at its rated draw in operating hours  | the draw during a call (0 = off)     |
| ShiftableRun      | starts at `default_start`                  | 0 = hold, below 0 = start now        |
| FlexibleLoad      | `default_draw_kw` in its windows           | the power to run at                  |
| ThermalZone       | a thermostat holds `target_degc`           | the power to run at                  |
| EvFleet           | charges on arrival at full power           | the power of the whole fleet         |
| Converter         | off                                        | the electric power to run at         |

A converter without electricity (a heat exchanger, an absorption chiller) is steered by what flows at
its first port.
"""

from __future__ import annotations

from typing import TypeAlias

from vpp.model.resource.common import EVERY_DAY, WORKDAYS, OnOffRules
from vpp.model.resource.converter import Converter, Port
from vpp.model.resource.ev import EvFleet
from vpp.model.resource.generator import Generator, Panels
from vpp.model.resource.loads import CurtailableLoad, FixedLoad, InterruptibleLoad, Rebound
from vpp.model.resource.storage import Storage
from vpp.model.resource.thermal import ThermalZone
from vpp.model.resource.work import EnergyWindow, FlexibleLoad, ShiftableRun

Resource: TypeAlias = (
    FixedLoad
    | Storage
    | Generator
    | CurtailableLoad
    | InterruptibleLoad
    | ShiftableRun
    | FlexibleLoad
    | ThermalZone
    | EvFleet
    | Converter
)

__all__ = [
    "EVERY_DAY",
    "WORKDAYS",
    "Converter",
    "CurtailableLoad",
    "EnergyWindow",
    "EvFleet",
    "FixedLoad",
    "FlexibleLoad",
    "Generator",
    "InterruptibleLoad",
    "OnOffRules",
    "Panels",
    "Port",
    "Rebound",
    "Resource",
    "ShiftableRun",
    "Storage",
    "ThermalZone",
]
