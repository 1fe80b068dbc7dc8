"""Which MQTT broker to speak to, and private ones that live and die with us.

    demo   EmbeddedBroker    comes with pip, the same on every machine
    run    an external URL, else MosquittoBroker (a `mosquitto` on PATH), else EmbeddedBroker

A private broker is a child process. It listens on loopback only, knows one user for the service
and one for each enterprise's gateways, and is killed by the kernel when we die. Mosquitto also
holds each enterprise to its own topics; the embedded one has no such rules, so everybody with a
password can read and write everything: it is for one machine and for trusted gateways. Nor does
it answer a wrong password: the client waits until its own time is up.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from adapters.broker_process import DIE_WITH_PARENT, SERVICE_USER, BrokerAccess, PrivateBroker
from vpp.errors import ConfigError
from vpp.model.ids import EnterpriseId
from vpp.wire import TOPIC_ROOT
from vpp.wirebackfill import RESEND

MAX_PAYLOAD_BYTES = 300 * 1024
MAX_INFLIGHT_MESSAGES = 1000
"""Of Mosquitto, to one client: sent and not confirmed."""

MAX_QUEUED_MESSAGES = 100_000
"""Of Mosquitto, for one client. A full queue drops without a word: room for minutes of a late reader."""

_EXEC = DIE_WITH_PARENT + "os.execv(sys.argv[2], sys.argv[2:])"
_SERVE = (
    DIE_WITH_PARENT
    + """
import logging, socket, threading, time
from iotcore import IotCoreBroker

def without_delay(port):
    # It leaves Nagle's algorithm on, which costs 40 ms where it meets a delayed ACK: at every step
    # of a simulation. It has no setting for it, but connections take it over from their listener.
    while True:
        for name in os.listdir("/proc/self/fd"):
            try:
                one = socket.socket(fileno=os.dup(int(name)))
            except OSError:
                continue  # gone by now, or no socket
            with one:
                if (
                    one.family in (socket.AF_INET, socket.AF_INET6)
                    and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                    and one.getsockname()[1] == port
                ):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    return
        time.sleep(0.005)

if os.path.isdir("/proc/self/fd"):
    threading.Thread(target=without_delay, args=[int(sys.argv[3])], daemon=True).start()
logging.basicConfig(level=logging.CRITICAL)  # it logs every packet as an error
IotCoreBroker(config_path=sys.argv[2]).run_forever()
"""
)


class Broker(Protocol):
    """A broker we may use: started by us, or merely known."""

    async def start(self) -> BrokerAccess:
        """Make sure it takes connections.

        Raises:
            ConfigError: Its port is taken, or it refuses its configuration.
            UnavailableError: It does not come up in time.
        """
        ...

    async def stop(self) -> None:
        """End it where we started it. Twice does no harm."""
        ...

    @property
    def memory_rss_kib(self) -> int:
        """Resident memory of the child process; 0 where none runs."""
        ...


class EmbeddedBroker(PrivateBroker):
    """rumqttd from the `iotcore` wheel: nothing to install, MQTT 3.1.1, users but no topic rules."""

    def _prepare(self, folder: Path, port: int) -> list[str]:
        # JSON strings are TOML strings too.
        users = "\n".join(f"{user} = {json.dumps(word)}" for user, word in self._passwords.items())
        config = folder / "rumqttd.toml"
        config.write_text(
            f"""\
