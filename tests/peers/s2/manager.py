"""s2-python as the resource manager of a battery and of a roof: follows what it is told, tells what it was told.

Arguments: the address up to the device's name, the token, `frbc` or `pebc`. Prints each instruction as JSON;
ends with its standard input, or when the session is ended.
"""

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime

from s2python.common import (
    Commodity,
    CommodityQuantity,
    ControlType,
    Duration,
    InstructionStatus,
    InstructionStatusUpdate,
    NumberRange,
    PowerMeasurement,
    PowerRange,
    PowerValue,
    Role,
    RoleType,
    SessionRequest,
    Transition,
)
from s2python.connection import AssetDetails
from s2python.connection.async_ import S2AsyncConnection
from s2python.connection.async_.control_type.class_based import (
    FRBCControlType,
    PEBCControlType,
    ResourceManagerHandler,
)
from s2python.connection.async_.medium.websocket import WebsocketClientMedium
from s2python.frbc import (
    FRBCActuatorDescription,
    FRBCActuatorStatus,
    FRBCOperationMode,
    FRBCOperationModeElement,
    FRBCStorageDescription,
    FRBCStorageStatus,
    FRBCSystemDescription,
)
from s2python.pebc import (
    PEBCAllowedLimitRange,
    PEBCPowerConstraints,
    PEBCPowerEnvelopeConsequenceType,
    PEBCPowerEnvelopeLimitType,
)

L1 = CommodityQuantity.ELECTRIC_POWER_L1


