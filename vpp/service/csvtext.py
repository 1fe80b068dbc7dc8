"""Rows of a view as CSV: one column a field, times in UTC, decimals plain, anything nested as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from vpp.model.time import isoformat


def csv_of(kind: type[BaseModel], rows: Iterable[BaseModel]) -> str:
    """A header of the fields of `kind`, and a line for each row."""
    text = io.StringIO()
    columns = list(kind.model_fields)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.model_dump().items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    match value:
        case dict():
            return json.dumps(value, separators=(",", ":"))
        case Decimal():
            return format(value, "f")
        case None | str() | int() | float():
            return value
        case _:
            return isoformat(value)
