"""Requests that cross from one owner to another: stolen, others', expired and mutated credentials and ids, from a seed.

An attempt says by whose right it is made (`actor`: what changes of that owner's is no act) and whose words it may
see (`sees`). Everything else that shows or changes is a leak or an act.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

from benchmarks._crossowners import Owner, a_report, basic
from benchmarks._crosspark import OWNERS, World, secret_of

VERSIONS = ("/openadr3/3.1.0", "/openadr3/3.0.1")
KINDS = ("programs", "events", "vens", "resources", "reports", "subscriptions")
METHODS = ("GET", "POST", "PUT", "DELETE")
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
    twin: str | None = None
    """Attempts of one twin that must be answered alike: on what is another's and on what was never there."""
    calls: tuple[tuple[str, Any], ...] = ()
    """What is said over a websocket, where one opens; with `actor` over that owner's standing connection."""


class Attempts:
    """Makes them, one door at a time."""

    def __init__(self, world: World, owners: Mapping[str, Owner], random: Random) -> None:
        self._world, self._owners, self._random = world, owners, random
        self._makers: tuple[tuple[int, Callable[[str, str], Attempt]], ...] = (
            (20, self._vtn_object),
            (6, self._vtn_list),
            (5, self._vtn_token),
            (6, self._vtn_report),
            (12, self._push_other),
            (8, self._push_credentials),
            (5, self._push_path),
            (14, self._link_unknown),
            (6, self._link_spent),
            (5, self._link_robot),
            (6, self._station_credentials),
            (7, self._station_calls),
        )
        # The others' protocols: what opens one door is tried at all.
        self._makers += ((6, self._s2_credentials), (4, self._wrong_door))

    def one(self) -> Attempt:
        """The next attempt; the thief and whom he is after are two owners."""
        thief, victim = self._random.sample(OWNERS, 2)
        (made,) = self._random.choices(
            [maker for _, maker in self._makers], [weight for weight, _ in self._makers]
        )
        return made(thief, victim)

    # ------------------------------------------------------------ what is stolen, and mutated

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
                self._world.late[victim],
                self._made_up(),
            ]
        )

    # ------------------------------------------------------------ OpenADR

    def _vtn_object(self, thief: str, victim: str) -> Attempt:
        """An object of the victim, or one that never was, by the thief's own right."""
        random, root = self._random, self._random.choice(VERSIONS)
        kind, method = random.choice(KINDS), random.choice(["GET", "PUT", "DELETE"])
        stolen = random.random() < 0.7
        objects = self._owners[victim].objects
        name = objects.get(kind, objects["reports"]) if stolen else self._made_up()
        path = f"/{kind}/{name}"
        if root.endswith("3.0.1") and kind == "resources":
            path = f"/vens/{self._owners[thief].objects['vens']}{path}"
        body = None
        if method == "PUT":
            report = a_report(self._world, thief, self._owners[thief].objects)
            body = json.dumps(report | {"reportName": "none"}).encode()
        return Attempt(
            door="openadr_vtn",
            how=f"{method} of another's {kind}" if stolen else f"{method} of no {kind}",
            method=method,
            path=root + path,
            headers=self._owners[thief].headers | {"Content-Type": "application/json"},
            body=body,
            actor=thief,
            sees=frozenset({thief}),
            twin=f"{root} {method} {kind}",
        )

    def _vtn_list(self, thief: str, victim: str) -> Attempt:
        """A list, narrowed or widened to what is the victim's."""
        random, theirs = self._random, self._owners[victim].objects
        query = random.choice(
            [
                f"programID={theirs['programs']}",
                f"targetType=VEN_NAME&targetValues={victim}-site",
                f"venName={victim}-site",
                f"venID={theirs['vens']}",
                f"clientName={victim}",
                f"eventID={theirs['events']}",
                f"resourceName={victim}-pv",
                "skip=0&limit=50&programID=*",
                f"access_token={self._owners[victim].token}",
            ]
        )
        root, kind = random.choice(VERSIONS), random.choice(KINDS)
        path = f"{root}/{kind}"
        if root.endswith("3.0.1") and kind == "resources":
            path = f"{root}/vens/{theirs['vens']}/resources"
        return Attempt(
            door="openadr_vtn",
            how=f"a list of another's {kind}",
            method="GET",
            path=f"{path}?{query}",
            headers=self._owners[thief].headers
            | random.choice([{}, {"X-Forwarded-For": "127.0.0.1"}, {"X-VEN": f"{victim}-site"}]),
            actor=thief,
            sees=frozenset({thief}),
        )

    def _vtn_token(self, thief: str, victim: str) -> Attempt:
        """The victim's objects with a token that is none, or a token for the victim that is not due."""
        random, root = self._random, self._random.choice(VERSIONS)
        if random.random() < 0.5:
            token = self._credentials(thief, victim, "vtn")
            token = (
                self._mutated(self._owners[victim].token)
                if token == self._owners[victim].token
                else token
            )
            kind = random.choice(KINDS)
            return Attempt(
                door="openadr_vtn",
                how="a token that is none",
                method=random.choice(METHODS),
                path=f"{root}/{kind}/{self._owners[victim].objects.get(kind, 'x')}",
                headers={
                    "Authorization": random.choice(["Bearer ", "bearer  ", "Token "]) + quote(token)
                },
            )
        secret = self._credentials(thief, victim, "vtn")
        form = (
            f"grant_type=client_credentials&client_id=client-{victim}&client_secret={quote(secret)}"
        )
        return Attempt(
            door="openadr_vtn",
            how="another's name with a secret that is not its",
            method="POST",
            path=f"{root}/auth/token",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=form.encode(),
        )

    def _vtn_report(self, thief: str, victim: str) -> Attempt:
        """A report on the victim's event, program or device."""
        random = self._random
        mine, theirs = self._owners[thief].objects, self._owners[victim].objects
        report = a_report(self._world, thief, mine, kw=random.uniform(-9, 9)) | {
            "reportName": "none"
        }
        spoilt = random.choice(["event", "device", "program", "client"])
        if spoilt == "event":
            report["eventID"] = theirs["events"]
        elif spoilt == "device":
            report["resources"][0]["resourceName"] = f"{victim}-pv"
        elif spoilt == "program":
            report["programID"] = theirs["programs"]
        else:
            report["clientName"] = victim
        return Attempt(
            door="openadr_vtn",
            how=f"a report with another's {spoilt}",
            method="POST",
            path=f"{random.choice(VERSIONS)}/reports",
            headers=self._owners[thief].headers | {"Content-Type": "application/json"},
            body=json.dumps(report).encode(),
            actor=thief,
            sees=frozenset({thief}),
        )

    # ------------------------------------------------------------ HTTP devices

    def _push_body(self, victim: str) -> bytes:
        random = self._random
        bodies = [
            {"time": "2026-01-01T00:00:00Z", "power_kw": 7.0},
            {"id": f"command-{victim}", "accepted": False, "reason": "none"},
            {"device": f"{victim}-bess", "power_kw": random.uniform(-99, 99)},
            [{"device": f"{victim}-bess", "power_kw": 5}],
        ]
        return json.dumps(random.choice(bodies)).encode()

    def _push_other(self, thief: str, victim: str) -> Attempt:
        """The victim's device over the thief's own gateway."""
        name = self._random.choice(
            [f"{victim}-bess", f"{victim}-pv", f"{victim}-meter", self._mutated(f"{victim}-bess")]
        )
        leaf = self._random.choice(["", "/answer", "/command"])
        return Attempt(
            door="http_devices",
            how="another's device over one's own gateway",
            method="POST",
            path=f"/push/{thief}-gateway/devices/{quote(name, safe='')}{leaf}",
            headers={"Authorization": f"Bearer {secret_of(thief, 'push')}"},
            body=self._push_body(victim),
            actor=thief,
            sees=frozenset({thief}),
        )

    def _push_credentials(self, thief: str, victim: str) -> Attempt:
        random, token = self._random, self._credentials(thief, victim, "push")
        get, gateway = random.random() < 0.5, f"{victim}-gateway"
        if random.random() < 0.3:
            gateway, token = self._mutated(gateway).strip("./") or "none", secret_of(thief, "push")
        return Attempt(
            door="http_devices",
            how="another's gateway with a token that is not its",
            method="GET" if get else "POST",
            path=f"/push/{victim}-gateway"
            + ("?after=0&wait_s=0" if get else f"/devices/{victim}-bess"),
            headers={"Authorization": random.choice(["Bearer ", "Basic ", ""]) + quote(token)},
            body=None if get else self._push_body(victim),
            twin="a token that is not its",
        )

    def _push_path(self, thief: str, victim: str) -> Attempt:
        """One's own gateway by a path that leads to another's, or to none at all."""
        path = self._random.choice(
            [
                f"/push/{thief}-gateway/../{victim}-gateway",
                f"/push/{thief}-gateway%2F..%2F{victim}-gateway",
                f"/push//{victim}-gateway",
                f"/push/{thief}-gateway;{victim}-gateway",
                f"/push/{victim}-gateway/?gateway={thief}-gateway",
                f"/push/{victim}-gatewa%79",
                f"/PUSH/{victim}-gateway",
            ]
        )
        return Attempt(
            door="http_devices",
            how="a path that leads elsewhere",
            method=self._random.choice(["GET", "POST"]),
            path=path,
            headers={
                "Authorization": f"Bearer {secret_of(thief, 'push')}",
                "X-HTTP-Method-Override": "GET",
            },
            body=self._push_body(victim),
            actor=thief,
            sees=frozenset({thief}),
        )

    # ------------------------------------------------------------ one-time links

    def _answer(self) -> dict[str, Any]:
        body = self._random.choice(
            [b'{"answer": "accept"}', b'{"answer": "decline", "reason": "no"}']
        )
        return {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": body}

    def _link_unknown(self, thief: str, victim: str) -> Attempt:
        """A link that is none: mutated, made up, or a secret of another door."""
        world, random = self._world, self._random
        token = random.choice(
            [
                self._mutated(world.open[victim]),
                self._mutated(world.used[victim]),
                world.open[victim][:20] + world.open[thief][20:],
                f"{victim}-press-3",
                self._made_up(),
                self._owners[victim].token,
                secret_of(victim, "push"),
            ]
        )
        asks: dict[str, Any] = self._answer() if random.random() < 0.6 else {"method": "GET"}
        return Attempt(
            door="people", how="a link that is none", path="/" + quote(token, safe=""), **asks
        )

    def _link_spent(self, thief: str, victim: str) -> Attempt:
        """A link whose question is over shows nothing; one that was answered takes no second answer."""
        if self._random.random() < 0.5:
            asks: dict[str, Any] = (
                self._answer() if self._random.random() < 0.5 else {"method": "GET"}
            )
            return Attempt(
                door="people",
                how="a link that is too late",
                path=f"/{self._world.late[victim]}",
                **asks,
            )
        return Attempt(
            door="people",
            how="a link that was used",
            path=f"/{self._world.used[victim]}",
            sees=frozenset({victim}),
            **self._answer(),
        )

    def _link_robot(self, thief: str, victim: str) -> Attempt:
        """Whoever looks at a letter's links before its person does."""
        return Attempt(
            door="people",
            how="a robot that looks",
            method=self._random.choice(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]),
            path=f"/{self._world.open[victim]}"
            + self._random.choice(["", "?answer=accept", "?lang=zh"]),
            headers={"User-Agent": "LinkPreview/1.0", "Purpose": "prefetch"},
            sees=frozenset({victim}),
        )

    # ------------------------------------------------------------ charging stations and S2

    def _station_credentials(self, thief: str, victim: str) -> Attempt:
        """The victim's station, or one that is not known, with credentials that are not its."""
        random = self._random
        name = random.choice([f"cp-{victim}", f"cp-{victim}", self._mutated(f"cp-{victim}") or "x"])
        user = random.choice([f"cp-{victim}", f"cp-{thief}", ""])
        header = random.choice(
            [
                basic(user, self._credentials(thief, victim, "ocpp")),
                f"Bearer {secret_of(victim, 'ocpp')}",
                "",
            ]
        )
        return Attempt(
            door="ocpp",
            how="another's station with credentials that are not its",
            method="WS",
            path=f"/ocpp/{quote(name, safe='')}",
            headers={"Authorization": header, "Sec-WebSocket-Protocol": "ocpp1.6"},
            calls=(
                ("BootNotification", {"chargePointVendor": "x", "chargePointModel": "x"}),
                ("StopTransaction", self._stop(victim)),
            ),
        )

    def _stop(self, victim: str) -> dict[str, Any]:
        now = self._world.plant.clock.now().isoformat()
        return {"transactionId": self._owners[victim].transaction, "meterStop": 9, "timestamp": now}

    def _station_calls(self, thief: str, victim: str) -> Attempt:
        """What is the victim's, said over the thief's own standing connection."""
        theirs, card = self._owners[victim].transaction, self._world.canaries[victim]
        now = self._world.plant.clock.now().isoformat()
        samples = [
            {
                "timestamp": now,
                "sampledValue": [{"value": "7000", "measurand": "Power.Active.Import"}],
            }
        ]
        call: tuple[str, Any] = self._random.choice(
            [
                ("StopTransaction", self._stop(victim)),
                ("MeterValues", {"connectorId": 1, "transactionId": theirs, "meterValue": samples}),
                ("Authorize", {"idTag": card}),
                ("DataTransfer", {"vendorId": f"cp-{victim}", "data": str(theirs)}),
                (
                    "StopTransaction",
                    self._stop(victim)
                    | {"transactionId": theirs + self._random.randrange(-2, 3), "idTag": card},
                ),
            ]
        )
        return Attempt(
            door="ocpp",
            how="another's transaction over one's own station",
            method="CALL",
            path="",
            actor=thief,
            sees=frozenset({thief}),
            calls=(call,),
        )

    def _s2_credentials(self, thief: str, victim: str) -> Attempt:
        token = self._credentials(thief, victim, "s2")
        name = self._random.choice([f"{victim}-cell", self._mutated(f"{victim}-cell") or "x"])
        return Attempt(
            door="s2",
            how="another's S2 device with a token that is not its",
            method="WS",
            path=f"/s2/{quote(name, safe='')}",
            headers={"Authorization": f"Bearer {quote(token)}"},
            calls=(("Handshake", {"role": "RM"}),),
        )

    def _wrong_door(self, thief: str, victim: str) -> Attempt:
        """A path of one door, with what opens it, at another."""
        door = self._random.choice(["openadr_vtn", "people", "s2", "ocpp", "http_devices"])
        path, opens = self._random.choice(
            [
                (f"/push/{victim}-gateway", secret_of(victim, "push")),
                (f"{VERSIONS[0]}/events", self._owners[victim].token),
                (f"/s2/{victim}-cell", secret_of(victim, "s2")),
                (f"/ocpp/cp-{victim}", secret_of(victim, "ocpp")),
                ("/v1/resources", ""),
                ("/metrics", ""),
                ("/openapi.json", ""),
            ]
        )
        right = {"/push": "http_devices", "/open": "openadr_vtn"}.get(path[:5])
        opened = victim if right == door else None
        return Attempt(
            door=door,
            how="what opens another door",
            method=self._random.choice(["GET", "POST"]) if opened is None else "GET",
            path=path,
            headers={"Authorization": f"Bearer {opens}"},
            actor=opened,
            sees=frozenset() if opened is None else frozenset({opened}),
        )
