"""What a thief has for the cross-site benchmark: stolen, ended and mutated credentials, and what an attempt is.

An attempt says by whose right it is made (`actor`: what changes of that owner's is no act) and whose words it may
see (`sees`). Everything else that shows or changes is a leak or an act.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from benchmarks._crossowners import Owner
from benchmarks._crosspark import World, secret_of

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request."""

    door: str
    """As `World.urls` names it."""
    how: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    actor: str | None = None
    """By whose right; None: nobody's."""
    sees: frozenset[str] = NOBODY
    refused: bool = True
    """Whether it must be answered by 400 or above: it has no right to anything."""
    twin: str | None = None
    """Attempts of one twin that must be answered alike: on what is another's and on what was never there."""
    calls: tuple[tuple[str, Any], ...] = ()
    """What is said over a websocket, where one opens; with `actor` over that owner's standing connection."""


class Loot:
    """Everything that can be stolen of three owners, drawn from a seed."""

    def __init__(self, world: World, owners: Mapping[str, Owner], random: Random) -> None:
        self._world, self._owners, self._random = world, owners, random

    def _mutated(self, text: str) -> str:
        """Nearly the same, and never the same."""
        random, at = self._random, self._random.randrange(len(text))
        return random.choice(
            [
                text[:at] + random.choice("abcXYZ019-_") * 2 + text[at + 1 :],
                text[:at],
                text[at + 1 :],
                text + random.choice(["=", "0", "%00", ".", "a"]),
                text.swapcase(),
                text[::-1] + "x",
                "",
                "*",
                "null",
                "../" + text,
            ]
        )

    def _made_up(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def _credentials(self, thief: str, victim: str, door: str) -> str:
        """None that opens the victim's door."""
        random = self._random
        return random.choice(
            [
                secret_of(thief, door),
                self._mutated(secret_of(victim, door)),
                secret_of(
                    victim, random.choice([d for d in ("push", "s2", "vtn", "ocpp") if d != door])
                ),
                self._owners[victim].token,
                self._owners[victim].ended,
                self._world.late[victim],
                self._made_up(),
            ]
        )
