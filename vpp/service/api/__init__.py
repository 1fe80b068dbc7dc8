"""The HTTP face of the service, under /v1.

    request ─▶ face ── Host, Origin, JSON declared? ── router ─▶ endpoint ─▶ handler(plant, call)
                 ▲                                                 read, check      one per route
                 └── problem+json for whatever was refused ◀───────────┘

`routes.py` says what a route is; `markets.py`, `park.py` … hold their tables and handlers;
`openapi.py` and the server are both made from the tables. Handlers never see a wall clock.
"""

from __future__ import annotations
