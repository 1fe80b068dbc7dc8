"""Editors know every shipped file: its first line names a schema, which is committed, fresh, and accepts it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from vpp.service.park.config import read_document
from vpp.service.park.schemas import FILES, schema_text

CONFIG = Path(__file__).parents[1] / "config"
SHIPPED = sorted(file.relative_to(CONFIG).as_posix() for file in CONFIG.rglob("*.yaml"))
FIRST = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


def beside(uri: str) -> Resource[object]:
    """A schema that another one names."""
    content = json.loads((CONFIG / "schemas" / uri).read_text(encoding="utf-8"))
    return DRAFT202012.create_resource(content)


@pytest.mark.parametrize("name", FILES)
def test_a_committed_schema_is_as_the_code_is(name: str) -> None:
    committed = (CONFIG / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    assert committed == schema_text(name), "run `vpp schema --into config/schemas`"


def test_no_schema_is_committed_that_no_file_has() -> None:
    assert sorted(file.stem for file in (CONFIG / "schemas").glob("*")) == sorted(FILES)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_names_the_schema_that_accepts_it(name: str) -> None:
    file = CONFIG / name
    first = FIRST.match(file.read_text(encoding="utf-8"))
    assert first is not None
    schema = (file.parent / first[1]).resolve()
    assert schema.parent == CONFIG / "schemas"
    checked = json.loads(schema.read_text(encoding="utf-8"))
    others = Registry(retrieve=beside)  # type: ignore[call-arg]
    Draft202012Validator(checked, registry=others).validate(read_document(file).tree)
