"""The client under the link: aiomqtt, but for a socket that is read and written in large pieces.

    socket ─▶ up to 256 KiB ─▶ frames ─▶ messages ─▶ taken(topic, payload, packet id)
                                   └───▶ all else ─▶ paho ─▶ aiomqtt     CONNACK, SUBACK, PUBACK …
    confirm(ids) ─▶ PUBACKs, joined ─┐
    paho's packets ──────────────────┴─▶ socket

Why: paho asks the socket three times for each packet and aiomqtt wakes its loop for each confirmation,
which is most of what a message costs (`benchmarks/_field_ingest.py` has it beside others). Connecting,
subscribing, publishing and keeping alive stay theirs. Paho knows sockets that it did not make, its own
websockets are such; `_Wire` is one more. The names with an underscore that are used here are those
of aiomqtt 2 and paho 2, which `pyproject.toml` holds; `tests/contracts/test_link.py` tells if they change.

A message is confirmed when `confirm` is called, not when it comes, and nothing is read while there is
no room: so a late reader holds the broker up. Not all brokers keep to a window of unconfirmed messages
(Mosquitto 2.0.11 sends all that waits once one is confirmed), but none can send into a full socket.
After `PATIENCE_S` without room messages are read all the same: confirmations of set-points come
over the same socket.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import aiomqtt
from paho.mqtt import client as paho

from adapters.mqtt_frames import FrameReader, Taken
from adapters.mqtt_order import ConfirmationOrder

READ_BYTES = 256 * 1024
LOOK_S, PATIENCE_S = 0.002, 2.0
"""How often room is looked for, and how long at most."""


class WireClient(aiomqtt.Client):
    """An `aiomqtt.Client` whose messages go to `taken`; `messages` of the base stays empty.

    Messages of QoS 2, which we never ask for, come by the base's queue as ever.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        taken: Taken,
        has_room: Callable[[], bool] = lambda: True,
        **settings: Any,
    ) -> None:
        super().__init__(host, port, **settings)
        self._taken, self._has_room = taken, has_room
        self._patient = True
        self._wire: _Wire | None = None
        self._home = threading.get_ident()
        self.heard_at = self._loop.time()
        """When the broker last sent anything, by the clock of the loop."""
        self.own_fault = False
        """Whether we ended the connection, and not the broker or the network."""

    def confirm(self, packet_ids: Iterable[bytes]) -> None:
        """Tell the broker that these messages were taken, in the order in which they came.

        Nothing where the connection is gone.
        """
        wire = self._wire
        if wire is not None:
            wire.out += wire.order.read(packet_ids)
            self._flush()

    def drop(self, reason: str) -> None:
        """End the connection without a word to the broker, who would not hear it."""
        self._fail(aiomqtt.MqttError(reason))

    # ------------------------------------------------------------ called by paho

    def _on_socket_open(self, client: paho.Client, userdata: object, sock: paho.SocketLike) -> None:
        assert isinstance(sock, socket.socket)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = _Wire(sock, self._taken)
        client._sock = self._wire = wire
        super()._on_socket_open(client, userdata, wire)
        # In the place of the base's reader, which would ask paho to read.
        self._loop.call_soon_threadsafe(self._loop.add_reader, wire.fileno(), self._read)

    def _on_socket_close(
        self, client: paho.Client, userdata: object, sock: paho.SocketLike
    ) -> None:
        if self._wire is not None and self._wire.stuck:
            self._loop.remove_writer(self._wire.fileno())
        self._wire = None
        super()._on_socket_close(client, userdata, sock)

    def _on_socket_register_write(
        self, client: paho.Client, userdata: object, sock: paho.SocketLike
    ) -> None:
        if threading.get_ident() == self._home:
            self._loop.call_soon(self._write)
        else:  # CONNECT goes out from a thread
            self._loop.call_soon_threadsafe(self._write)

    def _on_socket_unregister_write(
        self, client: paho.Client, userdata: object, sock: paho.SocketLike
    ) -> None:
        """Nothing to take back: `_write` is called once."""

    # ------------------------------------------------------------ called by the loop

    def _read(self) -> None:
        """Take what is there, once: others have their turn before the next piece."""
        wire = self._wire
        if wire is None:
            return
        try:
            if wire.fill():
                self.heard_at = self._loop.time()
            while self._wire is wire and (wire.frames.rest or wire.ended):
                self._client.loop_read()
        except Exception as error:  # noqa: BLE001  whatever it is, this connection is of no use any more
            self._fail(error)
            return
        if self._has_room():
            self._patient = True
        elif self._patient and self._wire is wire:
            self._loop.remove_reader(wire.fileno())
            self._look_for_room(wire, self._loop.time() + PATIENCE_S)

    def _look_for_room(self, wire: _Wire, until: float) -> None:
        """Read again when there is room, or when patience is at its end: then without, until there is."""
        if self._wire is not wire:
            return
        if not self._has_room():
            if self._loop.time() < until:
                self._loop.call_later(LOOK_S, self._look_for_room, wire, until)
                return
            self._patient = False
        self._loop.add_reader(wire.fileno(), self._read)

    def _write(self) -> None:
        """Let paho hand its packets over, and send them."""
        try:
            self._client.loop_write()
        except Exception as error:  # noqa: BLE001  as above
            self._fail(error)
        self._flush()

    def _flush(self) -> None:
        wire = self._wire
        if wire is None:
            return
        was_stuck = wire.stuck
        try:
            wire.flush()
        except OSError as error:
            self._fail(error)
            return
        if wire.stuck and not was_stuck:
            self._loop.add_writer(wire.fileno(), self._flush)
        elif was_stuck and not wire.stuck:
            self._loop.remove_writer(wire.fileno())

    def _fail(self, error: Exception) -> None:
        """End the connection: whoever waits for its loss is told why."""
        self.own_fault = self.own_fault or not isinstance(error, OSError)
        if not self._disconnected.done():
            self._disconnected.set_exception(error)
        if self._wire is not None:
            # As if the other side had closed: paho closes the socket and forgets it.
            self._wire.ended = True
            self._wire.frames.rest.clear()
            self._client.loop_read()


