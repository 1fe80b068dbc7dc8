"""`vpp device test`: read a device, prove that nothing was written, and step it where a person agrees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vpp.account.qualification import Response, TestedPower
from vpp.clock import Clock
from vpp.errors import ConfigError, UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.time import isoformat
from vpp.service.devicetest import record as devicetestrecord
from vpp.service.devicetest.devicetest import Trial, extremes, step_through
from vpp.service.devicetest.reading import DeviceTestOptions, Read, read
from vpp.service.devicetest.wiring import open_bench, open_reader, require_writable
from vpp.service.endings import ended_by_signals
from vpp.service.park.parkfile import ParkFile
from vpp.service.run import listen


@dataclass(slots=True, kw_only=True)
class DeviceReport:
    """What a device test came to."""

    device_id: ResourceId
    kind: str
    channel: str
    read: Read
    proof: str
    trial: Trial | None = None

    @property
    def tested(self) -> TestedPower | None:
        return None if self.trial is None else self.trial.tested

    @property
    def failed(self) -> str | None:
        """Why the test is not passed; None where all that was asked was done."""
        if not self.read.readings:
            return self.read.refusal or "nothing came"
        if self.trial is None or self.trial.stopped is not None or self.trial.responses:
            return None if self.trial is None else self.trial.stopped
        return "it could be stepped no way"

    def document(self) -> dict[str, Any]:
        """As one JSON document: powers in kW net injection, lengths in seconds."""
        told = self.read
        document: dict[str, Any] = {
            "device": self.device_id,
            "kind": self.kind,
            "channel": self.channel,
            "messages": told.messages,
            "refused": dict(told.refused),
            "refused_because": told.refusal,
            "cadence_s": told.cadence_s,
            "age_s": told.age_s,
            "quality": told.quality(),
            "values": {name: _plain(value) for name, value in told.values().items()},
            "read_only": self.proof,
            "failed": self.failed,
        }
        if (trial := self.trial) is not None:
            tested = self.tested
            document |= {
                "stages": [[stage.value, isoformat(at)] for stage, at in trial.stages],
                "runs": [_run(response) for response in trial.responses],
                "skipped": {way.value: why for way, why in trial.skipped.items()},
                "tested_up_kw": None if tested is None else tested.up_kw,
                "tested_down_kw": None if tested is None else tested.down_kw,
                "tested_kw": None if tested is None else tested.tested_kw,
            }
        return document


async def run_device_test(
    file: ParkFile,
    name: ResourceId,
    options: DeviceTestOptions,
    *,
    clock: Clock,
    data: Path,
    broker_url: str | None,
    say: Callable[[str], None],
    agree: Callable[[DeviceReport], bool] | None,
) -> DeviceReport:
    """Read a device, and step it where `agree` says yes to what was read; None: reading is all.

    Raises:
        ConfigError: No such device, no channel, a device that takes no commands or is read-only, or a
            service that runs the park at this moment.
        UnavailableError: A link or the journal cannot be opened.
    """
    resource = file.park.resource_by_id.get(name)
    if agree is not None:
        if resource is None or not extremes(resource):
            raise ConfigError(
                "takes no set-points that can be tested", where=name, fix="Leave --write out"
            )
        require_writable(file, name)
    async with open_reader(file, name, clock=clock, broker_url=broker_url) as reader:
        heard = await read(reader.source, reader.intake, name, clock=clock, options=options)
        report = DeviceReport(
            device_id=name,
            kind="main meter" if resource is None else type(resource).__name__,
            channel=reader.channel,
            read=heard,
            proof=reader.proof(),
        )
        commanded = reader.somebody_commands
    if agree is None or report.failed or resource is None or not agree(report):
        return report
    if commanded:
        raise UnavailableError(
            "somebody else commands it now", where=name, fix="Stop the service that does"
        )
    trial = Trial(resource=resource, clock=clock, options=options, say=say)
    report.trial = trial
    async with open_bench(
        file,
        clock=clock,
        data=data,
        broker_url=broker_url,
        period=options.period,
        ttl=options.ttl,
        recorder=trial,
    ) as plant:
        trial.plant = plant
        await step_while_heard(trial)
        if (tested := trial.tested) is not None:
            await devicetestrecord.keep(plant.journal, name, tested, now=clock.now())
    return report


async def step_while_heard(trial: Trial) -> None:
    """Step the device while its messages are listened to.

    A closed terminal and a stop of the machine end it as Ctrl-C does, or a device without a timer of its
    own would follow its last command for as long as nobody is there. Raises as `listen`.
    """
    stop = asyncio.Event()
    listening = asyncio.create_task(listen(trial.plant, stop), name="device-test-listen")
    with ended_by_signals():
        try:
            await step_through(trial)
        finally:
            stop.set()
            await asyncio.gather(listening, return_exceptions=True)


def _run(response: Response) -> dict[str, Any]:
    step = response.step
    return {
        "direction": step.direction.value,
        "base_kw": round(step.base_kw, 3),
        "target_kw": round(step.target_kw, 3),
        "asked_at": isoformat(step.asked_at),
        "response_s": response.response_s,
        "nearly_s": response.nearly_s,
        "full_s": response.full_s,
        "ramp_kw_per_min": response.ramp_kw_per_min,
        "accuracy": response.accuracy,
        "sustained_s": response.sustained_s,
        "sustained": response.sustained,
        "tested_kw": round(response.tested_kw, 3),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return isoformat(value)
    if isinstance(value, tuple):
        return len(value)  # cars: how many, not who
    return value
