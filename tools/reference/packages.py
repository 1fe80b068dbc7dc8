"""The packages of the service, each in the words of its own first line."""

from __future__ import annotations

import ast
from pathlib import Path

from tools.reference.tables import table

SERVICE = Path(__file__).parents[2] / "vpp" / "service"


def packages_page() -> str:
    """A row a package of `vpp/service/`."""
    rows = []
    for file in sorted(SERVICE.glob("*/__init__.py")):
        about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        name = file.parent.name
        rows.append((f"[`{name}/`](../../vpp/service/{name}/)", about.partition("\n")[0]))
    return (
        "# Packages of the service\n\nHow they fit together: [how it works](../architecture.md).\n\n"
        + table(("package", "what"), rows)
    )
