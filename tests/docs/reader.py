"""What a reader does with a shell block: type it, in a folder where the files lie that the page speaks of."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import typer.main
from typer.testing import CliRunner

from tests.docs.blocks import ROOT, Block, blocks_of
from tests.patience import PATIENCE_S
from vpp.cli import app
from vpp.errors import ConfigError

ADDRESSES = ("http://127.0.0.1:8080", "localhost:8080")


class CommandFailedError(AssertionError):
    """A command of a page did not do what the page says."""


def reader_folder(folder: Path) -> Path:
    """A folder as the pages suppose it: a checkout with an own `PARK.yaml`, two market files, a record.

    PARK.yaml is the small park that the page of the park file writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (park,) = (b for b in blocks_of(ROOT / "docs" / "park-file.md") if b.mark == "file")
    (folder / "PARK.yaml").write_text(park.text, encoding="utf-8")
    market = ROOT / "config" / "markets" / "se3_day_ahead.yaml"
    for name in ("OLD.yaml", "NEW.yaml"):
        (folder / name).symlink_to(market)
    (folder / "data").mkdir()
    copytree(ROOT / "strategies", folder / "strategies", ignore=ignore_patterns("__pycache__"))
    return folder


def type_vpp(words: list[str], folder: Path, *, code: int = 0) -> str:
    """Run one `vpp` command in this process; what it printed. `> FILE` at its end is kept to.

    Raises:
        CommandFailedError: It did not end with `code`.
    """
    words, target = (words[:-2], words[-1]) if ">" in words else (words, None)
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(app, words[1:])
    finally:
        os.chdir(before)
    ended = 2 if isinstance(result.exception, ConfigError) else result.exit_code  # as `main` does
    if ended != code:
        raise CommandFailedError(f"{' '.join(words)}: {result.exception!r}\n{result.output}")
    if target is not None:
        (folder / target).write_text(result.stdout, encoding="utf-8")
    return result.stdout


def type_shell(block: Block, folder: Path, address: str) -> str:
    """Run a block by bash, its service at `address`; what it printed.

    Raises:
        CommandFailedError: A command ended with another code than 0; curl does so with whatever is refused.
    """
    script = block.text
    for known in ADDRESSES:
        script = script.replace(known, address)
    curl = folder / "bin" / "curl"
    curl.parent.mkdir(exist_ok=True)
    curl.write_text('#!/bin/sh\nPATH=${PATH#*:} exec curl -sS --fail-with-body "$@"\n')
    curl.chmod(curl.stat().st_mode | stat.S_IXUSR)
    python = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{curl.parent}:{python}:{os.environ['PATH']}",
            "PYTHONPATH": f"{folder}:{ROOT}",  # a strategy of the reader's lies beside ours
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        raise CommandFailedError(f"{block}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def unknown_words(words: list[str]) -> list[str]:
    """What of a `vpp` command does not exist: a command, or an option of it."""
    command = typer.main.get_command(app)
    rest = words[1:]
    while rest and (inner := getattr(command, "commands", {})):
        if rest[0] not in inner:
            return [] if rest[0].startswith("-") else [f"no command {rest[0]!r}"]
        command, rest = inner[rest[0]], rest[1:]
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    return [f"no option {word}" for word in rest if word.startswith("--") and word not in known]
