"""A missing peer is told with its cure; where everything is required it is a failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Require = Callable[[str, str], Path]


def test_a_missing_program_skips_with_its_cure(
    require_program: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VPP_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program .* apt-get install it"):
        require_program("no-such-program", "apt-get install it")


def test_a_missing_program_fails_where_all_are_required(
    require_program: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPP_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match=r"no-such-program .* apt-get install it"):
        require_program("no-such-program", "apt-get install it")
