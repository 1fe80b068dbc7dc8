"""A weather station: tells the service each quarter-hour what the temperature was."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from vpp.errors import UnavailableError
from vpp.model.horizon import Profile
from vpp.model.time import QUARTER, isoformat, latest_boundary
from vpp.simulate.exchange import Exchange

log = logging.getLogger(__name__)


class WeatherStation:
    """Publishes the actual course of some temperatures, each value when its interval has ended."""

    def __init__(
        self, exchange: Exchange, courses: Mapping[str, Profile], *, opened_at: datetime
    ) -> None:
        """`courses` are °C by series id; nothing before `opened_at` is told."""
        self._courses = courses
        self._exchange = exchange
        # The first quarter-hour that begins when the station is there.
        self._told_until = latest_boundary(opened_at + QUARTER - timedelta(microseconds=1), QUARTER)

    def start(self) -> None:
        """Open the connection; call inside the event loop."""
        self._exchange.start()

    async def stop(self) -> None:
        """Close the connection."""
        await self._exchange.stop()

    async def act(self, now: datetime) -> None:
        """Tell every interval that has ended; what the service does not take now waits."""
        ended = latest_boundary(now, QUARTER)
        if ended <= self._told_until:
            return
        starts = [
            self._told_until + k * QUARTER for k in range((ended - self._told_until) // QUARTER)
        ]
        for series_id, course in self._courses.items():
            body = {
                "unit": "degC",
                "resolution_s": int(QUARTER.total_seconds()),
                "issued_at": isoformat(ended),
                "source": "simulated weather station",
                "revision": 1,
                "values": [
                    {"interval_start": isoformat(start), "value": course.at(start)}
                    for start in starts
                ],
            }
            try:
                answer = await self._exchange.request("PUT", f"/v1/series/{series_id}", body)
            except UnavailableError as error:
                log.warning("temperatures wait: %s", error)
                return
            if answer.status >= 300:
                log.warning("temperatures of %s were refused: %s", series_id, answer.code)
        self._told_until = ended
