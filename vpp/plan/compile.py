"""Turn a view and its terms into one sparse mixed-integer programme, in whole blocks.

    points    import and export of each connection point                      tree.py
    kinds     storages, generators, zones, cars, runs and calls, …            kinds/
    networks  spill and lack of carrier nodes, pipes                          networks.py
    limits    every node of the tree, where it could bind                     tree.py
    market    what is sold, bought, short, long                               money.py
    groups    power and hands that some resources share                       groups.py
    reserve   who keeps how much of what is owed and sold                     reserve.py
    terms     prices, peaks, targets, …                                       money.py
    one way   decisions where burning energy in a store could pay             kinds/oneway.py

Rows are two-sided (lower <= A x <= upper); each module draws its own columns and rows. Resources meet
in the balances of their nodes (`programme.py`), connection points in the tree and in the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vpp.plan import groups, money, networks, reserve, tree
from vpp.plan.compiled import Fleet
from vpp.plan.kinds import (
    cars,
    converter,
    curtailable,
    flexible,
    generator,
    given,
    oneway,
    starts,
    storage,
    zone,
)
from vpp.plan.programme import Builder, Programme
from vpp.plan.terms import CarDeadline, Term
from vpp.plan.view import PlanningView
from vpp.plan.worth import least_worth


def build(
    view: PlanningView, terms: Sequence[Term], *, limit_excess_price_per_kwh: float
) -> Programme:
    """Compile a view and its terms. Pure; takes milliseconds for tens of resources.

    Raises:
        DataError: A term names what the park does not have, or makes exporting earn more than
            importing costs; trades are open while no `Commitment` prices what is not delivered; a
            run or a call is no whole number of steps; a group counts what neither runs nor rests.
    """
    b = Builder(view)
    points = tree.add_points(b)
    given.add(b)
    storages = storage.add(b, limit_excess_price_per_kwh=limit_excess_price_per_kwh)
    generators = generator.add(b)
    zones = zone.add(b)
    fleet_cars = cars.add(
        b,
        limit_excess_price_per_kwh=limit_excess_price_per_kwh,
        asked={
            (term.resource_id, term.session_id)
            for term in terms
            if isinstance(term, CarDeadline) and term.step > 0
        },
    )
    converters = converter.add(b)
    begun = starts.add(b)
    flexibles = flexible.add(b, limit_excess_price_per_kwh=limit_excess_price_per_kwh)
    curtailables = curtailable.add(b)
    nets = networks.add(b, limit_excess_price_per_kwh=limit_excess_price_per_kwh)
    limits = tree.add_limits(b, points, limit_excess_price_per_kwh=limit_excess_price_per_kwh)
    market = money.add_market(b, points, terms)
    fleet = Fleet(
        points=points,
        storages=storages,
        generators=generators,
        zones=zones,
        cars=fleet_cars,
        flexibles=flexibles,
        curtailables=curtailables,
        starts=begun,
        networks=nets,
        market=market,
        machines=(generators.machines, flexibles.machines, converters),
    )
    groups.add(b, fleet)
    headroom = reserve.add(b, fleet, limits, terms)
    money.add_terms(b, fleet, terms)
    oneway.forbid(b, fleet.both_ways(), least_worth(b, terms))
    return b.programme(replace(fleet, reserve=headroom))
