"""Secrets that a park file names and never holds: they are read where they are kept, each time they are sent.

No value ever stands in a message, an event or an answer of the API: what is told is the name of the
variable or the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from vpp.errors import UnavailableError
from vpp.service.park.schematypes import FileName, Section

MAX_CHARS = 8192


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_PLACES = "say where the value is kept: {env: NAME} or {file: NAME}"


def _variable(name: Any) -> Any:
    if not isinstance(name, str) or not _NAME.fullmatch(
        name
    ):  # perhaps the secret itself: it is not repeated
        raise ValueError("this is no name of an environment variable")
    return name


def _file_name(name: Any) -> Any:
    if not isinstance(name, str):  # as above
        raise ValueError("this is no name of a file")
    return name


def no_list_of_values(given: Any) -> Any:
    """Of headers that are no mapping nothing is repeated: values may stand in them."""
    if not isinstance(given, dict):
        raise ValueError("give a mapping of names to where their values are kept")
    return given


class SecretSection(Section):
    """Where the value of a header is kept."""

    env: Annotated[str | None, BeforeValidator(_variable)] = None
    """Name of an environment variable of the service."""
    file: Annotated[FileName | None, BeforeValidator(_file_name)] = None
    """A file with the value on its only line, beside the park file or absolute."""

    @model_validator(mode="before")
    @classmethod
    def _no_value(cls, given: Any) -> Any:
        if not isinstance(given, dict):  # as above
            raise ValueError(_PLACES)
        return given

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError(_PLACES)
        return self


def read_secret(section: SecretSection, folder: Path) -> str:
    """The value; `folder` is that of the park file.

    Raises:
        UnavailableError: It is not there, empty, or nothing that a header can carry.
    """
    if section.env is not None:
        where, value = f"environment variable {section.env}", os.environ.get(section.env, "")
        fix = "Set it where the service is started"
    else:
        file = folder / (section.file or "")
        where, value = f"file {file}", _only_line(file)
        fix = "Put the value there, on one line"
    if not value:
        raise UnavailableError("there is no value", where=where, fix=fix)
    if len(value) > MAX_CHARS or not (value.isascii() and value.isprintable()):
        what = f"the value is no single line of at most {MAX_CHARS} printable characters"
        raise UnavailableError(what, where=where, fix=fix)
    return value


def _only_line(file: Path) -> str:
    """The content without the end of its line. Raises UnavailableError."""
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_CHARS + 2).rstrip(b"\r\n").decode("latin-1")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or "no name of a file"
        raise UnavailableError(
            f"cannot be read: {reason}",
            where=f"file {file}",
            fix="Let the service read it",
        ) from error


def headers_of(sections: Mapping[str, SecretSection], folder: Path) -> dict[str, str]:
    """The headers with their values, to be sent and forgotten. Raises as `read_secret`."""
    return {name: read_secret(section, folder) for name, section in sections.items()}
