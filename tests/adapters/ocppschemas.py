"""The schemas of the standard, as the `ocpp` library carries them: what may be said, and anything that may."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import ocpp
from hypothesis import strategies as st

EARLY = datetime(1970, 1, 2)  # noqa: DTZ001  the zone follows
LATE = datetime(2199, 1, 1)  # noqa: DTZ001
FOLDERS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201"}


@cache
def schema(version: str, action: str, *, answer: bool = False) -> dict[str, Any]:
    """The schema of a call, or of its answer."""
    last = "Response" if answer else ("" if version == "ocpp1.6" else "Request")
    file = Path(ocpp.__file__).parent / FOLDERS[version] / "schemas" / f"{action}{last}.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
    return found


def require_valid(version: str, action: str, payload: Any, *, answer: bool = False) -> None:
    """Raises jsonschema.ValidationError where the standard does not allow it."""
    jsonschema.validate(payload, schema(version, action, answer=answer))


def anything(version: str, action: str, *, answer: bool = False) -> st.SearchStrategy[Any]:
    """Whatever the schema allows, with few elements in each array."""
    whole = schema(version, action, answer=answer)
    return _of(whole, whole)


def _of(part: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in part:
        return _of(whole["definitions"][part["$ref"].rsplit("/", 1)[1]], whole)
    if "enum" in part:
        return st.sampled_from(part["enum"])
    match part.get("type"):
        case "object":
            return _object(part, whole)
        case "array":
            least = max(part.get("minItems", 0), 1)
            return st.lists(_of(part["items"], whole), min_size=least, max_size=least + 1)
        case "string" if part.get("format") == "date-time":
            zone = st.sampled_from(("Z", "+00:00", "+08:00", "-03:30"))
            return st.builds(
                lambda at, of: at.isoformat(timespec="milliseconds") + of,
                st.datetimes(EARLY, LATE),
                zone,
            )
        case "string":
            return st.text(max_size=min(part.get("maxLength", 20), 20))
        case "integer":
            return st.integers(0, 2**31 - 1)
        case "number":
            return st.integers(-1000, 10_000).map(lambda n: n / 10)
        case "boolean":
            return st.booleans()
        case _:
            return st.none() | st.text(max_size=5)


def _object(part: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    fields = {k: v for k, v in part.get("properties", {}).items() if k != "customData"}
    asked = part.get("required", [])
    return st.fixed_dictionaries(
        {key: _of(fields[key], whole) for key in asked},
        optional={key: _of(one, whole) for key, one in fields.items() if key not in asked},
    )
