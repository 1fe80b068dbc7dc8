"""Loops in step with the clock, started together and stopped in good order."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from time import perf_counter
from traceback import format_exception

import msgspec
import structlog

from vpp.clock import Clock
from vpp.errors import UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.measurement import Measurement, MeterReading
from vpp.model.time import latest_boundary
from vpp.sense.decode import MAX_BYTES, Refusal, RefusalReason
from vpp.service import correlation
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.wire import AckMessage

Loop = Callable[[asyncio.Event], Awaitable[None]]
Cycle = Callable[[Plant, datetime], Awaitable[None]]

LAG_PROBE_S = 0.02
_decode_ack = msgspec.json.Decoder(AckMessage).decode
log = structlog.get_logger("vpp")


async def run(loops: Mapping[str, Loop], stop: asyncio.Event, *, grace: timedelta) -> None:
    """Start every loop and return when all have ended.

    A loop that raises ends the others and the daemon: half a power plant must not go on bidding. On
    `stop` each loop may finish the cycle it is in, within `grace`.
    """

    async def guarded(name: str, loop: Loop) -> None:
        await loop(stop)
        if not stop.is_set():
            raise RuntimeError(f"loop {name} ended by itself; it must run until stop is set")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(guarded(*item), name=item[0]) for item in loops.items()]
        await stop.wait()
        _, late = await asyncio.wait(tasks, timeout=grace.total_seconds())
        for task in late:
            log.warning("loop did not stop in time and is cancelled", loop=task.get_name())
            task.cancel()


async def every(
    step: timedelta,
    cycle: Cycle,
    plant: Plant,
    *,
    clock: Clock,
    stop: asyncio.Event,
    offset: timedelta = timedelta(0),
) -> None:
    """Call `cycle(plant, boundary)` on each multiple of `step` (plus `offset`) until `stop`.

        08:00     08:15     08:30     08:45     09:00
          [ 08:00 ───────────────── ]                     overruns until 08:40
                                    [ 08:30 ]             the newest, late; 08:15 is skipped
                                              [ 08:45 ]   in step again

    Starts at once, with the running interval. What an overrun missed is not queued: a plan for a
    quarter-hour that has passed is worth nothing.
    """
    name = cycle.__name__
    due = latest_boundary(clock.now() - offset, step) + offset
    while await clock.wait_until(due, stop):
        began = perf_counter()
        await cycle(plant, due)
        plant.metrics.cycle(name, perf_counter() - began)
        following = max(due + step, latest_boundary(clock.now() - offset, step) + offset)
        if skipped := (following - due) // step - 1:
            plant.metrics.skipped(name, skipped)
            plant.events.emit(
                "skipped",
                f"the {name} cycle of {due} overran: {skipped} skipped",
                at=clock.now(),
                severity=Severity.WARNING,
                cycle=name,
            )
        due = following


def keep_start() -> None:
    """Tell the collector that what stands now stays: call it once, when all is open.

    Otherwise it walks imported modules and history again at every full collection, and the event
    loop stands for a tenth of a second while it does. It makes one where many objects came beside those it
    knows of; what stays it does not know of any more, so that is said to it, and it waits until as many came:
    else it would walk all that is known of a large park several times while each reading is replaced by the next.
    """
    gc.collect()
    gc.freeze()
    youngest, young, old = gc.get_threshold()
    gc.set_threshold(youngest, young, max(old, gc.get_freeze_count() // (youngest * young)))


async def listen(plant: Plant, stop: asyncio.Event) -> None:
    """Take telemetry from the link into intake, means, meters and historian until `stop`.

    A message that breaks the reader costs itself alone: the reader is told as failed and begins anew.

    Raises:
        UnavailableError: The message source has ended.
    """
    stopped = asyncio.create_task(stop.wait(), name="listen-stop")
    reading: asyncio.Task[None] | None = None
    try:
        while not stopped.done():
            reading = asyncio.create_task(_read(plant), name="listen-read")
            await asyncio.wait({stopped, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return
            if (error := reading.exception()) is None:
                raise UnavailableError(
                    "the message source ended", where="telemetry", fix="See the link's last fault"
                )
            _tell_failed(plant, error)
            await asyncio.sleep(0)  # whoever cancels us must be heard though every message fails
    finally:  # also where whoever listens is cancelled: nothing of it stays behind
        stopped.cancel()
        tasks = [stopped] if reading is None else [stopped, reading]
        if reading is not None:
            reading.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell_failed(plant: Plant, error: BaseException) -> None:
    """An error of ours at one message: told once a minute, counted each time."""
    now = plant.clock.now()
    plant.metrics.telemetry_refused("failed")
    told_at = plant.reader_failed_at
    if told_at is None or now - told_at >= timedelta(minutes=1):
        plant.reader_failed_at = now
        plant.events.emit(
            "reader",
            f"a message could not be taken: {type(error).__name__}: {error}"[:300],
            at=now,
            severity=Severity.ALARM,
        )
        # As plain text: a renderer that shows local variables would hold the event loop for seconds.
        log.error("a message could not be taken", trace="".join(format_exception(error))[-2000:])


async def _read(plant: Plant) -> None:
    async for message in plant.source.messages():
        if message.topic.endswith("/telemetry"):
            take(plant, message.topic, message.payload)
        elif message.topic.endswith("/ack"):
            take_ack(plant, message.topic, message.payload)


def take_ack(plant: Plant, topic: str, payload: bytes) -> None:
    """Take a device's answer to a command; one that refuses is told once, until it obeys again."""
    enterprise_id, site_id, device_id = topic.split("/")[2:5]
    device = ResourceId(device_id)
    if len(payload) > MAX_BYTES:
        plant.metrics.telemetry_refused(RefusalReason.TOO_LARGE.value)
        return
    try:
        ack = _decode_ack(payload)
    except (ValueError, RecursionError):  # malformed, not UTF-8, nested without end
        plant.metrics.telemetry_refused(RefusalReason.NOT_JSON.value)
        return
    if plant.file.park.device_owner.get(device) != (enterprise_id, site_id):
        plant.metrics.telemetry_refused(RefusalReason.FOREIGN_DEVICE.value)
        return
    plant.lives.acknowledge(
        device, ack.seq, plant.clock.now(), accepted=ack.accepted, reason=(ack.reason or "")[:200]
    )
    correlation.tell_ack(
        plant, device, seq=ack.seq, accepted=ack.accepted, reason=(ack.reason or "")[:200]
    )
    if ack.accepted:
        plant.refusing.discard(device)
        return
    plant.metrics.setpoint_rejected()
    plant.acting.refused.add(device)
    if device not in plant.refusing:
        plant.refusing.add(device)
        plant.events.emit_of_one(
            "setpoint_refused",
            f"{device} refuses {ack.command_id}: {(ack.reason or 'no reason given')[:200]}",
            at=plant.clock.now(),
            severity=Severity.WARNING,
            resource_id=device,
        )


