"""Random wishes against a check that shares no code with the guard; and that check finds what it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks._field_guard import ODD, _guarded, _holds, _nodes_made_worse, outside
from benchmarks._fieldunits import NOW, TILE, a_field, wishes_kw
from vpp.act.units import Kind


@pytest.mark.parametrize("tight", [0.0, 0.1, 1.0])
def test_no_random_wish_gets_beyond_a_limit(tight: float) -> None:
    """NaN, ±inf, 1e308, None and subnormal numbers among them."""
    assert outside(5 * TILE, np.random.default_rng(5), tight) == 0


def test_the_check_finds_a_command_beyond_a_limit() -> None:
    chance = np.random.default_rng(5)
    field = a_field(TILE, chance, tight=0.1)
    guarded = _guarded(field, wishes_kw(field.units, chance))
    store = int(np.flatnonzero((field.units.kind == Kind.STORAGE) & (guarded.power_kw == 0))[0])
    for odd in (1000.0, -1000.0, np.inf, 99.0):
        power_kw = guarded.power_kw.copy()
        power_kw[store] = odd
        worse = replace(guarded, power_kw=power_kw)
        assert not _holds(field, worse)[store] or _nodes_made_worse(field, worse)
    fixed = int(field.units.by_kind[Kind.FIXED_LOAD][0])
    power_kw = guarded.power_kw.copy()
    power_kw[fixed] = 0.0
    assert not _holds(field, replace(guarded, power_kw=power_kw))[fixed]
    every = np.where(np.isnan(guarded.power_kw), np.nan, field.units.feed_kw)
    assert _nodes_made_worse(field, replace(guarded, power_kw=every)) > 0


def test_every_odd_number_is_wished_for() -> None:
    assert {None, np.inf, -np.inf, 1e308} <= set(ODD)
    assert NOW.tzinfo is not None
