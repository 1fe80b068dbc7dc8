"""What a summary tells beside money, where a park has it: green ratios, contract demand, bids, calls.

trajectories of ours and of nothing ─▶ ratios of the direct connection, peaks against the contract
bid book, invitations               ─▶ what was offered in which form, what was owed and delivered
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vpp.account.completion import Band
from vpp.model.demand import ContractDemand
from vpp.model.ids import ResourceId
from vpp.model.market import Bid
from vpp.model.offer import Segment, SegmentsOffer
from vpp.model.park import Park
from vpp.model.resource import Generator, Storage
from vpp.model.time import Interval, isoformat
from vpp.plan.quota import GreenEnergy
from vpp.service.backtest.score import cut
from vpp.service.backtest.scoring import Scored
from vpp.service.demo.simulation import Simulation
from vpp.service.plant import Plant
from vpp.service.quotas.quotas import plant_states
from vpp.service.quotas.schema import GreenRatiosQuota
from vpp.simulate.spec import Scenario
from vpp.simulate.trajectory import Trajectory


def parts_of(run: Simulation, scored: Scored) -> dict[str, Any]:
    """Everything below; what a park has not is left out."""
    return (
        green_ratios(run, scored)
        | contract_demand(run.plant.file.park, scored)
        | bids_by_product(run.plant, run.span)
        | demand_responses(run.plant, run.span)
    )


# ---------------------------------------------------------------- green direct connection


def green_ratios(run: Simulation, scored: Scored) -> dict[str, Any]:
    """The ratios of the span, ours beside doing nothing, what is asked for, and the price that steered."""
    quota = next((q for q in run.plant.file.quotas if isinstance(q, GreenRatiosQuota)), None)
    if quota is None:
        return {}
    park = run.plant.file.park
    told: dict[str, Any] = {
        "asked": {
            "self_use": quota.least_self_use_share,
            "green": quota.least_green_share,
            "export": quota.most_export_share,
        }
    }
    for name, course in (("nothing", scored.nothing_course), ("ours", scored.ours_course)):
        energy = green_energy(park, run.scenario, course)
        told[name] = (
            {  # no ratio of a night in which nothing could be generated
                "self_use": round(energy.self_use_share, 4),
                "green": round(energy.green_share, 4),
                "export": round(energy.export_share, 4),
            }
            if energy.available_kwh > 0 and energy.load_kwh > 0
            else None
        )
    told["year"] = {
        state.counts: {"status": state.status, "price_per_kwh": round(state.price_per_unit, 4)}
        for state in plant_states(run.plant)
        if state.quota_id == quota.id
    }
    return {"green_ratios": told}


def green_energy(park: Park, scenario: Scenario, course: Trajectory) -> GreenEnergy:
    """Energies of a span as its meters and stores tell them; what is left in a store is not lost."""
    hours = course.horizon.step_hours
    kwh = dict(zip(course.resource_ids, course.power_kw.sum(axis=1) * hours, strict=True))
    generators = [r for r in park.resources if isinstance(r, Generator) and r.node_id is None]
    green = [r.resource_id for r in generators if r.green]
    could = sum(_available_kwh(scenario, course, name) for name in green)
    lost = sum(
        -kwh[r.resource_id] - _rise_kwh(course, r.resource_id)
        for r in park.electric
        if isinstance(r, Storage)
    )
    exported = sum(float(wh.sum()) for wh in course.export_wh.values()) / 1000
    imported = sum(float(wh.sum()) for wh in course.import_wh.values()) / 1000
    kept = sum(_rise_kwh(course, r.resource_id) for r in park.electric if isinstance(r, Storage))
    fed = float(sum(kwh[name] for name in green))
    every = float(sum(kwh[r.resource_id] for r in generators))
    return GreenEnergy(
        fed_kwh=fed,
        curtailed_kwh=max(could - fed, 0.0),
        exported_kwh=exported,
        storage_loss_kwh=max(float(lost), 0.0),
        load_kwh=imported + every - exported - float(lost) - kept,
    )


def _available_kwh(scenario: Scenario, course: Trajectory, name: ResourceId) -> float:
    available = cut(scenario.available_kw[name], course.horizon)
    return float(np.maximum(available.values, 0.0).sum()) * course.horizon.step_hours


def _rise_kwh(course: Trajectory, name: ResourceId) -> float:
    return float(course.stored_kwh[name][-1]) - course.opening_stored_kwh[name]


# ---------------------------------------------------------------- contract demand


def contract_demand(park: Park, scored: Scored) -> dict[str, Any]:
    """Highest quarter-hour of each connection point whose demand is agreed, in kW."""
    told: dict[str, Any] = {}
    for point in park.connection_points:
        demand = park.tariff_by_id[point.tariff_id].demand
        if not isinstance(demand, ContractDemand):
            continue
        name = point.connection_point_id
        told[name] = {
            "contract_kw": float(point.contracted.contract_kw or 0),
            "included_kw": round(demand.free_kw(point.contracted), 1),
            "peak_kw_nothing": round(_peak_kw(scored.nothing_course, name), 1),
            "peak_kw_ours": round(_peak_kw(scored.ours_course, name), 1),
        }
    return {"contract_demand": told} if told else {}


def _peak_kw(course: Trajectory, name: Any) -> float:
    return float(course.import_wh[name].max()) / 1000 / course.horizon.step_hours


# ---------------------------------------------------------------- bids


def bids_by_product(plant: Plant, span: Interval) -> dict[str, Any]:
    """How many bids of the span there are in which form, within which bounds."""
    told: dict[str, Any] = {}
    for product in plant.file.products:
        prefix = f"{product.product_id}/"
        own = [
            bid
            for bid in plant.book.all_bids()
            if bid.bid_id.startswith(prefix) and span.covers(bid.interval)
        ]
        if own:
            told[product.product_id] = {"form": product.form, "bids": len(own)} | _segments(own)
    return {"bids_by_product": told}


def _segments(bids: list[Bid]) -> dict[str, Any]:
    """Least and greatest number of segments and price, where the offers have some."""
    offers = [bid.offer for bid in bids if isinstance(bid.offer, SegmentsOffer)]
    if not offers:
        return {}
    every: list[Segment] = [segment for offer in offers for segment in offer.segments]
    counts, prices = [len(o.segments) for o in offers], [s.price_per_mwh for s in every]
    return {
        "segments": [min(counts), max(counts)],
        "prices_per_mwh": [str(min(prices)), str(max(prices))],
    }


# ---------------------------------------------------------------- demand response


def demand_responses(plant: Plant, span: Interval) -> dict[str, Any]:
    """Each invitation whose window begins in the span: wanted, owed, delivered, how complete, what it paid."""
    told = []
    for story in plant.dr.book.stories():
        invitation, found = story.invitation, story.evaluation
        if invitation.window.start not in span:
            continue
        one: dict[str, Any] = {
            "invitation": invitation.invitation_id,
            "start": isoformat(invitation.window.start),
            "end": isoformat(invitation.window.end),
            "stage": story.stage.value,
            "wanted_mw": str(invitation.wanted_mw),
            "owed_mw": str(story.owed_mw),
            "members": [] if story.nomination is None else sorted(story.nomination.members),
        }
        if found is not None:
            bands = plant_bands(plant, invitation.product_id)
            one |= {
                "owed_mwh": str(found.cleared_mwh),
                "delivered_mwh": str(round(found.response_mwh, 3)),
                "completion": round(float(found.completion), 4),
                "band": _band_of(bands, float(found.completion)),
                "paid": str(found.net),
            }
            if found.invalid:
                one["invalid"] = found.invalid
        told.append(one)
    return {"demand_response": told} if told else {}


def plant_bands(plant: Plant, product_id: str) -> tuple[Band, ...]:
    """How completion is paid in a product of the park."""
    return next(pack.bands() for pack in plant.file.packs if pack.product_id == product_id)


def _band_of(bands: tuple[Band, ...], completion: float) -> str:
    """The band that a completion falls into, in words."""
    for band in reversed(bands):
        if completion >= float(band.start):
            end = "" if band.end is None else f" to {band.end}"
            return f"{band.start}{end or ' and more'}: factor {band.factor}"
    return "none"


def rows_of(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What `parts_of` told, as rows for people."""
    rows: list[tuple[str, str]] = []
    currency = summary["currency"]
    green = summary.get("green_ratios")
    if green and green["ours"] and green["nothing"]:
        for name, sign in (("self_use", "at least"), ("green", "at least"), ("export", "at most")):
            rows.append(
                (
                    f"{name.replace('_', ' ')} ratio, {sign} {green['asked'][name]:.0%}",
                    f"{green['ours'][name]:.1%}, doing nothing {green['nothing'][name]:.1%}",
                )
            )
    for name, peak in summary.get("contract_demand", {}).items():
        rows.append(
            (
                f"peak of {name}, {peak['included_kw']:,.0f} kW included",
                f"{peak['peak_kw_ours']:,.0f} kW, doing nothing {peak['peak_kw_nothing']:,.0f} kW",
            )
        )
    for name, own in summary.get("bids_by_product", {}).items():
        detail = f", {own['segments'][0]} to {own['segments'][1]} each" if "segments" in own else ""
        rows.append((name, f"{own['bids']:,} bids of {own['form']}{detail}"))
    for call in summary.get("demand_response", ()):
        said = f"{call['stage']}, {call['owed_mw']} of {call['wanted_mw']} MW"
        if "completion" in call:
            said += (
                f"; delivered {call['delivered_mwh']} of {call['owed_mwh']} MWh: {call['completion']:.1%}"
                f" ({call['band']}), {call['paid']} {currency}"
            )
        rows.append((f"call {call['invitation']}", said))
    return rows
