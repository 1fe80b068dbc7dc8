"""How the process logs: one JSON object a line on stderr, with the id of what it belongs to."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

Level = Literal["warning", "info", "debug"]
LEVELS: dict[Level, int] = {
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


def log_from(level: Level) -> None:
    """Log what is at least so grave. May be called again; the newest call holds."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # without the values, some of which are secret
            structlog.processors.JSONRenderer(),
        ],
    )
