"""JSON Schemas by name: of files people write and of messages others send."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from pydantic import BaseModel, TypeAdapter

from vpp import wire, wirebackfill, wirewindow
from vpp.service.bids.case import CaseBids
from vpp.service.cases.schema import CaseSection
from vpp.service.demo.faultfile import FaultsSection
from vpp.service.links.payloadmaps import payload_map_schema
from vpp.service.links.registermaps import map_schema
from vpp.service.ocpp.kinds import kind_schema
from vpp.service.park.parkfile import market_schema, park_schema, venue_mapping_schema
from vpp.service.park.templates import template_schema
from vpp.service.planning.views import WhatIfView
from vpp.service.strategies.jsonschema import strategies_schema
from vpp.wirereports import AnyReportMessage

_ANY_REPORT: TypeAdapter[AnyReportMessage] = TypeAdapter(AnyReportMessage)


def _of(model: type[BaseModel]) -> Callable[[], dict[str, Any]]:
    return lambda: model.model_json_schema(by_alias=True)


def _of_struct(struct: type[msgspec.Struct]) -> Callable[[], dict[str, Any]]:
    return lambda: msgspec.json.schema(struct)


def park_part_schema() -> dict[str, Any]:
    """JSON Schema of sections that are to be put into a park file: none of them is needed."""
    return {
        "title": "Sections of a park file",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            key: {"$ref": f"park.json#/properties/{key}"} for key in park_schema()["properties"]
        },
    }


def schema_text(name: str) -> str:
    """A schema as it stands in a file for editors."""
    return json.dumps(SCHEMAS[name](), indent=1, ensure_ascii=False) + "\n"


FILES = (
    "park", "park-part", "strategies", "market", "case", "faults", "venue-mapping", "device-template",
    "registers", "payload-map", "charging-station",
)  # fmt: skip
"""Schemas of files that people write: editors find them in `config/schemas/`."""

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "park": park_schema,
    "strategies": strategies_schema,
    "market": market_schema,
    "venue-mapping": venue_mapping_schema,
    "park-part": park_part_schema,
    "device-template": template_schema,
    "registers": map_schema,
    "payload-map": payload_map_schema,
    "charging-station": kind_schema,
    "case": _of(CaseSection),
    "faults": _of(FaultsSection),
    "plan": _of(WhatIfView),
    "bid": _of(CaseBids),
    "telemetry": _of_struct(wire.TelemetryMessage),
    "command": _of_struct(wire.CommandMessage),
    "ack": _of_struct(wire.AckMessage),
    "resend": _of_struct(wirebackfill.ResendMessage),
    "window-state": _of_struct(wirewindow.ResourceEntry),
    "window-setpoint": _of_struct(wirewindow.SetpointEntry),
    "window-plan": _of_struct(wirewindow.PlanRow),
    "bid-request": _of(wire.BidRequest),
    "bid-set": _of(wire.BidSetResponse),
    "award": _of(wire.AwardRequest),
    "series": _of(wire.SeriesUpload),
    "report": lambda: _ANY_REPORT.json_schema(),
}
