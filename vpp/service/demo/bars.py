"""Bars that move on a terminal while something runs; silent elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, ProgressColumn, TimeElapsedColumn


class Bars:
    """A context in which whoever runs something moves `bar`; the time since the start ends each line."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self.bar = Progress(
            *columns,
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()
