"""From sections of the park file to the nouns of `vpp/model`, once every check has passed."""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Decimal
from math import inf
from zoneinfo import ZoneInfo

from vpp.model.demand import Contracted
from vpp.model.ids import (
    ConnectionPointId,
    EnterpriseId,
    FeederId,
    NodeId,
    ParkId,
    ProductId,
    ResourceId,
    UnitId,
)
from vpp.model.network import Node, Pipe
from vpp.model.park import (
    BiddingUnit,
    ConnectionPoint,
    Enterprise,
    Feeder,
    Limits,
    Park,
    PowerGroup,
)
from vpp.model.resource import Resource
from vpp.service.park import schema
from vpp.service.park.tariffschema import tariff_noun


def park_noun(section: schema.ParkSection, resources: tuple[Resource, ...]) -> Park:
    """The whole tree, with its resources in the order of the file.

    Raises:
        DataError: What no check of the file has seen.
    """
    return Park(
        park_id=ParkId(section.park),
        name=section.name,
        timezone=ZoneInfo(section.timezone),
        currency=section.currency,
        minor_unit=section.minor_unit,
        limits=_limits(section.limits),
        feeders=tuple(
            Feeder(feeder_id=FeederId(feeder.id), limits=_limits(feeder))
            for feeder in section.feeders
        ),
        enterprises=tuple(
            Enterprise(
                enterprise_id=EnterpriseId(enterprise.id),
                name=enterprise.name,
                limits=Limits(
                    import_kw=inf if enterprise.import_kw is None else enterprise.import_kw,
                    export_kw=inf if enterprise.export_kw is None else enterprise.export_kw,
                ),
            )
            for enterprise in section.enterprises
        ),
        connection_points=tuple(
            _point(point, enterprise.id)
            for enterprise in section.enterprises
            for point in enterprise.connection_points
        ),
        resources=resources,
        bidding_units=tuple(_unit(unit, resources) for unit in section.bidding_units),
        tariffs=tuple(tariff_noun(tariff) for tariff in section.tariffs),
        grid_kgco2_per_kwh=section.carbon.grid_kgco2_per_kwh,
        nodes=tuple(node_noun(node) for node in section.nodes),
        pipes=tuple(pipe_noun(pipe) for pipe in section.pipes),
        groups=tuple(group_noun(group) for group in section.groups),
    )


def node_noun(section: schema.NodeSection) -> Node:
    """The node.

    Raises:
        DataError: As the noun says.
    """
    return Node(
        node_id=NodeId(section.id),
        carrier=section.carrier,
        supply_degc=section.supply_degc,
        spill_cost_per_kwh=section.spill_cost_per_kwh,
    )


def pipe_noun(section: schema.PipeSection) -> Pipe:
    """The pipe.

    Raises:
        DataError: Both ends are the same, or nothing arrives.
    """
    return Pipe(
        pipe_id=section.id,
        from_node_id=NodeId(section.from_node),
        to_node_id=NodeId(section.to_node),
        max_kw=section.max_kw,
        loss_share=section.loss_share,
        delay=timedelta(minutes=section.delay_minutes),
        cost_per_kwh=section.cost_per_kwh,
    )


def group_noun(section: schema.GroupSection) -> PowerGroup:
    """The group.

    Raises:
        DataError: As the noun says.
    """
    return PowerGroup(
        group_id=section.id,
        resource_ids=tuple(ResourceId(name) for name in section.resources),
        max_draw_kw=inf if section.max_draw_kw is None else section.max_draw_kw,
        max_running=section.max_running,
    )


def _limits(section: schema.LimitsSection) -> Limits:
    return Limits(import_kw=section.import_kw, export_kw=section.export_kw)


def _point(section: schema.PointSection, enterprise_id: str) -> ConnectionPoint:
    return ConnectionPoint(
        connection_point_id=ConnectionPointId(section.id),
        enterprise_id=EnterpriseId(enterprise_id),
        feeder_id=None if section.feeder is None else FeederId(section.feeder),
        limits=Limits(import_kw=section.import_kw, export_kw=section.export_kw),
        meter_id=ResourceId(section.meter),
        tariff_id=section.tariff,
        period_to_date_peak_kw=section.period_to_date_peak_kw,
        contracted=Contracted(capacity_kva=section.capacity_kva, contract_kw=section.contract_kw),
    )


def _unit(section: schema.UnitSection, resources: tuple[Resource, ...]) -> BiddingUnit:
    everything = [resource.resource_id for resource in resources]
    named = everything if section.resources == "all" else section.resources
    return BiddingUnit(
        unit_id=UnitId(section.id),
        zone=section.zone,
        resource_ids=frozenset(ResourceId(name) for name in named),
        product_ids=tuple(ProductId(name) for name in section.products),
        connected_kw=section.connected_kw,
        declared_kw=section.declared_kw,
        tested_kw=section.tested_kw,
        trades_from=section.trades_from.astimezone(UTC),
        trading_share=tuple(
            (EnterpriseId(name), Decimal(weight)) for name, weight in section.trading_share.items()
        ),
    )
