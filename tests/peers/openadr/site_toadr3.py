"""Be a site of a server of OpenADR 3.0 with toadr3: `site_toadr3.py URL PORT`, prints what came of it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import toadr3
from aiohttp import web
from toadr3.models import ObjectOperation, Report, Subscription

SECRET = "steel-secret-0123456789"


async def status_of(question: Any) -> int:
    """What a refusal is answered with; toadr3 turns a 404 into None."""
    try:
        return 404 if await question is None else 200
    except toadr3.ToadrError as error:
        return int(error.status_code)


def wish(url: str, program_id: str) -> Subscription:
    asked = ObjectOperation(
        objects=["EVENT"],
        operations=["POST", "PUT", "DELETE"],
        callback_url=url,
        bearer_token="knock",
    )
    return Subscription(client_name="steel", program_id=program_id, object_operations=[asked])


async def main(url: str, port: int) -> None:
    heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        await heard.put((request.headers.get("Authorization", ""), await request.json()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/told", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    access = toadr3.OAuthConfig(
        token_url=f"{url}/auth/token",
        grant_type="client_credentials",
        claims={"scope": "read_all write_reports write_subscriptions"},
        client_id="steel",
        client_secret=SECRET,
    )
    async with toadr3.ToadrClient(vtn_url=url, oauth_config=access) as client:
        programs, events = await client.get_programs(), await client.get_events()
        (asks,) = [event for event in events if event.report_descriptors]
        report = Report.create_report(asks, "steel", "READING", [40.0], report_name="r-1")
        report.resources[0].interval_period.duration = asks.interval_period.duration * 0
        await client.post_report(report)
        (program,) = programs
        mine = await client.post_subscription(wish(f"http://127.0.0.1:{port}/told", program.id))
        knock, told = await asyncio.wait_for(heard.get(), 20)
        refused = [
            await status_of(client.put_program(program.id, program)),
            await status_of(client.get_subscription("0" * 32)),
            await status_of(client.post_subscription(wish("http://169.254.169.254/x", program.id))),
        ]
        reports = await client.get_reports()
        await client.delete_subscription(mine.id)
        assert await client.get_subscriptions() == []
    await runner.cleanup()
    said = {
        "programs": [one.program_name for one in programs],
        "events": [
            [
                event.id,
                event.priority,
                [
                    [payload.type, payload.values]
                    for interval in event.intervals
                    for payload in interval.payloads
                ],
            ]
            for event in events
        ],
        "notified": [
            [
                told["objectType"],
                told["operation"],
                told["object"]["intervals"][0]["payloads"][0]["values"][0],
            ]
        ],
        "knocks": [knock],
        "refused": refused,
        "reports": len(reports),
    }
    sys.stdout.write(f"RESULT {json.dumps(said)}\n")


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
