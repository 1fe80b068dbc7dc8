"""Alert rules: promtool reads them, each fires when it should and is silent right before, metrics exist."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from promql_parser import parse

from tests.patience import PATIENCE_S
from tools.promqlnames import names_in
from tools.reference.metrics import listed
from vpp.service.metrics import Metrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
FROM_PROMETHEUS = {"up"}


@dataclass(frozen=True)
class Case:
    """One alert over minutes: series in promtool's words, minutes when it fires, and when it does not yet."""

    alert: str
    series: dict[str, str]
    fires_at: int
    silent_at: int
    unit: str = "m"
    """Of both, and of the steps of its series: minutes, or hours where an alert is slow."""


def slow(name: str, seconds: str, each_minute: str) -> dict[str, str]:
    """A histogram whose every value lies above `seconds` and below a minute: from the first minute on."""
    counts = {seconds: "0x100", "60": each_minute, "+Inf": each_minute}
    return {f'{name}_bucket{{le="{le}"}}': values for le, values in counts.items()}


CASES = (
    Case("VppDown", {'up{job="vpp"}': "1 1 0x10"}, 5, 3),
    Case("VppControlStalled", {"vpp_control_age_seconds": "5 5 65 125 185 245"}, 5, 3),
    Case("VppKilled", {'vpp_safe_state{state="killed"}': "0 0 1x5"}, 2, 1),
    Case("VppReleased", {'vpp_safe_state{state="release"}': "0 1x5"}, 3, 1),
    Case("VppHolds", {'vpp_safe_state{state="hold"}': "1x10"}, 6, 4),
    Case("VppNoNewBids", {'vpp_safe_state{state="no_new_bids"}': "1x20"}, 11, 9),
    Case("VppPlansFail", {'vpp_plans_total{status="unsolved"}': "0x9 1x14 2x40"}, 40, 20),
    Case("VppPlansSlow", slow("vpp_plan_seconds", "10", "0+1x100"), 40, 20),
    Case("VppCyclesSkipped", {'vpp_cycle_skipped_total{cycle="act"}': "0x5 0+1x20"}, 15, 6),
    Case("VppLoopLags", slow("vpp_loop_lag_seconds", "0.5", "0+60x30"), 15, 8),
    Case("VppClockSetBack", {"vpp_clock_ahead_seconds": "0 0 30x10"}, 5, 2),
    Case(
        "VppCodeMix",
        {
            'vpp_build_info{job="vpp", instance="a", code="1"}': "1x30",
            'vpp_build_info{job="vpp", instance="b", code="2"}': "1x30",
        },
        16,
        14,
    ),
    Case("VppAlarmUnseen", {'vpp_alarms_unacknowledged{priority="critical"}': "1x30"}, 16, 14),
    Case(
        "VppStrategyBroken",
        {'vpp_strategies_changes_total{outcome="broken"}': "0x9 1x30"},
        12,
        5,
    ),
    Case("VppJournalFails", {"vpp_journal_failures_total": "0x4 1x10"}, 6, 3),
    Case("VppJournalSlow", slow("vpp_journal_seconds", "0.5", "0+10x30"), 15, 8),
    Case("VppHistorianFull", {"vpp_telemetry_unrecorded_messages_total": "0x4 7x10"}, 6, 3),
    Case("VppBrokerAway", {"vpp_broker_connected": "1 0x10"}, 3, 1),
    Case("VppLinkDown", {'vpp_link_connected{link="a"}': "0x10", "vpp_broker_connected": "1x10"}, 6, 4),
    Case("VppResourcesUnknown", {"vpp_resources_unknown": "2x30", "vpp_broker_connected": "1x30"}, 16, 14),
    Case("VppTelemetryRefused", {'vpp_telemetry_refused_total{reason="old"}': "0+60x30"}, 15, 5),
    Case("VppTelemetryLost", {"vpp_telemetry_lost_messages": "0x30 500x40"}, 40, 20),
    Case("VppSetpointsRejected", {"vpp_setpoints_rejected_total": "0x5 0+2x20"}, 15, 6),
    Case(
        "VppShortDelivery",
        {
            'vpp_control_results_total{result="delivered"}': "0+7x90",
            'vpp_control_results_total{result="short"}': "0+3x90",
        },
        30,
        10,
    ),
    Case("VppResourcesLeftOut", {"vpp_control_left_out": "1x40"}, 31, 29),
    Case("VppGateAtRisk", {'vpp_venue_gates_at_risk_total{venue="x"}': "0x4 1x10"}, 6, 3),
    Case("VppVenueStopped", {'vpp_venue_no_new_bids{venue="x"}': "1x20"}, 11, 9),
    Case("VppAwardsMissing", {'vpp_venue_awards_missing{venue="x"}': "3x20"}, 16, 14),
    Case("VppCertificateEnds", {'vpp_venue_certificate_seconds{venue="x"}': "1300000-60000x10"}, 2, 1),
    Case("VppVenueClock", {'vpp_venue_clock_offset_seconds{venue="x"}': "-3x20"}, 11, 9),
    Case("VppFeedFaults", {'vpp_feed_faults_total{feed="x"}': "0x5 0+1x20"}, 15, 6),
    Case("VppForecastsWorse", {'vpp_forecast_skill_ratio{kind="power"}': "-0.1x60"}, 49, 47, "h"),
    Case("VppMessagesGivenUp", {'vpp_people_letters_total{end="given_up"}': "0x9 1x30"}, 12, 5),
    Case("VppReportsMissed", {'vpp_reports_missed_total{kind="x"}': "0x9 1x30"}, 12, 5),
    Case("VppReportsWait", {'vpp_reports_waiting{platform="x"}': "200x30"}, 16, 14),
)  # fmt: skip


