"""An instruction in words: for the control room, and as a message to its person in both languages."""

from __future__ import annotations

from typing import assert_never

from vpp.model.instruction import Instruction, Reason, Why
from vpp.model.message import InBoth, PersonMessage, Topic
from vpp.model.time import isoformat


def words_of(instruction: Instruction) -> str:
    """What is asked of whom, for the control room."""
    window = instruction.window
    return (
        f"{instruction.person_id} is asked to turn {instruction.resource_id} down by"
        f" {instruction.amount_kw:g} kW from {isoformat(window.start)} to {isoformat(window.end)},"
        f" answer by {isoformat(instruction.answer_by)}"
    )


def message_of(instruction: Instruction, topic: Topic, place: str) -> PersonMessage:
    """What its person is told; of one topic there is one message."""
    return PersonMessage(
        message_id=f"{instruction.instruction_id}.{topic}",
        instruction_id=instruction.instruction_id,
        person_id=instruction.person_id,
        topic=topic,
        place=place,
        change_kw=instruction.amount_kw,  # less draw is more net injection
        window=instruction.window,
        answer_by=instruction.answer_by,
        why=why_in_both(instruction.why),
    )


def why_in_both(why: Why) -> InBoth:
    """The reason as a person at the machine understands it."""
    match why.reason:
        case Reason.DEMAND_RESPONSE:
            return InBoth(
                zh=f"需求响应 {why.reference}（负荷管理平台已确认）",
                en=f"demand response {why.reference}, confirmed by the load-management platform",
            )
        case Reason.PLAN:
            return InBoth(
                zh="电价较高，园区计划在此时段减少用电",
                en="energy is dear then, and the park's plan draws less",
            )
        case Reason.OPERATOR:
            return InBoth(zh=f"控制室请求：{why.words}", en=f"the control room asks: {why.words}")
        case _:
            assert_never(why.reason)
