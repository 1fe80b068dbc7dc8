"""The command `vpp schema`: JSON Schemas of files and messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vpp.errors import ConfigError


def schema(
    name: Annotated[str | None, typer.Argument(help="Which one; all names where left out.")] = None,
    into: Annotated[
        Path | None, typer.Option(help="Write those of all files that people write into a folder.")
    ] = None,
) -> None:
    """Print the JSON Schema of a file or message."""
    from vpp.service.park.schemas import FILES, SCHEMAS, schema_text

    if into is not None:
        into.mkdir(parents=True, exist_ok=True)
        for one in FILES:
            (into / f"{one}.json").write_text(schema_text(one), encoding="utf-8")
        return
    if name is None:
        print("\n".join(SCHEMAS))
        return
    if name not in SCHEMAS:
        raise ConfigError(
            f"there is no schema {name!r}", where="schema", fix=f"Use one of {list(SCHEMAS)}"
        )
    print(json.dumps(SCHEMAS[name](), indent=2))
