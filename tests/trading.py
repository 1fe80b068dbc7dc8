"""The strategy file of parks that trade and want nothing else."""

from __future__ import annotations

from pathlib import Path

TRADING = str(Path(__file__).with_name("trading.yaml"))
