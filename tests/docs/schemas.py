"""Hold a snippet against the JSON Schema that `vpp schema` prints for its kind of file or message.

A snippet is a part: nothing has to be there, and what is there has to be right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.docs.blocks import Block
from vpp import __version__
from vpp.service.api.face import routes
from vpp.service.api.openapi import document
from vpp.service.park.config import read_yaml
from vpp.service.park.schemas import SCHEMAS

Schema = Mapping[str, Any]

SAME_KEYS = {"park-part"}
"""Schemas that are another one's keys over again."""


@cache
def whole(name: str) -> Schema:
    """The schema of that name, `openapi` for the messages of all routes; KeyError where there is none."""
    if name != "openapi":
        return SCHEMAS[name]()
    text = json.dumps({"$defs": document(routes(), version=__version__)["components"]["schemas"]})
    return dict(json.loads(text.replace("#/components/schemas/", "#/$defs/")))


def value_of(block: Block) -> Any:
    """What the snippet says, read as the service reads it. Raises ConfigErrors, ValueError."""
    if block.language == "json":
        return json.loads(block.text)
    return read_yaml(block.text.encode(), file=str(block)).tree


def part(said: str) -> Schema:
    """The schema that a mark names: `park`, `park#PointSection.resources`, `bid-set#CurveStep`."""
    name, _, inside = said.partition("#")
    schema = whole(name)
    if not inside:
        return loose(schema)
    definition, _, field = inside.partition(".")
    definitions = schema.get("$defs", {}) | {schema.get("title", name): schema}
    (inner,) = [
        found
        for known, found in definitions.items()
        if known == definition or known.endswith(f"__{definition}")
    ]
    if field:
        return {**inner["properties"][field], "$defs": schema["$defs"]}
    return {**inner, "required": [], "$defs": schema["$defs"]}


def loose(schema: Schema) -> Schema:
    """The same, but every key may be left out, of the whole and of each of its sections."""
    definitions = schema.get("$defs", {})
    root = _named(schema, definitions)
    sections = {
        name: {key: rule for key, rule in _named(section, definitions).items() if key != "required"}
        for name, section in root.get("properties", {}).items()
    }
    return {
        **{key: rule for key, rule in root.items() if key != "required"},
        "properties": sections,
        "$defs": definitions,
    }


def _named(schema: Schema, definitions: Schema) -> dict[str, Any]:
    """The definition that a reference leads to, or what there is."""
    schema = dict(schema)
    if "$ref" in schema:
        return {**definitions[schema.pop("$ref").rpartition("/")[2]], **schema}
    branches = [b for b in schema.get("anyOf", ()) if b.get("type") != "null"]
    if len(branches) == 1 and len(schema["anyOf"]) == 2:  # or nothing
        return _named(branches[0], definitions)
    return schema


def fitting(value: Any) -> Iterator[str]:
    """The names of the schemas that know every key at the top of a snippet."""
    for name in SCHEMAS.keys() - SAME_KEYS:
        properties = loose(whole(name)).get("properties", {})
        if isinstance(value, dict) and value and value.keys() <= properties.keys():
            yield name


def faults(value: Any, schema: Schema) -> list[str]:
    """What is wrong with a snippet, shortest first; nothing where it fits."""
    found = Draft202012Validator(schema).iter_errors(value)
    return sorted((f"{error.json_path}: {error.message}" for error in found), key=len)