id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[v4.1]
name = "loopback"
listen = "{_host_port(self._listen, port)}"
next_connection_delay_ms = 1
[v4.1.connections]
connection_timeout_ms = 60000
# Counts the whole packet: a payload at its limit needs room for topic and header.
max_payload_size = {MAX_PAYLOAD_BYTES + 1024}
max_inflight_count = 1000
dynamic_filters = false
[v4.1.connections.auth]
{users}
""",
            encoding="utf-8",
        )
        return [sys.executable, "-P", "-c", _SERVE, str(os.getpid()), str(config), str(port)]


class MosquittoBroker(PrivateBroker):
    """A `mosquitto` of the system as our child: users and topic rules, nothing kept on disk."""

    def __init__(
        self,
        enterprises: Iterable[EnterpriseId],
        *,
        listen: str = "127.0.0.1",
        port: int | None = None,
        program: Path | None = None,
        queued_messages: int = MAX_QUEUED_MESSAGES,
    ) -> None:
        """`program` None looks on PATH and in /usr/sbin.

        Raises:
            ConfigError: There is no mosquitto; otherwise as for every private broker.
        """
        super().__init__(enterprises, listen=listen, port=port)
        found = program or find_mosquitto()
        if found is None:
            raise ConfigError(
                "no mosquitto on PATH", where="broker", fix="apt-get install mosquitto"
            )
        self._program = found
        self._queued_messages = queued_messages

    def _prepare(self, folder: Path, port: int) -> list[str]:
        passwords, rules, config = (folder / name for name in ("passwords", "acl", "conf"))
        passwords.write_text(
            "".join(f"{user}:{_mosquitto_hash(word)}\n" for user, word in self._passwords.items()),
            encoding="ascii",
        )
        rules.write_text(_access_rules(self._users), encoding="ascii")
        # Started as root it would drop to a user who cannot read our folder.
        user = "user root\n" if os.geteuid() == 0 else ""
        config.write_text(
            f"""\
{user}listener {port} {self._listen}
allow_anonymous false
password_file {passwords}
acl_file {rules}
persistence false
set_tcp_nodelay true
max_inflight_messages {MAX_INFLIGHT_MESSAGES}
max_queued_messages {self._queued_messages}
message_size_limit {MAX_PAYLOAD_BYTES}
log_dest stderr
log_type error
log_type warning
""",
            encoding="utf-8",
        )
        for path in (passwords, rules, config):
            path.chmod(0o600)
        program = [str(self._program), "-c", str(config)]
        return [sys.executable, "-I", "-S", "-c", _EXEC, str(os.getpid()), *program]


class ExternalBroker:
    """A broker that somebody else runs, named by `mqtt://user:password@host:port`."""

    memory_rss_kib = 0

    def __init__(self, url: str) -> None:
        """Raises ConfigError where the URL is no such thing; its password is never shown."""
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port or 1883
        except ValueError:  # the port is no number
            host, port = None, 0
        if parts.scheme != "mqtt" or not host or not parts.username or parts.password is None:
            raise ConfigError(
                f"not usable as {parts.scheme or 'nothing'}://… of host {host}",
                where="broker url",
                fix="Write mqtt://user:password@host:port",
            )
        self._access = BrokerAccess(
            host=host,
            port=port,
            passwords={unquote(parts.username): unquote(parts.password)},
            service_user=unquote(parts.username),
        )

    async def start(self) -> BrokerAccess:
        return self._access

    async def stop(self) -> None:
        """Nothing to end: it is not ours."""


def choose_broker(
    url: str | None, enterprises: Iterable[EnterpriseId], *, prefer: Literal["embedded", "auto"]
) -> Broker:
    """The broker to use: "embedded" always takes that, "auto" takes the best there is.

    Raises:
        ConfigError: `url` is given and is no usable one.
    """
    if prefer == "embedded":
        return EmbeddedBroker(enterprises)
    if url is not None:
        return ExternalBroker(url)
    program = find_mosquitto()
    return MosquittoBroker(enterprises, program=program) if program else EmbeddedBroker(enterprises)


def find_mosquitto() -> Path | None:
    """The system's mosquitto; Debian keeps it in /usr/sbin, which users seldom have on PATH."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    return Path(found) if found else None


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _mosquitto_hash(password: str) -> str:
    """PBKDF2-SHA512 as `mosquitto_passwd` writes it: $7$rounds$salt$hash."""
    salt, rounds = secrets.token_bytes(12), 101
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, 64)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _access_rules(users: Iterable[str]) -> str:
    """The service may do everything; a gateway speaks for its own enterprise and hears it."""
    rules = []
    for user in users:
        rules.append(f"user {user}")
        if user == SERVICE_USER:
            rules.append("topic readwrite #")
            continue
        own = f"{TOPIC_ROOT}/{user}/+/+"
        rules += [f"topic write {own}/{leaf}" for leaf in ("telemetry", "ack", "status")]
        rules += [f"topic read {own}/{leaf}" for leaf in ("cmd", RESEND)]
    return "\n".join(rules) + "\n"