def say(**what: object) -> None:
    """One line to whoever started us."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def measured(connection: S2AsyncConnection, watts: float) -> None:
    """Tell the power."""
    await connection.send_msg_and_await_reception_status(
        PowerMeasurement(
            message_id=uuid.uuid4(),
            measurement_timestamp=datetime.now(UTC),
            values=[PowerValue(commodity_quantity=L1, value=watts)],
        )
    )


async def progress(
    connection: S2AsyncConnection, instruction: object, status: InstructionStatus
) -> None:
    """Tell how far an instruction has come."""
    await connection.send_msg_and_await_reception_status(
        InstructionStatusUpdate(
            message_id=uuid.uuid4(),
            instruction_id=instruction.id,
            status_type=status,
            timestamp=datetime.now(UTC),
        )
    )


class Battery(FRBCControlType):
    """10 kW either way."""

    def __init__(self) -> None:
        self.idle, self.run, self.actuator = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()

    def mode(self, name: uuid.UUID, watts: float, rate: float) -> FRBCOperationMode:
        element = FRBCOperationModeElement(
            fill_level_range=NumberRange(start_of_range=0, end_of_range=100),
            fill_rate=NumberRange(start_of_range=-rate, end_of_range=rate),
            power_ranges=[
                PowerRange(start_of_range=-watts, end_of_range=watts, commodity_quantity=L1)
            ],
        )
        return FRBCOperationMode(id=name, elements=[element], abnormal_condition_only=False)

    def way(self, a: uuid.UUID, b: uuid.UUID) -> Transition:
        return Transition(
            id=uuid.uuid4(),
            from_=a,
            to=b,
            start_timers=[],
            blocking_timers=[],
            abnormal_condition_only=False,
        )

    async def status(self, connection: S2AsyncConnection, mode: uuid.UUID, factor: float) -> None:
        await connection.send_msg_and_await_reception_status(
            FRBCActuatorStatus(
                message_id=uuid.uuid4(),
                actuator_id=self.actuator,
                active_operation_mode_id=mode,
                operation_mode_factor=factor,
            )
        )

    async def activate(self, connection: S2AsyncConnection) -> None:
        say(activated="frbc")
        await connection.send_msg_and_await_reception_status(
            FRBCSystemDescription(
                message_id=uuid.uuid4(),
                valid_from=datetime.now(UTC),
                actuators=[
                    FRBCActuatorDescription(
                        id=self.actuator,
                        operation_modes=[
                            self.mode(self.idle, 0, 0),
                            self.mode(self.run, 10_000, 0.03),
                        ],
                        transitions=[self.way(self.idle, self.run), self.way(self.run, self.idle)],
                        timers=[],
                        supported_commodities=[Commodity.ELECTRICITY],
                    )
                ],
                storage=FRBCStorageDescription(
                    fill_level_range=NumberRange(start_of_range=0, end_of_range=100),
                    provides_fill_level_target_profile=False,
                    provides_leakage_behaviour=False,
                    provides_usage_forecast=False,
                ),
            )
        )
        await connection.send_msg_and_await_reception_status(
            FRBCStorageStatus(message_id=uuid.uuid4(), present_fill_level=55.0)
        )
        await self.status(connection, self.idle, 0)
        await measured(connection, 0)

    async def deactivate(self, connection: S2AsyncConnection) -> None:
        say(deactivated="frbc")

    async def handle_instruction(self, connection, msg, send_okay) -> None:
        await send_okay()
        later = msg.execution_time > datetime.now(UTC)
        factor = msg.operation_mode_factor
        watts = 0 if msg.operation_mode == self.idle else -10_000 + 20_000 * factor
        say(instruction="frbc", watts=watts, later=later)
        await progress(connection, msg, InstructionStatus.ACCEPTED)
        if not later:
            await self.status(connection, msg.operation_mode, factor)
            await measured(connection, watts)


class Roof(PEBCControlType):
    """10 kW of panels."""

    async def activate(self, connection: S2AsyncConnection) -> None:
        say(activated="pebc")

        def allowed(
            kind: PEBCPowerEnvelopeLimitType, low: float, high: float
        ) -> PEBCAllowedLimitRange:
            return PEBCAllowedLimitRange(
                commodity_quantity=L1,
                limit_type=kind,
                range_boundary=NumberRange(start_of_range=low, end_of_range=high),
                abnormal_condition_only=False,
            )

        await connection.send_msg_and_await_reception_status(
            PEBCPowerConstraints(
                message_id=uuid.uuid4(),
                id=uuid.uuid4(),
                valid_from=datetime.now(UTC),
                consequence_type=PEBCPowerEnvelopeConsequenceType.VANISH,
                allowed_limit_ranges=[
                    allowed(PEBCPowerEnvelopeLimitType.LOWER_LIMIT, -10_000, 0),
                    allowed(PEBCPowerEnvelopeLimitType.UPPER_LIMIT, 0, 0),
                ],
            )
        )
        await measured(connection, -8000)

    async def deactivate(self, connection: S2AsyncConnection) -> None:
        say(deactivated="pebc")

    async def handle_instruction(self, connection, msg, send_okay) -> None:
        await send_okay()
        (envelope,) = msg.power_envelopes
        (element,) = envelope.power_envelope_elements
        say(instruction="pebc", lower=element.lower_limit, lasts_ms=element.duration.root)
        await progress(connection, msg, InstructionStatus.STARTED)
        await measured(connection, max(-8000, element.lower_limit))


async def main(address: str, token: str, kind: str) -> None:
    details = AssetDetails(
        resource_id=uuid.uuid4(),
        provides_forecast=False,
        provides_power_measurements=[L1],
        instruction_processing_delay=Duration.from_milliseconds(20),
        roles=[Role(role=RoleType.ENERGY_STORAGE, commodity=Commodity.ELECTRICITY)],
    )
    control = Battery() if kind == "frbc" else Roof()
    async with WebsocketClientMedium(address, bearer_token=token) as medium:
        connection = S2AsyncConnection(medium)

        async def ended(_, request, send_okay) -> None:
            await send_okay()
            say(session=request.request.value)
            await connection.stop()

        ResourceManagerHandler([control], details).register_handlers(connection)
        connection.register_handler(SessionRequest, ended)
        await connection.run()
    say(ended=ControlType.NO_SELECTION.value)


asyncio.run(main(*sys.argv[1:]))
