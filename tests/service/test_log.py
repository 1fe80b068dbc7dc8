"""The daemon's log says why something failed."""

from __future__ import annotations

import json

import pytest
import structlog

from vpp import cli


def test_a_fault_of_our_own_is_logged_with_where_it_came_from_and_without_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*, standalone_mode: bool) -> int:
        word = "-".join(["hidden", "0123456789"])
        nothing: dict[int, str] = {}
        try:
            nothing[len(word)]
        except KeyError:
            structlog.get_logger("vpp.test").exception("a fault of our own")
        return 0

    monkeypatch.setattr(cli, "app", fails)
    try:
        with pytest.raises(SystemExit):
            cli.main()
    finally:
        structlog.reset_defaults()
    told = capsys.readouterr().err
    assert "KeyError: 17" in json.loads(told)["exception"]
    assert "hidden-0" not in told