class _Wire:
    """A socket as paho sees one: it reads what is not ours, and sends into a buffer."""

    def __init__(self, sock: socket.socket, taken: Taken) -> None:
        self._sock = sock
        self.order = ConfirmationOrder()

        def came(topic: str, payload: bytes, packet_id: bytes) -> None:
            if packet_id:
                self.order.came(packet_id)
            taken(topic, payload, packet_id)

        self.frames = FrameReader(came)
        self.out = bytearray()
        self.ended = False
        """Whether the other side has closed."""
        self.stuck = False
        """Whether some of `out` waits for the socket."""

    def fill(self) -> bool:
        """Read once and cut it into packets; whether anything came.

        Raises:
            OSError: The connection is broken.
            BrokenStreamError: It is not MQTT.
        """
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        self.ended = not data
        self.frames.feed(data)
        return not self.ended

    def flush(self) -> None:
        """Send as much as the socket takes. Raises OSError where the connection is broken."""
        try:
            while self.out:
                del self.out[: self._sock.send(self.out)]
        except BlockingIOError:
            self.stuck = True
        else:
            self.stuck = False

    def recv(self, buffer_size: int) -> bytes:
        rest = self.frames.rest
        if not rest:
            if self.ended:
                return b""
            raise BlockingIOError
        piece = bytes(rest[:buffer_size])
        del rest[:buffer_size]
        return piece

    def send(self, buffer: bytes | bytearray) -> int:
        # All of it: then `out` always ends with a whole packet, and a PUBACK may follow.
        self.out += buffer
        return len(buffer)

    def close(self) -> None:
        try:
            self.flush()  # a DISCONNECT may be in it
        except OSError:
            pass  # whoever closes needs no answer
        finally:
            self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)
