"""Errors cross to another process as they are."""

from __future__ import annotations

import pickle

import pytest

from vpp.errors import ConfigError, DataError, ForeignError, UnavailableError, VppError
from vpp.trade.calendar import Refusal, TradeRefusal

ERRORS = (
    ConfigError("a", where="b", fix="c"),
    DataError("a", where="b", fix="c"),
    UnavailableError("a", where="b", fix="c"),
    ForeignError("a", where="b", fix="c", raw=b"d"),
    TradeRefusal("a", code=Refusal.PLAN_STALE, where="b", fix="c"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_after_a_pipe(error: VppError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error) == "b: a -> c"
    assert vars(again) == vars(error)
