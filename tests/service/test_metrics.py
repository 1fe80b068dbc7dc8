"""What the plant tells Prometheus about itself."""

from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vpp.service.metrics import Metrics


def filled() -> Metrics:
    """Everything has happened once."""
    metrics = Metrics("demo")
    metrics.telemetry_accepted()
    metrics.telemetry_duplicate()
    metrics.telemetry_refused("not_json")
    metrics.telemetry_lost(3)
    metrics.resources_unknown(2)
    metrics.plan("optimal", 0.25, 1e-4)
    metrics.bid_set()
    metrics.bid_refused("gate_closed")
    metrics.award("booked")
    metrics.setpoints_sent(40)
    metrics.setpoint_rejected()
    metrics.loop_lag(0.002)
    metrics.journal_written(0.003)
    metrics.journal_failed()
    metrics.cycle("plan", 0.4)
    metrics.skipped("act", 2)
    metrics.broker_connected(True)
    metrics.safe_state("normal")
    metrics.park_power(measured_kw=-812.5, planned_kw=-800.0, owed_kw=None)
    metrics.stored_energy(1500.0)
    metrics.money(12.34, "EUR")
    metrics.http_request("GET", "/v1/park", 200, 0.004)
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("vpp_telemetry_accepted_total", {}, 1),
        ("vpp_telemetry_refused_total", {"reason": "not_json"}, 1),
        ("vpp_telemetry_lost_messages", {}, 3),
        ("vpp_plans_total", {"status": "optimal"}, 1),
        ("vpp_plan_seconds_sum", {}, 0.25),
        ("vpp_plan_newest_gap_ratio", {}, 1e-4),
        ("vpp_awards_total", {"status": "booked"}, 1),
        ("vpp_setpoints_sent_total", {}, 40),
        ("vpp_cycle_skipped_total", {"cycle": "act"}, 2),
        ("vpp_broker_connected", {}, 1),
        ("vpp_park_power_watts", {"what": "measured"}, -812_500),
        ("vpp_stored_energy_joules", {}, 5.4e9),
        ("vpp_money_settled", {"currency": "EUR"}, 12.34),
        (
            "vpp_http_requests_total",
            {"method": "GET", "route": "/v1/park", "status": "200"},
            1,
        ),
    ],
)
def test_what_happens_is_counted(name: str, labels: dict[str, str], expected: float) -> None:
    assert value(filled(), name, **labels) == expected


def test_what_is_not_known_is_nan_and_not_the_last_value() -> None:
    metrics = filled()
    metrics.park_power(measured_kw=None, planned_kw=1.0, owed_kw=2.0)

    measured = value(metrics, "vpp_park_power_watts", what="measured")

    assert measured is not None
    assert math.isnan(measured)


def test_exactly_one_rung_of_the_ladder_is_lit() -> None:
    metrics = filled()
    metrics.safe_state("hold")
    metrics.safe_state("release")

    lit = {s: value(metrics, "vpp_safe_state", state=s) for s in ("normal", "hold", "release")}

    assert lit == {"normal": 0, "hold": 0, "release": 1}


def test_a_failed_plan_leaves_the_gap_of_the_last_good_one() -> None:
    metrics = filled()
    metrics.plan("unsolved", 3.0, None)

    assert value(metrics, "vpp_plan_newest_gap_ratio") == 1e-4
    assert value(metrics, "vpp_plan_gap_ratio_count") == 1
    assert value(metrics, "vpp_plan_seconds_count") == 2


def test_two_plants_in_one_process_count_apart() -> None:
    one, other = Metrics("one"), Metrics("other")
    one.bid_set()

    assert value(one, "vpp_bid_sets_total") == 1
    assert value(other, "vpp_bid_sets_total") == 0


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param(None, "text/plain", id="nobody asks for a form"),
        pytest.param("application/openmetrics-text", "application/openmetrics-text", id="open"),
    ],
)
def test_the_scraper_chooses_the_form(accept: str | None, content_type: str) -> None:
    body, told = filled().text(accept)

    assert told.startswith(content_type)
    assert b"# HELP vpp_plan_seconds Seconds from" in body


def test_every_metric_says_what_it_is_and_in_which_unit() -> None:
    body, _ = filled().text(None)

    families = [
        family
        for family in text_string_to_metric_families(body.decode())
        if not family.name.endswith("_created")
    ]

    assert len(families) > 20
    for family in families:
        assert family.name.startswith("vpp_")
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_ratio"))


def test_thousands_of_series_are_told_by_kind() -> None:
    """Two of three: 0.5 and -0.1 are 0.2 on the mean, and one of them is below the naive forecast."""
    metrics = Metrics("demo")
    metrics.forecasts.scored("power.a", 0.5, 0.8)
    metrics.forecasts.scored("power.b", -0.1, None)
    metrics.forecasts.scored("power.c", None, None)

    assert value(metrics, "vpp_forecast_skill_ratio", kind="power") == pytest.approx(0.2)
    assert value(metrics, "vpp_forecast_below_naive_series", kind="power") == 1
    assert value(metrics, "vpp_forecast_coverage80_ratio", kind="power") == 0.8


def test_ages_are_told_and_what_never_was_is_nan() -> None:
    metrics = Metrics("demo")
    metrics.wellbeing.stands(ready=False, control_age_s=4.0, plan_age_s=None, oldest_reading_s=None)

    assert value(metrics, "vpp_ready") == 0
    assert value(metrics, "vpp_control_age_seconds") == 4
    assert math.isnan(value(metrics, "vpp_plan_age_seconds") or 0.0)
