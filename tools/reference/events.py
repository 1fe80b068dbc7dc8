"""Every kind of event that the service emits, read from where it is emitted."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.reference.tables import table

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "vpp" / "service"


@dataclass
class Kind:
    """One kind of event, over all places that emit it."""

    severities: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)


def events_page() -> str:
    """A row a kind: how grave, what it carries, who tells it, and an example of its text."""
    kinds: dict[str, Kind] = defaultdict(Kind)
    for file in sorted(SERVICE.rglob("*.py")):
        module = str(file.relative_to(ROOT))
        for call in _emitted(ast.parse(file.read_text(encoding="utf-8"))):
            for name in _words(call.args[0]):
                _add(kinds[name], call, module)
    rows = [
        (
            f"`{name}`",
            ", ".join(sorted(kind.severities)),
            ", ".join(f"`{key}`" for key in sorted(kind.data)),
            kind.texts[0] if kind.texts else "",
            " ".join(f"[{Path(m).stem}](../../{m})" for m in sorted(kind.modules)),
        )
        for name, kind in sorted(kinds.items())
    ]
    return (
        "# Events\n\nWhat `GET /v1/events` tells. What is graver than `info` is in the log too. `{…}` stands for what is"
        " filled in, and a severity that depends on what happened is not told here.\n\n"
        + table(("kind", "severity", "data", "says, for example", "told by"), rows)
    )


def _emitted(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="emit" | "emit_each" | "emit_of_one"), args=[_, _, *_]
            ):
                yield node


def _words(node: ast.expr) -> Iterator[str]:
    """The kinds that an expression may be: a word, or one of two."""
    match node:
        case ast.Constant(value=str(word)):
            yield word
        case ast.IfExp(body=one, orelse=other):
            yield from _words(one)
            yield from _words(other)


def _add(kind: Kind, call: ast.Call, module: str) -> None:
    kind.modules.add(module)
    text = _template(call.args[1])
    if text and text not in kind.texts:
        kind.texts.append(text)
    if isinstance(call.func, ast.Attribute) and call.func.attr == "emit_each":
        kind.data.update(("resource_id", "resource_ids", "count"))
    one_of_many = isinstance(call.func, ast.Attribute) and call.func.attr == "emit_of_one"
    severity = "info"
    for keyword in call.keywords:
        if keyword.arg == "severity":
            found = {n.attr for n in ast.walk(keyword.value) if isinstance(n, ast.Attribute)}
            severity = ", ".join(sorted(w.lower() for w in found if w.isupper())) or ""
        elif keyword.arg not in (None, "at"):
            kind.data.add(str(keyword.arg))
            if one_of_many:
                kind.data.update((f"{keyword.arg}s", "count"))
    kind.severities.update(word for word in severity.split(", ") if word)


def _template(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=pieces):
            return "".join(str(p.value) if isinstance(p, ast.Constant) else "{…}" for p in pieces)
        case ast.DictComp(value=text):
            return _template(text)
        case ast.BinOp(left=left, right=right):
            return _template(left) + _template(right)
    return ""
