"""Write `deploy/grafana/vpp.json`: the state of one plant at a glance, on its own metrics.

    python -m tools.dashboard           writes it
    python -m tools.dashboard --check   exit 1 where the file is not what this says

From top to bottom as one asks: is it well, what does the park do, does the service keep up, are devices and
markets there. Figures that alerts are made of (`deploy/prometheus/rules.yaml`) are drawn with their threshold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphDrawStyle, GraphTresholdsStyleMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
)

FILE = Path(__file__).parents[1] / "deploy" / "grafana" / "vpp.json"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
OF = '{job="$job", instance="$instance"}'
GREEN, AMBER, RED = "#2f9e44", "#e8890c", "#d6336c"
"""Told apart also by those who do not see red and green alike; words stand beside them everywhere."""

RUNGS = ("normal", "no_new_bids", "hold", "release", "killed")
Query = tuple[str, str]
"""Expression and legend."""


def build() -> str:
    """The dashboard as Grafana imports it, the same bytes each time."""
    board = (
        dashboard.Dashboard("vpp: one plant")
        .uid("vpp-plant")
        .description("Written by tools/dashboard.py of the vpp repository; edit that.")
        .tags(["vpp"])
        .refresh("30s")
        .time("now-24h", "now")
        .timezone("browser")
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
        .with_variable(_variable("job", "label_values(vpp_park_info, job)"))
        .with_variable(_variable("instance", 'label_values(vpp_park_info{job="$job"}, instance)'))
    )
    for title, panels in ROWS:
        board = board.with_row(dashboard.Row(title))
        for panel in panels:
            board = board.with_panel(panel)
    document: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    for number, panel in enumerate(document["panels"], start=1):
        panel["id"] = number
        if panel.get("options") is None:  # nothing said: the panel's own
            panel.pop("options", None)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def expressions(document: Any) -> list[str]:
    """Every expression that stands anywhere in a dashboard."""
    if isinstance(document, dict):
        own = [document["expr"]] if isinstance(document.get("expr"), str) else []
        return own + [one for value in document.values() for one in expressions(value)]
    if isinstance(document, list):
        return [one for value in document for one in expressions(value)]
    return []


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def _query(place: int, query: Query) -> prometheus.Dataquery:
    expression, legend = query
    return (
        prometheus.Dataquery().ref_id(chr(ord("A") + place)).expr(expression).legend_format(legend)
    )


def figure(
    title: str, about: str, expression: str, unit: str, *, worse: Sequence[tuple[float, str]] = ()
) -> stat.Panel:
    """One number that is green until it passes a threshold."""
    steps = [Threshold(color=GREEN, value=None), *(Threshold(color=c, value=v) for v, c in worse)]
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .height(4)
        .span(4)
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(_query(0, (expression, title)))
    )


def rung() -> stat.Panel:
    """Where on the ladder it stands, in words."""
    # `or` joins what differs in the label `state` alone, as + would not: each rung is 0 or its own place
    each = (f"{place} * vpp_safe_state{_state(name)}" for place, name in enumerate(RUNGS))
    places = f"max({' or '.join(each)})"
    words = {
        str(place): ValueMappingResult(text=name, color=_colour(place), index=place)
        for place, name in enumerate(RUNGS)
    }
    panel = figure("Ladder", "On which rung the plant stands.", places, "none")
    return panel.mappings([ValueMap(options=words)])


def _state(name: str) -> str:
    return f'{{job="$job", instance="$instance", state="{name}"}}'


def _colour(place: int) -> str:
    return GREEN if place == 0 else AMBER if place < 3 else RED


def chart(
    title: str,
    about: str,
    unit: str,
    *queries: Query,
    limit: float | None = None,
    stacked_bars: bool = False,
) -> timeseries.Panel:
    """Lines over time, with the threshold of its alert where there is one."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .height(8)
        .span(12)
        .fill_opacity(0)
        .line_width(1.5)
        .span_nulls(False)  # a gap is a gap: what is not known is not drawn
        .legend(common.VizLegendOptions().show_legend(True))
    )
    if stacked_bars:
        panel = panel.draw_style(GraphDrawStyle.BARS).fill_opacity(60)
    if limit is not None:
        steps = [Threshold(color=GREEN, value=None), Threshold(color=RED, value=limit)]
        style = common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE)
        panel = panel.thresholds_style(style).thresholds(
            dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
        )
    for place, query in enumerate(queries):
        panel = panel.with_target(_query(place, query))
    return panel


