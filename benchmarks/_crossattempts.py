"""Requests that cross from one owner to another: stolen, others', expired and mutated credentials and ids, from a seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from urllib.parse import quote

from benchmarks._crossloot import Attempt
from benchmarks._crossopenadr import VERSIONS, OpenAdrAttempts
from benchmarks._crossowners import Owner, basic
from benchmarks._crosspark import OWNERS, World, secret_of


class Attempts(OpenAdrAttempts):
    """Makes them, one door at a time."""

    def __init__(self, world: World, owners: Mapping[str, Owner], random: Random) -> None:
        super().__init__(world, owners, random)
        self._makers: tuple[tuple[int, Callable[[str, str], Attempt]], ...] = (
            (20, self._vtn_object),
            (6, self._vtn_list),
            (12, self._vtn_token),
            (3, self._vtn_scope),
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
            refused=False,
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
            refused=False,
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
            refused=False,
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
            refused=False,
            method=self._random.choice(["GET", "POST"]) if opened is None else "GET",
            path=path,
            headers={"Authorization": f"Bearer {opens}"},
            actor=opened,
            sees=frozenset() if opened is None else frozenset({opened}),
        )
