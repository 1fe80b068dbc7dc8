"""Requests across owners to the OpenADR server: others' objects, lists, tokens and reports."""

from __future__ import annotations

import json
from urllib.parse import quote

from benchmarks._crossloot import Attempt, Loot
from benchmarks._crossowners import a_report
from benchmarks._crosspark import secret_of

VERSIONS = ("/openadr3/3.1.0", "/openadr3/3.0.1")
KINDS = ("programs", "events", "vens", "resources", "reports", "subscriptions")
METHODS = ("GET", "POST", "PUT", "DELETE")


class OpenAdrAttempts(Loot):
    """Makes those."""

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
            refused=False,
            method="GET",
            path=f"{path}?{query}",
            headers=self._owners[thief].headers
            | random.choice([{}, {"X-Forwarded-For": "127.0.0.1"}, {"X-VEN": f"{victim}-site"}]),
            actor=thief,
            sees=frozenset({thief}),
        )

    def _vtn_token(self, thief: str, victim: str) -> Attempt:
        """The victim's objects with a token that has ended or is none, or a token for the victim that is not due."""
        random, root = self._random, self._random.choice(VERSIONS)
        if random.random() < 0.6:
            mine = self._owners[victim]
            token = random.choice(
                [mine.ended, mine.ended, self._mutated(mine.token), secret_of(victim, "vtn")]
            )
            kind = random.choice(KINDS)
            name = random.choice(["", f"/{mine.objects.get(kind, 'x')}"])
            scheme = random.choice(["Bearer ", "bearer  ", "Token ", "Bearer "])
            return Attempt(
                door="openadr_vtn",
                how="a token that is none",
                method=random.choice(METHODS) if name else "GET",
                path=f"{root}/{kind}{name}",
                headers={"Authorization": scheme + quote(token)},
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

    def _vtn_scope(self, thief: str, victim: str) -> Attempt:
        """What a token's own client may see, with a token that has not the right to."""
        kind = self._random.choice(KINDS)
        return Attempt(
            door="openadr_vtn",
            how="a token without the right",
            method="GET",
            path=f"{self._random.choice(VERSIONS)}/{kind}"
            + self._random.choice(["", f"/{self._owners[thief].objects.get(kind, 'x')}"]),
            headers={"Authorization": f"Bearer {self._owners[thief].narrow}"},
            actor=thief,
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
            refused=False,
            method="POST",
            path=f"{random.choice(VERSIONS)}/reports",
            headers=self._owners[thief].headers | {"Content-Type": "application/json"},
            body=json.dumps(report).encode(),
            actor=thief,
            sees=frozenset({thief}),
        )
