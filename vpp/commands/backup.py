"""The command `vpp backup`: the record copied while the service runs, or a copy read through."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from vpp.commands.shared import Json


def backup(
    to: Annotated[Path, typer.Argument(help="Where to write it; with --check the backup itself.")],
    data: Annotated[Path, typer.Option(help="Folder of the record.")] = Path("data"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; read a backup through.")
    ] = False,
    json_: Json = False,
) -> None:
    """Copy the record while the service runs, so that the copy can be put in its place."""
    from vpp.service.backup import back_up, check_backup

    if check:
        files = check_backup(to)
        print(json.dumps({"files": files}) if json_ else f"{to}: whole, {files} files")
        return
    made = back_up(data, to, datetime.now(UTC))
    if json_:
        facts = {"folder": str(to), "files": made.files, "size_bytes": made.size_bytes}
        print(json.dumps(facts))
    else:
        print(f"{to}: {made.files} files, {made.size_bytes / 1e6:.1f} MB")
