"""One HTML file from a template: autoescaped, with style and pictures inside, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpp.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment


def paper(template: str, content: Mapping[str, Any]) -> str:
    """The page that a template of this package makes of `content`. Pictures are marked as safe there."""
    return _environment().get_template(template).render(**content)


def write_paper(path: Path, text: str) -> None:
    """Put a page into a file.

    Raises:
        ConfigError: It cannot be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            fix="Name a file in a folder that is there",
        ) from error


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = resources.files("vpp.service.pictures")

    def text_of(name: str) -> str:
        return (folder / "templates" / name).read_text(encoding="utf-8")

    return Environment(loader=FunctionLoader(text_of), autoescape=True, undefined=StrictUndefined)
