"""Read a server of OpenADR 3.1 with python-oa3-client and print what it says: `read_oa3.py URL`."""

from __future__ import annotations

import json
import sys

from openadr3_client import VenClient


def main(url: str) -> None:
    client = VenClient(url=url, client_id="us", client_secret="secret")
    client.start()
    programs, events = client.programs(), client.events()
    client.stop()
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
    }
    sys.stdout.write(f"RESULT {json.dumps(told, default=float)}\n")


main(sys.argv[1])
