"""Every error this project raises on purpose.

VppError
├── ConfigError      a person must edit the YAML; the daemon does not start
├── DataError        a value breaks a rule of the model (wrong sign, naive time, …)
├── PlanError        this interval could not be planned; the ladder of fallbacks is used
├── ConflictError    the same id arrived with other content
└── AdapterError     the outside world failed
    ├── UnavailableError   worth another try: timeout, connection lost, 5xx
    └── RejectedError      never retry as is: refused bid, bad credentials, 4xx
        └── ForeignError       the answer is not what was agreed on; it carries the raw bytes

Catch the narrowest class that you can act on. Whatever is not a `VppError` is a bug
and must reach the top, where it stops the daemon.
"""

from __future__ import annotations

from typing import Any


class VppError(Exception):
    """Says what is wrong, where, and what to do about it."""

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(f"{where}: {what} -> {fix}")
        self.what = what
        self.where = where
        """Dotted path of the field, or id of the resource, bid or venue."""
        self.fix = fix

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross to another process whole: a child's error must not end the pipe that brings it."""
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[VppError], args: tuple[object, ...]) -> VppError:
    return kind.__new__(kind, *args)


class ConfigError(VppError):
    """A person must edit a file or an option."""


class DataError(VppError):
    """A value breaks a rule of the model."""


class PlanError(VppError):
    """No usable plan for this interval."""


class ConflictError(VppError):
    """An id that is known already came again with other content."""


class AdapterError(VppError):
    """The outside world failed."""


class UnavailableError(AdapterError):
    """The other side did not answer; the same call may work later."""


class RejectedError(AdapterError):
    """The other side answered no; the same call will fail again."""


class ForeignError(RejectedError):
    """The other side answered something that was not agreed on."""

    def __init__(self, what: str, *, where: str, fix: str, raw: bytes) -> None:
        super().__init__(what, where=where, fix=fix)
        self.raw = raw
        """The answer, or the beginning of it, for the record."""
