"""Devices that send telemetry over one raw socket: a program for `_field_ingest.py`, not a benchmark.

    python -m benchmarks._fieldsender '{"port": 1883, "user": "works-0", …}'

`paced` is each device once a second, spread over it; else all goes as fast as the broker confirms, `WINDOW`
of them on the way. Prints one JSON line: how many, in how many seconds, and by how much it was itself
late. Written by hand, many messages in one write, so that it is never the limit.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import perf_counter, sleep, time

WINDOW, BATCH = 500, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What to send and where. The topics take turns; sequence numbers count each topic's from `seq` on."""

    port: int
    user: str
    password: str
    topics: list[str]
    messages: int
    seq: int = 0
    paced: bool = False
    nonsense_every: int = 0
    """One message in so many is none of ours; 0 for none."""

    core: int | None = None

    def text(self) -> str:
        """The program's argument."""
        return json.dumps(asdict(self))


NONSENSE: tuple[Callable[[bytes], bytes], ...] = (
    lambda body: body.replace(b'"soc":', b'"soc":NaN,"x":'),
    lambda body: body.replace(b'"power_kw":-', b'"power_kw":-1e999,"x":-'),
    lambda body: body.replace(b'"power_kw":-', b'"power_kw":null,"x":-'),
    lambda body: body.replace(b'"power_kw":-', b'"power_kw":-9000'),  # W instead of kW
    lambda body: body.replace(b'"soc":0.', b'"soc":7.'),
    lambda body: body.replace(b'"ts":"2', b'"ts":"9'),
    lambda body: body.replace(b"+00:00", b""),
    lambda body: body[:57],
    lambda body: b"[" * 5000,
    lambda body: body + b" " * 17_000,
    lambda body: b"\x00\xff\xfe" + body,
    lambda body: b"",
)
"""Ways in which a message can be wrong: not one of them may enter."""


class Sender:
    """One connection that confirms what it was told it may send."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._socket = socket.create_connection(("127.0.0.1", orders.port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b"\x00\x04MQTT\x04\xc2\x00\x00"  # 3.1.1, clean, user and password, no keep-alive
        names = (f"sender-{os.getpid()}", orders.user, orders.password)
        self._socket.sendall(_packet(0x10, head + b"".join(_text(name) for name in names)))
        if self._socket.recv(4) != b"\x20\x02\x00\x00":
            raise SystemExit("the broker refuses the sender")
        self._halves = 0  # bytes of confirmations, four each
        self._sent = 0

    def message(self, number: int) -> bytes:
        """The publication with that number, dated now."""
        topics = self._orders.topics
        body = payload(time(), self._orders.seq + number // len(topics))
        every = self._orders.nonsense_every
        if every and number % every == every - 1:
            body = NONSENSE[number // every % len(NONSENSE)](body)
        name = _text(topics[number % len(topics)])
        return _packet(0x32, name + (1 + number % 65_535).to_bytes(2, "big") + body)

    def send(self, data: bytes, count: int) -> None:
        """Send so many messages, and wait while too many are unconfirmed."""
        self._socket.sendall(data)
        self._sent += count
        self.wait_for(self._sent - WINDOW)

    def wait_for(self, confirmed: int) -> None:
        """Wait until so many were confirmed in all."""
        while self._halves < 4 * confirmed:
            got = self._socket.recv(65_536)
            if not got:
                raise SystemExit("the broker closed the connection of the sender")
            self._halves += len(got)


def flood(sender: Sender, messages: int) -> float:
    """As fast as it goes; how late that was means nothing."""
    for first in range(0, messages, BATCH):
        numbers = range(first, min(first + BATCH, messages))
        sender.send(b"".join(map(sender.message, numbers)), len(numbers))
    return 0.0


def pace(sender: Sender, messages: int, each_s: float) -> float:
    """One after the other, `each_s` apart; the most that one was late, in seconds."""
    began, latest = perf_counter(), 0.0
    for number in range(messages):
        early_s = began + number * each_s - perf_counter()
        if early_s > 0:
            sleep(early_s)
        latest = max(latest, -early_s)
        sender.send(sender.message(number), 1)
    return latest


def payload(moment: float, seq: int) -> bytes:
    """What a battery says at a Unix time: some 200 bytes of our contract."""
    at = datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
    return (
        f'{{"ts":"{at}","seq":{seq},"power_kw":{-0.01 - seq % 7 / 1000},"quality":"good",'
        f'"energy_kwh":-1000.125,"soc":0.375,"temperature_degc":24.5,'
        f'"setpoint_seq":{seq % 1000},"discharged_today_kwh":12.5}}'
    ).encode()


def _packet(packet_type: int, body: bytes) -> bytes:
    length, sizes = len(body), b""
    while True:
        length, byte = divmod(length, 128)
        sizes += bytes([byte | 128 * (length > 0)])
        if not length:
            return bytes([packet_type]) + sizes + body


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def main() -> None:
    orders = Orders(**json.loads(sys.argv[1]))
    if orders.core is not None:
        os.sched_setaffinity(0, {orders.core})
    sender = Sender(orders)
    began = perf_counter()
    if orders.paced:
        late_s = pace(sender, orders.messages, 1 / len(orders.topics))
    else:
        late_s = flood(sender, orders.messages)
    sender.wait_for(orders.messages)
    facts = {"messages": orders.messages, "seconds": perf_counter() - began, "late_s": late_s}
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