def slowest(name: str, quantile: str, by: str = "") -> str:
    """A quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile}, sum by ({labels}) (rate({name}_bucket{OF}[$__rate_interval])))"


def rate(name: str, by: str) -> str:
    """How often each kind happens a second."""
    return f"sum by ({by}) (rate({name}{OF}[$__rate_interval]))"


ROWS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (
        "Is it well",
        (
            rung(),
            figure("Ready", "1 while bids are made and set-points go out.", f"vpp_ready{OF}", "none"),
            figure("Last control cycle", "How long ago it ended.", f"vpp_control_age_seconds{OF}", "s", worse=[(120, RED)]),
            figure("Newest plan", "How long ago it was made.", f"vpp_plan_age_seconds{OF}", "s", worse=[(1800, AMBER)]),
            figure("Oldest reading", "Of the resource that was heard last longest ago.", f"vpp_oldest_reading_seconds{OF}", "s", worse=[(180, AMBER)]),
            figure("Unknown resources", "Nobody can speak for them now.", f"vpp_resources_unknown{OF}", "none", worse=[(1, AMBER)]),
        ),
    ),
    (
        "What the park does",
        (
            chart("Alarms", "First causes in the list, by priority.", "none", (f"vpp_alarms_shown{OF}", "{{priority}}"), stacked_bars=True),
            chart("Unseen alarms", "Of them, those that nobody has acknowledged.", "none", (f"vpp_alarms_unacknowledged{OF}", "{{priority}}"), stacked_bars=True),
            chart("Power, net injection", "Feeding is positive, drawing negative.", "watt", (f"vpp_park_power_watts{OF}", "{{what}}")),
            chart("Energy in stores", "In all storages together.", "joule", (f"vpp_stored_energy_joules{OF}", "stored")),
            chart("Settled", "Credit positive; a curve, not an account.", "none", (f"vpp_money_settled{OF}", "{{currency}}")),
            chart("What came of set-points", "As measured.", "ops", (rate("vpp_control_results_total", "result"), "{{result}}"), stacked_bars=True),
        ),
    ),
    (
        "Does the service keep up",
        (
            chart("Plans", "By status.", "ops", (rate("vpp_plans_total", "status"), "{{status}}"), stacked_bars=True),
            chart("Seconds to a checked plan", "Half of them, and all but one in twenty.", "s", (slowest("vpp_plan_seconds", "0.5"), "half"), (slowest("vpp_plan_seconds", "0.95"), "95 %"), limit=10),
            chart("Seconds of each cycle", "All but one in a hundred.", "s", (slowest("vpp_cycle_seconds", "0.99", "cycle"), "{{cycle}}")),
            chart("Journal and event loop", "All but one in a hundred.", "s", (slowest("vpp_journal_seconds", "0.99"), "entry on disk"), (slowest("vpp_loop_lag_seconds", "0.99"), "loop late"), limit=0.5),
            chart("HTTP", "By status.", "reqps", (rate("vpp_http_requests_total", "status"), "{{status}}"), stacked_bars=True),
            chart("Ticks let pass", "By cycle, in an hour.", "none", (f"sum by (cycle) (increase(vpp_cycle_skipped_total{OF}[1h]))", "{{cycle}}")),
        ),
    ),
    (
        "Devices",
        (
            chart("Messages", "Taken, come again, and refused by reason.", "ops", (f"rate(vpp_telemetry_accepted_total{OF}[$__rate_interval])", "taken"), (f"rate(vpp_telemetry_duplicates_total{OF}[$__rate_interval])", "again"), (rate("vpp_telemetry_refused_total", "reason"), "refused: {{reason}}")),
            chart("Links", "1 while it stands.", "none", (f"vpp_link_connected{OF}", "{{link}}")),
            chart("Set-points", "Sent, and refused by devices.", "ops", (f"rate(vpp_setpoints_sent_total{OF}[$__rate_interval])", "sent"), (f"rate(vpp_setpoints_rejected_total{OF}[$__rate_interval])", "refused")),
            chart("In whose hand", "Resources left out, and in an operator's hand.", "none", (f"vpp_control_left_out{OF}", "left out"), (f"vpp_control_overridden{OF}", "operator")),
        ),
    ),
    (
        "Markets and forecasts",
        (
            chart("Bid requests refused", "By code.", "ops", (rate("vpp_bid_requests_refused_total", "code"), "{{code}}"), stacked_bars=True),
            chart("What venues did with bid sets", "By venue and outcome.", "ops", (rate("vpp_venue_submissions_total", "venue, outcome"), "{{venue}}: {{outcome}}"), stacked_bars=True),
            chart("Skill of forecasts", "1 - our error / the naive one; below 0 naive was better.", "percentunit", (f"vpp_forecast_skill_ratio{OF}", "{{kind}}")),
            chart("Coverage of the band from 0.1 to 0.9", "Should be 80 %.", "percentunit", (f"vpp_forecast_coverage80_ratio{OF}", "{{kind}}")),
        ),
    ),
)  # fmt: skip


def main() -> int:
    text = build()
    if "--check" in sys.argv:
        return int(not FILE.exists() or FILE.read_text(encoding="utf-8") != text)
    FILE.write_text(text, encoding="utf-8")
    print(FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
