"""JSON Schema of the strategy file, for editors: which settings stand under `with` depends on `use`."""

from __future__ import annotations

from typing import Any

from vpp.service.strategies.schema import StrategiesSection
from vpp.service.strategies.wiring import Kind, kinds


def strategies_schema() -> dict[str, Any]:
    """The file, with the settings, units and ranges of each strategy."""
    schema = StrategiesSection.model_json_schema(by_alias=True)
    one = schema["$defs"]["StrategySection"]
    one["properties"]["use"] |= {
        "enum": list(kinds()),
        "description": "; ".join(f"{name}: {kind.purpose}" for name, kind in kinds().items()),
    }
    for kind in kinds().values():
        settings = kind.adapter.json_schema()
        schema["$defs"] |= settings.pop("$defs", {})
        schema["$defs"][kind.use] = settings
    one["allOf"] = [_if_used(kind) for kind in kinds().values()]
    return schema


def _if_used(kind: Kind) -> dict[str, Any]:
    settings = kind.adapter.json_schema()
    needed = settings.pop("required", [])
    settings.pop("$defs", None)
    then: dict[str, Any] = {
        "properties": {
            "with": {"$ref": f"#/$defs/{kind.use}"},
            "overrides": {"type": "object", "additionalProperties": settings},
        }
    }
    if needed:
        then["required"] = ["with"]
    return {"if": {"properties": {"use": {"const": kind.use}}}, "then": then}
