"""A second client at the broker that counts commands to one device: who says that nothing was written.

It sees what the broker saw, whoever sent it: a proof that does not rest on the code that is on trial.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import aiomqtt

from adapters.mqtt_life import BrokerAddress
from vpp.errors import UnavailableError

CONNECT_S = 10.0


class CommandWitness:
    """Counts what is published to one topic while it is open; an async context manager."""

    def __init__(self, broker: BrokerAddress, topic: str, *, client_id: str) -> None:
        self._topic = topic
        self._where = f"broker {broker.host}:{broker.port}"
        self._client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=client_id,
            timeout=CONNECT_S,
        )
        self._counting: asyncio.Task[None] | None = None
        self.seen = 0

    async def __aenter__(self) -> Self:
        """Raises `UnavailableError` where the broker does not take it, or will not let it listen."""
        try:
            await self._client.__aenter__()
            granted = await self._client.subscribe(self._topic, qos=1)
        except aiomqtt.MqttError as error:
            raise UnavailableError(
                f"no witness: {error}", where=self._where, fix="Check broker, user and password"
            ) from error
        if any(getattr(code, "value", code) >= 128 for code in granted):
            raise UnavailableError(
                f"may not listen to {self._topic}", where=self._where, fix="Check the broker's ACL"
            )
        self._counting = asyncio.create_task(self._count(), name="mqtt-witness")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._counting is not None
        self._counting.cancel()
        await asyncio.gather(self._counting, return_exceptions=True)
        try:
            await self._client.__aexit__(None, None, None)
        except aiomqtt.MqttError:
            return  # the broker was gone first: nothing is left to close

    @property
    def alive(self) -> bool:
        """Whether it has listened all the time."""
        return self._counting is not None and not self._counting.done()

    async def _count(self) -> None:
        async for _ in self._client.messages:
            self.seen += 1
