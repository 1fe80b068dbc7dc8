"""A platform in a process of its own, for `reporting.py`: takes reports, and holds each point against itself.

stdout: `port N`; stdin ends ─▶ one line of JSON with what was seen. A value is *frozen* where it was measured longer
ago than it may be and nothing says so.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from datetime import datetime
from typing import Any

from aiohttp import web

MAX_AGE_S = 180.0
"""Of every device of the park."""


class Seen:
    """What came."""

    def __init__(self) -> None:
        self.points: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.again = self.frozen = self.stale = self.worst_w = 0

    def take(self, body: dict[str, Any]) -> None:
        """One report."""
        if body["report_id"] in self.ids:
            self.again += 1
            return
        self.ids.add(body["report_id"])
        if body["kind"] != "point":
            self.others[body["kind"]] += 1
            return
        self.points[body["product"]] += 1
        self._check(body)

    def _check(self, body: dict[str, Any]) -> None:
        due_at, watts = datetime.fromisoformat(body["due_at"]), 0
        for member in body["members"]:
            value, flaws = member["power_kw"]["value"], member["power_kw"]["flaws"]
            watts += 0 if value is None else round(1000 * value)
            age_s = (due_at - datetime.fromisoformat(member["power_kw"]["at"])).total_seconds()
            if age_s > MAX_AGE_S:
                told = "not_topical" in flaws or (value is None and "invalid" in flaws)
                self.stale += told
                self.frozen += not told
        self.worst_w = max(self.worst_w, abs(round(1000 * body["power_kw"]["value"]) - watts))

    def told(self) -> dict[str, Any]:
        """For the benchmark."""
        return {
            "points": dict(self.points),
            "others": dict(self.others),
            "again": self.again,
            "frozen": self.frozen,
            "stale": self.stale,
            "worst_w": self.worst_w,
        }


async def main() -> None:
    """Serve until stdin ends."""
    seen = Seen()

    async def take(request: web.Request) -> web.Response:
        seen.take(await request.json())
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/{kind}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"port {runner.addresses[0][1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps(seen.told()), flush=True)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
