"""JSON Schemas as tables that people read: a key a row, with its range, its default and what it means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def cell(text: object) -> str:
    """A text as it may stand in a cell of a table."""
    return re.sub(r"\s+", " ", str(text)).strip().replace("|", "\\|")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown; nothing where it has no row."""
    if not rows:
        return ""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def anchor(heading: str) -> str:
    """What a heading is called in a link, by the rule of GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


class Definitions:
    """The parts of one schema, by the names that readers see."""

    def __init__(self, schema: Schema) -> None:
        self._of: Schema = schema.get("$defs", {})
        short: dict[str, list[str]] = {}
        for key in self._of:
            short.setdefault(key.rpartition("__")[2], []).append(key)
        self._names = {
            key: name if len(keys) == 1 else f"{name} ({_module(key)})"
            for name, keys in short.items()
            for key in keys
        }

    def name(self, key: str) -> str:
        return self._names[key]

    def __getitem__(self, key: str) -> Schema:
        found: Schema = self._of[key]
        return found

    def reached(self, schema: Schema) -> list[str]:
        """The parts that a schema leads to, each once, those of one section beside each other."""
        found: dict[str, None] = {}
        stack = list(reversed(list(_references(schema))))
        while stack:
            key = stack.pop()
            if key not in found:
                found[key] = None
                stack += reversed(list(_references(self._of[key])))
        return [key for key in found if self.has_keys(key)]

    def has_keys(self, key: str) -> bool:
        """Whether it is worth a table of its own; a plain enumeration is not."""
        return bool(self._of[key].get("properties"))


def _module(key: str) -> str:
    parts = key.split("__")[:-1]
    return next(part for part in reversed(parts) if part not in ("schema", "wire"))


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key == "$ref":
                yield str(value).rpartition("/")[2]
            elif key not in ("$defs", "discriminator", "default", "example"):
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def said(rule: Schema, parts: Definitions) -> str:
    """What a value may be: `number, above 0 and at most 3600`."""
    if "$ref" in rule:
        key = str(rule["$ref"]).rpartition("/")[2]
        if parts.has_keys(key):
            return f"[{parts.name(key)}](#{anchor(parts.name(key))})"
        return said(parts[key], parts)
    if "const" in rule:
        return f"`{json.dumps(rule['const'])}`"
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"])
    for several in ("anyOf", "oneOf"):
        if several in rule:
            kinds = (said(one, parts) for one in rule[several] if one.get("type") != "null")
            return " or ".join(dict.fromkeys(kinds))
    if "allOf" in rule:
        return " and ".join(said(one, parts) for one in rule["allOf"])
    return _plain(rule, parts)


def _plain(rule: Schema, parts: Definitions) -> str:
    kind = str(rule.get("type", "anything"))
    match kind:
        case "array":
            inner = said(rule["items"], parts) if rule.get("items") else "anything"
            if "prefixItems" in rule:
                inner = ", ".join(said(one, parts) for one in rule["prefixItems"])
            return f"list of {inner}{_bounds(rule, 'minItems', 'maxItems', 'of them')}"
        case "object":
            named = list(rule.get("patternProperties", {}).values())
            value = named[0] if named else rule.get("additionalProperties")
            return f"name: {said(value, parts)}" if isinstance(value, Mapping) else "settings"
        case "boolean":
            return "yes or no"
        case "string":
            form = rule.get("format")
            return (form or "text") + (f" `{rule['pattern']}`" if "pattern" in rule else "")
        case "integer":
            return f"whole number{_range(rule)}"
        case _:
            return f"{kind}{_range(rule)}"


def _range(rule: Schema) -> str:
    words = {
        "exclusiveMinimum": "above",
        "minimum": "at least",
        "exclusiveMaximum": "below",
        "maximum": "at most",
        "multipleOf": "a multiple of",
    }
    told = [f"{word} {rule[key]:g}" for key, word in words.items() if _tells(rule, key)]
    return f", {', '.join(told)}" if told else ""


def _tells(rule: Schema, key: str) -> bool:
    """Bounds that only keep nonsense out (a thousand million) are left out."""
    return key in rule and abs(rule[key]) < 1e9


def _bounds(rule: Schema, least: str, most: str, what: str) -> str:
    told = []
    if rule.get(least):
        told.append(f"at least {rule[least]}")
    if most in rule:
        told.append(f"at most {rule[most]}")
    return f" ({', '.join(told)} {what})" if told else ""


def keys_table(schema: Schema, parts: Definitions) -> str:
    """The keys of one section."""
    needed = schema.get("required", ())
    rows = []
    for key, rule in schema.get("properties", {}).items():
        default = "needed" if key in needed else _default(rule)
        rows.append((f"`{key}`", said(rule, parts), default, rule.get("description", "")))
    return table(("key", "what", "default", "meaning"), rows)


def _default(rule: Schema) -> str:
    value = rule.get("default")
    if value in (None, [], {}) or isinstance(value, dict):
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def sections(schema: Schema, *, level: int = 2) -> str:
    """A whole schema: what stands at its top, then every section that it leads to."""
    parts = Definitions(schema)
    if "$ref" in schema:
        schema = {**parts[str(schema["$ref"]).rpartition("/")[2]], "$defs": schema["$defs"]}
    text = keys_table(schema, parts)
    for key in parts.reached({k: v for k, v in schema.items() if k != "$defs"}):
        part = parts[key]
        text += f"\n{'#' * level} {parts.name(key)}\n\n"
        if "description" in part:
            text += f"{part['description'].strip()}\n\n"
        text += keys_table(part, parts)
    return text