@pytest.fixture(scope="module")
def promtool(require_program: Callable[[str, str], Path]) -> Callable[..., str]:
    tool = require_program("promtool", "make system")

    def run(*arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            [str(tool), *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_promtool_accepts_the_rules(promtool: Callable[..., str]) -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES))


def test_every_alert_fires_when_it_should_and_not_before(
    promtool: Callable[..., str], tmp_path: Path
) -> None:
    assert [case.alert for case in CASES] == [rule["alert"] for rule in rules()]
    for unit in ("m", "h"):
        tests = [suite(case) for case in CASES if case.unit == unit]
        file = tmp_path / f"rules.{unit}.yaml"
        document = {
            "rule_files": [str(RULES)],
            "evaluation_interval": f"1{unit}",
            "tests": [*tests, FIRST_CAUSE] if unit == "m" else tests,
        }
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        assert "SUCCESS" in promtool("test", "rules", str(file))


def suite(case: Case) -> dict[str, Any]:
    firing = f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}})'
    return {
        "name": case.alert,
        "interval": f"1{case.unit}",
        "input_series": [{"series": name, "values": text} for name, text in case.series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{case.silent_at}{case.unit}", "exp_samples": []},
            {
                "expr": firing,
                "eval_time": f"{case.fires_at}{case.unit}",
                "exp_samples": [{"labels": "{}", "value": 1}],
            },
        ],
    }


FIRST_CAUSE = {
    "name": "a broker that is away hides what follows from it",
    "interval": "1m",
    "input_series": [
        {"series": "vpp_broker_connected", "values": "0x30"},
        {"series": 'vpp_link_connected{link="a"}', "values": "0x30"},
        {"series": 'vpp_link_connected{link="b"}', "values": "0x30"},
        {"series": "vpp_resources_unknown", "values": "40x30"},
    ],
    "promql_expr_test": [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": "25m",
            "exp_samples": [{"labels": '{alertname="VppBrokerAway"}', "value": 1}],
        }
    ],
}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_asks_for_metrics_that_exist_and_says_what_to_do(rule: dict[str, Any]) -> None:
    known = {name for one in listed() for name in one.series} | FROM_PROMETHEUS

    assert names_in(parse(rule["expr"])) <= known
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "action"}


def test_promtool_finds_nothing_to_mend_in_what_a_plant_tells(promtool: Callable[..., str]) -> None:
    """Names, units and help texts as Prometheus recommends; counters end in _total."""
    body, _ = Metrics("demo").text(None)

    promtool("check", "metrics", given=body.decode())
