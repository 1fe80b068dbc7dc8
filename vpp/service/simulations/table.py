"""What a simulation leaves behind: its manifest, and all bids, awards and deliveries as one table."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import version

from vpp import __version__
from vpp.model.ids import ProductId
from vpp.model.offer import most_mw
from vpp.service.csvtext import csv_of
from vpp.service.plant import Plant
from vpp.service.simulations.simulation import Simulation
from vpp.service.simulations.views import (
    ManifestView,
    PriceSeries,
    SimulationView,
    TableRow,
    TableView,
)

LIBRARIES = ("numpy", "scipy")
"""Whose versions enter the numbers."""


def view_of(simulation: Simulation, idle_minutes: float) -> SimulationView:
    """Where a simulation stands."""
    plant, names = simulation.plant, simulation.series
    return SimulationView(
        simulation_id=simulation.name,
        status=simulation.status,
        why=simulation.why_failed,
        asked=simulation.asked,
        branch_of=simulation.branch_of,
        start=simulation.start,
        now=simulation.now,
        ends=simulation.ends,
        series=PriceSeries(
            day_ahead=names.day_ahead,
            quarter_hour=names.quarter_hour,
            imbalance_short=names.short,
            imbalance_long=names.long,
            unit=names.unit,
        ),
        requests=simulation.asked_of_it,
        plans=plant.plan_count,
        warnings=simulation.warnings(),
        removed_after_idle_s=60 * idle_minutes,
    )


def manifest_of(simulation: Simulation, idle_minutes: float) -> ManifestView:
    """All that a run was made of, and the fingerprint of what it gave."""
    plant = simulation.plant
    statuses = [record.status for record in plant.plan_log]
    return ManifestView(
        simulation=view_of(simulation, idle_minutes),
        park_digest=plant.file.digest,
        pack_digests={pack.product_id: pack.digest for pack in plant.file.packs},
        strategy_version=plant.strategy_version,
        versions={
            "vpp": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in LIBRARIES},
        },
        record_digest=simulation.fingerprint.digest,
        record_entries=dict(sorted(simulation.fingerprint.entries.items())),
        plans_cut_off=statuses.count("feasible"),
        plans_failed=statuses.count("unsolved"),
    )


# ---------------------------------------------------------------- the table


def table_of(plant: Plant) -> TableView:
    """Bids as they were made, then awards, then deliveries; each kind in order of time."""
    rows = [*_bids(plant), *_awards(plant), *_deliveries(plant)]
    return TableView(currency=plant.file.park.currency, rows=rows)


def as_csv(table: TableView) -> str:
    """The same as CSV: one column a field, an offer as JSON."""
    return csv_of(TableRow, table.rows)


def _products(plant: Plant) -> list[ProductId]:
    return [product.product_id for product in plant.file.products]


def _bids(plant: Plant) -> Iterator[TableRow]:
    for product_id in _products(plant):
        for bid_set in reversed(plant.book.newest_sets(product_id, 2**31)):
            sent = json.loads(plant.book.answer(bid_set.bid_set_id).response)["bids"]
            for bid, wire in zip(bid_set.bids, sent, strict=True):
                yield TableRow(
                    record="bid",
                    product=product_id,
                    unit=bid_set.unit_id,
                    bid_set_id=bid_set.bid_set_id,
                    revision=bid_set.revision,
                    bid_id=bid.bid_id,
                    status=plant.book.status(bid_set.bid_set_id).value,
                    start=bid.interval.start,
                    end=bid.interval.end,
                    side=bid.side.value,
                    form=wire["offer"]["form"],
                    quantity_mw=most_mw(bid.offer),
                    offer=wire["offer"],
                )


def _awards(plant: Plant) -> Iterator[TableRow]:
    for product_id in _products(plant):
        for bid_set in reversed(plant.book.newest_sets(product_id, 2**31)):
            for trade in plant.book.trades_of(bid_set.bid_set_id):
                energy_mwh = trade.quantity_mw * Decimal(str(trade.interval.hours))
                yield TableRow(
                    record="award",
                    product=product_id,
                    unit=trade.unit_id,
                    bid_set_id=bid_set.bid_set_id,
                    revision=bid_set.revision,
                    bid_id=trade.bid_id,
                    award_id=trade.award_id,
                    status="quarantined" if trade.quarantined else "booked",
                    start=trade.interval.start,
                    end=trade.interval.end,
                    side=trade.side.value,
                    quantity_mw=trade.quantity_mw,
                    price_per_mwh=trade.price_per_mwh,
                    money=energy_mwh * trade.price_per_mwh * trade.side.sign,
                )


def _deliveries(plant: Plant) -> Iterator[TableRow]:
    position = plant.book.position()
    for interval, delivery in sorted(plant.deliveries.items(), key=lambda item: item[0].start):
        owed_mw = sum((line.sold_mw for line in position.trades(interval)), Decimal(0))
        yield TableRow(
            record="delivery",
            start=interval.start,
            end=interval.end,
            owed_kwh=float(owed_mw * 1000 * Decimal(str(interval.hours))),
            delivered_kwh=delivery.delivered_kwh,
        )
