"""The metric names that a PromQL expression asks for, out of its syntax tree."""

from __future__ import annotations

from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)


def names_in(tree: object) -> set[str]:
    """Every name below a node; a number or a text has none.

    Raises:
        TypeError: A kind of node that nobody has thought of.
    """
    match tree:
        case VectorSelector():
            return {str(tree.name)}
        case MatrixSelector():
            return {str(tree.vector_selector.name)}
        case ParenExpr() | UnaryExpr() | SubqueryExpr() | AggregateExpr():
            return names_in(tree.expr)
        case BinaryExpr():
            return names_in(tree.lhs) | names_in(tree.rhs)
        case Call():
            return set().union(*(names_in(argument) for argument in tree.args))
        case _ if type(tree).__name__ in ("NumberLiteral", "StringLiteral"):
            return set()
        case _:
            raise TypeError(f"a node of kind {type(tree).__name__}")
