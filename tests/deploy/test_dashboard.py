"""The Grafana dashboard is what its script says; every expression parses and asks for metrics that exist."""

from __future__ import annotations

import json

import pytest
from promql_parser import parse

from tools.dashboard import FILE, build, expressions
from tools.promqlnames import names_in
from tools.reference.metrics import listed

DASHBOARD = json.loads(FILE.read_text(encoding="utf-8"))
EXPRESSIONS = expressions(DASHBOARD)


def test_the_file_is_what_the_script_says() -> None:
    assert FILE.read_text(encoding="utf-8") == build(), "run `python -m tools.dashboard`"


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_parses_and_asks_for_metrics_that_exist(expression: str) -> None:
    known = {name for one in listed() for name in one.series}
    plain = expression.replace("$__rate_interval", "5m")

    names = names_in(parse(plain))

    assert names
    assert names <= known


def test_panels_have_ids_of_their_own_a_title_and_a_text() -> None:
    panels = DASHBOARD["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    drawn = [panel for panel in panels if panel["type"] != "row"]
    assert len(drawn) > 20
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in drawn)


def test_what_is_not_in_the_registry_is_found() -> None:
    names = names_in(parse("sum(rate(vpp_old_name_total[5m])) / on (job) vpp_ready > 1"))
    assert names - {name for one in listed() for name in one.series} == {"vpp_old_name_total"}