def take(plant: Plant, topic: str, payload: bytes) -> None:
    """Take one telemetry message: refuse and count it, or hand it to whoever needs it."""
    now = plant.clock.now()
    taken = plant.intake.accept(topic, payload, now)
    if isinstance(taken, Refusal):
        plant.metrics.telemetry_refused(taken.reason.value)
        if taken.first:  # say it once per source, not at every message
            plant.events.emit_of_one(
                "telemetry_refused", str(taken), at=now, severity=Severity.WARNING, topic=topic
            )
        return
    plant.metrics.telemetry_accepted()
    if taken is None:
        plant.metrics.telemetry_duplicate()
        return
    if plant.intake.plausibility.has_news:
        _tell_doubts(plant, now)
    if isinstance(taken, MeterReading):
        plant.meters.add(taken)
        device_id = taken.meter_id
    else:
        if taken.resource_id in plant.learnt and taken.doubt is None:
            plant.means.add(taken)
        device_id = taken.resource_id
    _record(plant, taken, now)
    if device_id == plant.awaited:
        plant.arrived.set()


def _tell_doubts(plant: Plant, now: datetime) -> None:
    """Say once what is not believed any more, and once that it is again."""
    for device_id, doubt in plant.intake.plausibility.news():
        plant.events.emit_of_one(
            "telemetry_doubted",
            f"{device_id} is believed again" if doubt is None else f"{device_id}: {doubt}",
            at=now,
            severity=Severity.INFO if doubt is None else Severity.ALARM,
            resource_id=device_id,
        )


def _record(plant: Plant, taken: Measurement, now: datetime) -> None:
    """Hand a measurement to the historian; that it has no room is told once, and counted."""
    if plant.record(taken):
        plant.historian_full = False
        return
    plant.metrics.telemetry_unrecorded()
    if not plant.historian_full:
        plant.events.emit(
            "historian",
            "the historian has no room: measurements are used and not recorded",
            at=now,
            severity=Severity.ALARM,
        )
    plant.historian_full = True


async def probe_lag(plant: Plant, stop: asyncio.Event) -> None:
    """Measure how late the event loop is: what a request would wait for."""
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        due = loop.time() + LAG_PROBE_S
        try:
            await asyncio.wait_for(stop.wait(), LAG_PROBE_S)
        except TimeoutError:
            lag = max(loop.time() - due, 0.0)
            plant.lag_s.append(lag)
            plant.metrics.loop_lag(lag)


async def until_heard(plant: Plant, sequence: Mapping[str, int], *, timeout_s: float) -> None:
    """Wait until the newest message of each device named has been taken.

    Raises:
        UnavailableError: A device's message did not arrive within `timeout_s` of wall time.
    """
    missing = [(ResourceId(name), seq) for name, seq in sequence.items()]
    try:
        async with asyncio.timeout(timeout_s):
            while missing:
                device_id, seq = missing[-1]
                if plant.intake.newest_seq(device_id) >= seq:
                    missing.pop()
                    continue
                plant.awaited = device_id
                plant.arrived.clear()
                await plant.arrived.wait()
    except TimeoutError as error:
        raise UnavailableError(
            f"{len(missing)} devices were not heard, {missing[-1][0]} among them",
            where="lockstep",
            fix="Look at the broker and at refused telemetry",
        ) from error
