"""How the park is steered: who decides of each resource, within what bounds, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime

from vpp.act.arbitration import Turn
from vpp.act.health import Fault
from vpp.act.results import NAMES, Refused, Result, UnknownResult
from vpp.service.api.overrides import view_of
from vpp.service.api.paging import PageQuery, page_of
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.park.numbers import finite
from vpp.service.plant import Plant
from vpp.service.steering import owing
from vpp.service.steering import results as actingresults
from vpp.service.steering.acting import period_at, running, sharing_at
from vpp.wirecontrol import BoundsView, ControlView, ResultView, SteeringView


async def show_control(plant: Plant, call: Call[PageQuery, Nothing]) -> ControlView:
    desk, now = plant.acting, call.now
    places, behind = page_of(plant, call.query)
    owed = owing.owed_at(plant, now)
    return ControlView(
        now=now,
        period_s=period_at(plant, now).total_seconds(),
        rule=sharing_at(plant, now).rule,
        running=sorted(running(plant, now)),
        owed_kw=None if owed is None else finite(owing.mean_kw(owed, now)),
        left_kw=finite(desk.left_kw),
        gap_kw=finite(desk.memory.gap_kw),
        resources=[steering_view(plant, at, now) for at in places],
        next=behind,
    )


def steering_view(plant: Plant, at: int, now: datetime) -> SteeringView:
    desk, name = plant.acting, plant.units.names[at]
    standing, steered = plant.lives.standing(name), desk.steered
    won, because = ("", "") if steered is None else steered.won(at)
    out = bool(desk.health.until_s[at] > now.timestamp())
    held = desk.overrides.get(name)
    last = desk.account.newest.get(name)
    newest = plant.setpoints.get(name)
    runs = actingresults.running(plant, plant.units, at)
    return SteeringView.model_validate(
        {
            "resource_id": name,
            "stage": standing.stage.name.lower(),
            "since": standing.since,
            "reason": standing.reason,
            "told_kw": finite(plant.lives.told_kw_of(at)),
            "serves": None if newest is None else newest.serves,
            "strategy_version": None if newest is None else newest.strategy_version,
            "won_by": won or None,
            "won_because": because,
            "bounds": [] if steered is None else _bounds(steered.settled.turns(at)),
            "left_out_until": (
                datetime.fromtimestamp(float(desk.health.until_s[at]), UTC) if out else None
            ),
            "left_out_because": Fault(int(desk.health.fault[at])).name.lower() if out else None,
            "last_result": None if last is None else _result(last),
            "running_result": None if runs is None else _result(runs),
            "override": None if held is None else view_of(held, now),
        }
    )


def _bounds(turns: tuple[Turn, ...]) -> list[BoundsView]:
    return [
        BoundsView.model_validate(
            {
                "source": turn.source.name.lower(),
                "low_kw": finite(turn.low_kw),
                "high_kw": finite(turn.high_kw),
                "claims": list(turn.claims),
                "wins": turn.wins,
                "cuts": list(turn.cuts),
            }
        )
        for turn in turns
    ]


def _result(result: Result) -> ResultView:
    told = result.instruction
    return ResultView.model_validate(
        {
            "result": NAMES[type(result)],
            "command_id": told.command_id,
            "from_kw": told.from_kw,
            "asked_kw": told.asked_kw,
            "measured_kw": result.measured_kw,
            "reason": result.reason if isinstance(result, Refused | UnknownResult) else "",
        }
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/control",
        "How resources are steered, a page at a time: life of the set-point, who decides, bounds, results",
        show_control,
        query=PageQuery,
        gives=ControlView,
        codes=("unknown_resource",),
    ),
)
