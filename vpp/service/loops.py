"""The loops of a plant, in the order in which they take their turn at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from vpp.clock import Clock
from vpp.model.time import QUARTER, latest_boundary
from vpp.service import archiving, clockwatch, cycle
from vpp.service.alarms import alarms
from vpp.service.feeds import feeds
from vpp.service.forecasting.learning import learn
from vpp.service.iec104 import iec104
from vpp.service.instructions import loop as instructionloop
from vpp.service.links import backfill
from vpp.service.links import watch as linkwatch
from vpp.service.ocpp import ocpp
from vpp.service.openadr import openadr
from vpp.service.people import people
from vpp.service.plant import Plant
from vpp.service.reports import reporting
from vpp.service.reports import sending as reportsending
from vpp.service.run import Cycle, Loop, every, listen, probe_lag
from vpp.service.steering.pace import acting
from vpp.service.tuning import shadow
from vpp.service.tuning import watch as strategywatch
from vpp.service.venues import desk as venuedesk
from vpp.service.venues import watch as venuewatch
from vpp.service.venues.state import VenueDesk
from vpp.service.vtn import vtn
from vpp.service.window import window

AFTER_RESULTS = timedelta(minutes=2)
"""Trade and account look after the markets have spoken: results come a minute past the quarter."""

REPLAN_EVERY = timedelta(seconds=60)
"""How soon at the latest it is seen that a plan is asked for before its turn."""

Seat = Callable[[str], Clock]


def loops_of(plant: Plant, seat: Seat) -> dict[str, Loop]:
    """Every loop of a plant by name. `seat` gives each cycle its place at the clock, in order."""
    period = timedelta(seconds=plant.file.control.period_s)
    fetching = (
        {"feeds": _cycle(plant, seat("feeds"), feeds.look, feeds.TICK)} if plant.feeds else {}
    )
    if plant.programmes:
        fetching["openadr"] = _cycle(plant, seat("openadr"), openadr.look, openadr.TICK)
    if plant.file.instructions.resources:
        turn = seat("instructions")
        fetching["instructions"] = _cycle(plant, turn, instructionloop.look, instructionloop.TICK)
    if plant.people.persons:
        fetching["people"] = _people(plant, seat("people"))
    loops = (
        fetching
        | _venues(plant, seat)
        | {
            "learn": _learning(plant, seat("learn")),
            "trade": _cycle(plant, seat("trade"), cycle.trade, QUARTER, AFTER_RESULTS),
            "plan": _cycle(plant, seat("plan"), cycle.plan, QUARTER),
            "replan": _cycle(plant, seat("replan"), cycle.replan, min(period, REPLAN_EVERY)),
            "act": acting(plant, seat("act")),
            "account": _cycle(plant, seat("account"), cycle.account, QUARTER, AFTER_RESULTS),
            "alarms": _cycle(plant, seat("alarms"), alarms.look, alarms.tick(plant)),
            "archive": _cycle(plant, seat("archive"), archiving.archive, archiving.EVERY),
        }
    )

    async def listening(stop: asyncio.Event) -> None:
        await listen(plant, stop)

    async def probing(stop: asyncio.Event) -> None:
        await probe_lag(plant, stop)

    async def watching(stop: asyncio.Event) -> None:
        await linkwatch.watch(plant, stop)

    async def timing(stop: asyncio.Event) -> None:
        await clockwatch.watch(plant, stop)

    seatless = {"listen": listening, "probe": probing, "links": watching, "clock": timing}
    return (
        loops
        | _reports(plant, seat)
        | _window(plant)
        | _backfill(plant)
        | iec104.loops(plant)
        | ocpp.loops(plant)
        | vtn.loops(plant)
        | shadow.loops(plant, seat)
        | strategywatch.loops(plant)
        | seatless
    )


def _reports(plant: Plant, seat: Seat) -> dict[str, Loop]:
    """After all that reports tell of; sending has no seat, for platforms have their own time."""
    step, making = reporting.tick(plant), dict[str, Loop]()
    if step is not None:
        making["report"] = _cycle(plant, seat("report"), reporting.report, step)
    if reporting.owes_plans(plant):
        one, place = reporting.report_planned, seat("report_planned")
        making["report_planned"] = _cycle(plant, place, one, QUARTER, AFTER_RESULTS)
    return making | reportsending.loops(plant)


def _window(plant: Plant) -> dict[str, Loop]:
    """Without a seat at the clock: time goes on while a server is slow, dead or frozen."""
    desk = plant.window
    return {} if desk is None else {"window": lambda stop: window.follow(plant, desk, stop)}


def _people(plant: Plant, clock: Clock) -> Loop:
    """Whoever is written to slowly keeps no cycle."""

    async def loop(stop: asyncio.Event) -> None:
        await people.follow(plant, clock, stop)

    return loop


def _backfill(plant: Plant) -> dict[str, Loop]:
    """Without a seat too: what was lost is asked for beside everything else."""
    ask = plant.ask_again
    return {} if ask is None else {"backfill": lambda stop: backfill.watch(plant, ask, stop)}


def _venues(plant: Plant, seat: Seat) -> dict[str, Loop]:
    """A loop for each venue, so that one that is slow keeps no other; and one that watches their gates."""
    loops = {f"venue-{d.name}": _venue(plant, d, seat(f"venue-{d.name}")) for d in plant.venues}
    if loops:
        watching = _cycle(plant, seat("venues"), venuewatch.watch, venuedesk.TICK)
        loops["venues"] = watching
    return loops


def _venue(plant: Plant, desk: VenueDesk, clock: Clock) -> Loop:
    """Look each tick; one that waits for an answer lets ticks pass, and none of them is missed."""

    async def loop(stop: asyncio.Event) -> None:
        due = clock.now()
        while await clock.wait_until(due, stop):
            await venuedesk.look(plant, desk, due)
            due = latest_boundary(clock.now(), venuedesk.TICK) + venuedesk.TICK

    return loop


def _learning(plant: Plant, clock: Clock) -> Loop:
    """Look each quarter-hour whose turn it is to be learnt; however long that takes, none is missed."""

    async def loop(stop: asyncio.Event) -> None:
        due = clock.now()
        while await clock.wait_until(due, stop):
            await learn(plant, due)
            due = latest_boundary(clock.now(), QUARTER) + QUARTER

    return loop


def _cycle(
    plant: Plant,
    clock: Clock,
    one: Cycle,
    step: timedelta,
    offset: timedelta = timedelta(0),
) -> Loop:
    async def loop(stop: asyncio.Event) -> None:
        await every(step, one, plant, clock=clock, stop=stop, offset=offset)

    return loop
