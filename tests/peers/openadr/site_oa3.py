"""Be a site of a server of OpenADR 3.1 with python-oa3-client: `site_oa3.py URL PORT`, prints what came of it."""

from __future__ import annotations

import json
import sys

from openadr3_client import VenClient

PROGRAM, SECRET = "oadr://flex", "steel-secret-0123456789"


def main(url: str, port: int) -> None:
    client = VenClient(url=url, client_id="steel", client_secret=SECRET)
    client.start()
    client.register("steel")
    programs, events = client.programs(), client.events()
    (asks,) = [event for event in events if event.report_descriptors]
    interval = {
        "id": 0,
        "intervalPeriod": {"start": "2026-03-01T12:00:00Z", "duration": "PT1M"},
        "payloads": [{"type": "READING", "values": [40.0]}],
    }
    report = {
        "objectType": "REPORT",
        "eventID": asks.id,
        "clientName": "steel",
        "resources": [{"resourceName": "bess", "intervals": [interval]}],
    }
    client.api.create_report(report).raise_for_status()
    hook = client.add_webhook(host="127.0.0.1", port=port, bearer_token="knock")
    hook.start()
    client.subscribe([PROGRAM], ["EVENT"], ["CREATE", "UPDATE", "DELETE"], hook)
    heard = hook.await_messages(1, timeout=20)
    unnamed = {
        "clientName": "steel",
        "objectOperations": [
            {
                "objects": ["EVENT"],
                "operations": ["CREATE"],
                "callbackUrl": "http://169.254.169.254/x",
            }
        ],
    }
    refused = [
        client.api.create_program({"programName": "mine"}).status_code,
        client.api.get_report_by_id("0" * 32).status_code,
        client.api.create_subscription(unnamed).status_code,
    ]
    told = {
        "programs": [program.program_name for program in programs],
        "events": [
            [
                event.id,
                event.priority,
                [[p.type, p.values] for interval in event.intervals for p in interval.payloads],
            ]
            for event in events
        ],
        "notified": [
            [
                one.payload.object_type,
                one.payload.operation,
                one.payload.object.intervals[0].payloads[0].values[0],
            ]
            for one in heard
        ],
        "knocks": ["Bearer knock"] * len(heard),  # its receiver takes no other
        "refused": refused,
        "reports": len(client.reports()),
    }
    client.stop()
    sys.stdout.write(f"RESULT {json.dumps(told, default=float)}\n")


main(sys.argv[1], int(sys.argv[2]))
