"""Rows of a view as CSV: one column a field, times in UTC, decimals plain, anything nested as JSON.

Text that a spreadsheet would take for a formula gets an apostrophe before it, as OWASP tells for what others
may have written: https://owasp.org/www-community/attacks/CSV_Injection. Numbers are numbers and stay.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from vpp.model.time import isoformat

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a formula may begin with, behind whatever blanks; the wide signs are taken alike where Chinese is written."""


def csv_of(kind: type[BaseModel], rows: Iterable[BaseModel]) -> str:
    """A header of the fields of `kind`, and a line for each row."""
    text = io.StringIO()
    columns = list(kind.model_fields)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(getattr(row, name)) for name in columns})
    return text.getvalue()


def plain_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula, and that ends no line."""
    text = text.replace("\r", " ")  # `csv` quotes line feeds alone
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def _cell(value: Any) -> Any:
    match value:
        case dict():
            return json.dumps(value, separators=(",", ":"))
        case Decimal():
            return format(value, "f")
        case str():
            return plain_text(value)
        case None | int() | float():
            return value
        case _:
            return isoformat(value)
