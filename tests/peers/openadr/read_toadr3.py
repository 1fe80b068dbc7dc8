"""Read a server of OpenADR 3.0 with toadr3 and print what it says: `read_toadr3.py URL`."""

from __future__ import annotations

import asyncio
import json
import sys

import toadr3


async def main(url: str) -> None:
    access = toadr3.OAuthConfig(
        token_url=f"{url}/auth/token",
        grant_type="client_credentials",
        claims={"scope": "read_all"},
        client_id="us",
        client_secret="secret",
    )
    client = toadr3.ToadrClient(vtn_url=url, oauth_config=access)
    try:
        programs = await client.get_programs()
        events = await client.get_events()
    finally:
        await client.close()
    told = {
        "programs": [program.program_name for program in programs],
        "events": [
            [
                event.id,
                event.priority,
                [
                    [
                        payload.type.value if hasattr(payload.type, "value") else payload.type,
                        payload.values,
                    ]
                    for interval in event.intervals
                    for payload in interval.payloads
                ],
            ]
            for event in events
        ],
    }
    sys.stdout.write(f"RESULT {json.dumps(told)}\n")


asyncio.run(main(sys.argv[1]))
