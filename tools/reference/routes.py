"""Every route of the HTTP face, from the tables that serve it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from tools.reference.tables import Definitions, keys_table, said, table
from vpp import __version__
from vpp.service.api.face import routes
from vpp.service.api.openapi import document

METHODS = ("get", "post", "put", "delete")


def routes_page() -> str:
    """A section a topic with its routes, then what is sent in bodies, then every code of a refusal."""
    whole: dict[str, Any] = json.loads(
        json.dumps(document(routes(), version=__version__)).replace(
            "#/components/schemas/", "#/$defs/"
        )
    )
    schemas = {"$defs": whole["components"]["schemas"]}
    parts = Definitions(schemas)
    topics: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    bodies: dict[str, None] = {}
    for path, operations in whole["paths"].items():
        for method in METHODS:
            if method not in operations:
                continue
            operation = operations[method]
            body = _body(operation)
            if body:
                bodies[body] = None
            topics[operation["tags"][0]].append(
                (
                    f"`{method.upper()} {path}`",
                    operation["summary"],
                    _query(operation),
                    _link(body, parts),
                )
            )
    text = f"# Routes\n\n{whole['info']['description']}\n\nThe whole contract, answers too, is at `/openapi.json`, for people at `/docs`.\nA number behind a key of a query is what counts where the key is left out.\n"
    for topic, rows in sorted(topics.items()):
        text += f"\n## {topic}\n\n{table(('route', 'what', 'query', 'body'), rows)}"
    text += "\n## What is sent\n"
    for body in parts.reached({"anyOf": [{"$ref": f"#/$defs/{body}"} for body in bodies]}):
        about = parts[body].get("description", "")
        text += f"\n### {parts.name(body)}\n\n" + (f"{about.strip()}\n\n" if about else "")
        text += keys_table(parts[body], parts)
    return text


def _body(operation: dict[str, Any]) -> str:
    schema = (
        operation.get("requestBody", {}).get("content", {}).get("application/json", {})["schema"]
        if "requestBody" in operation
        else {}
    )
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _link(body: str, parts: Definitions) -> str:
    if not body:
        return ""
    return said({"$ref": body}, parts) if parts.has_keys(body) else "`{}`"


def _query(operation: dict[str, Any]) -> str:
    """Its keys, each with the number that counts where it is left out."""
    return " ".join(_key(one) for one in operation["parameters"] if one["in"] == "query")


def _key(parameter: dict[str, Any]) -> str:
    default = parameter["schema"].get("default")
    noted = "needed" if parameter["required"] else default if type(default) is int else ""
    return f"`{parameter['name']}`" + (f" ({noted})" if noted != "" else "")
