"""What is said to a person, in Chinese and English: the words of mails, receivers and the page, in one place.

Times are those of the park, with its zone named once; a power is told as a size, with the direction in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from vpp.model.message import InBoth, Language, PersonMessage, Topic
from vpp.model.time import Interval

_WEEKDAYS: Mapping[Language, tuple[str, ...]] = {
    "zh": ("一", "二", "三", "四", "五", "六", "日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

SUBJECTS: Mapping[Topic, InBoth] = {
    Topic.ASK: InBoth(zh="请答复：{what}", en="Please answer: {what}"),
    Topic.REMIND: InBoth(zh="提醒，请答复：{what}", en="Reminder, please answer: {what}"),
    Topic.WITHDRAWN: InBoth(zh="已取消：{what}", en="Withdrawn: {what}"),
    Topic.LAPSED: InBoth(zh="未收到答复，已失效：{what}", en="No answer came, lapsed: {what}"),
    Topic.TRIAL: InBoth(zh="测试消息，无需答复", en="A trial: nothing is asked"),
    Topic.ALARM: InBoth(zh="告警：{what}", en="Alarm: {what}"),
}
_ENDINGS: Mapping[Topic, InBoth] = {
    Topic.WITHDRAWN: InBoth(
        zh="该请求已取消，请恢复正常运行，无需答复。",
        en="This is not needed any more: go back to normal. No answer is needed.",
    ),
    Topic.LAPSED: InBoth(
        zh="截止时间前未收到答复，份额已转给他人，您无需执行。",
        en="No answer came in time and others take the share: nothing is expected of you.",
    ),
    Topic.TRIAL: InBoth(
        zh="这是一条测试消息，用于确认您能收到通知。您无需执行任何操作。",
        en="This is a trial, to see that messages reach you. Nothing is asked of you.",
    ),
    Topic.ALARM: InBoth(
        zh="尚无人确认此告警，请在值班台查看并确认。",
        en="Nobody has acknowledged it yet: please look at the desk and acknowledge it there.",
    ),
}
_HELLO = InBoth(zh="{name}，您好：", en="Hello {name},")
_WHEN = InBoth(zh="时间：{window}（{zone}）", en="When: {window} ({zone})")
_WHY = InBoth(zh="原因：{why}", en="Why: {why}")
_ANSWER = InBoth(
    zh="请在 {by} 之前答复（接受、部分接受或拒绝）：\n{link}\n\n该链接仅供您本人使用，只能答复一次。"
    "逾期未答复，份额将转给他人。",
    en="Please answer by {by} (accept, accept less, or decline):\n{link}\n\nThe link is for you alone and"
    " serves once. Without an answer in time, others take the share.",
)


def asked(language: Language, change_kw: float) -> str:
    """What is asked in words, such as `draw 120 kW less`."""
    less = change_kw > 0
    if language == "zh":
        return f"{'降低' if less else '增加'}用电 {power(change_kw)}"
    return f"draw {power(change_kw)} {'less' if less else 'more'}"


def power(kw: float) -> str:
    """A size in kW, to a tenth."""
    return f"{abs(kw):.1f}".removesuffix(".0") + " kW"


def moment(language: Language, at: datetime, zone: ZoneInfo) -> str:
    """A moment of the park's own time, such as `Thu 26 Nov, 14:00`."""
    local = at.astimezone(zone)
    return f"{_day(language, local)}{_gap(language)}{local:%H:%M}"


def span(language: Language, window: Interval, zone: ZoneInfo) -> str:
    """From when to when; the day of the end is named where it is another."""
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)
    last = f"{end:%H:%M}" if start.date() == end.date() else moment(language, window.end, zone)
    return f"{moment(language, window.start, zone)}–{last}"


def subject(message: PersonMessage, language: Language, zone: ZoneInfo) -> str:
    """One line without control characters: a name must not begin a new header."""
    parts: tuple[str, ...] = (message.place, message.why.of(language).partition("\n")[0])
    if message.topic is not Topic.ALARM:
        change, when = asked(language, message.change_kw), span(language, message.window, zone)
        parts = (message.place, change, when)
    what = ("，" if language == "zh" else ", ").join(parts)
    line = SUBJECTS[message.topic].of(language).format(what=what)
    return " ".join("".join(c if c.isprintable() else " " for c in line).split())


def text(
    message: PersonMessage, name: str, language: Language, zone: ZoneInfo, link: str | None
) -> str:
    """The whole message; with a `link` where it asks for an answer."""
    ending = _ENDINGS.get(message.topic, _ANSWER).of(language)
    by = moment(language, message.answer_by, zone)
    told = [] if message.topic is Topic.TRIAL else [*_facts(message, language, zone), ""]
    if message.topic is Topic.ALARM:
        since = moment(language, message.window.start, zone)
        told = [f"{message.place}, {since} ({zone.key})", message.why.of(language), ""]
    lines = [_HELLO.of(language).format(name=name), "", *told]
    lines.append(ending.format(by=by, link=link) if message.topic.wants_answer else ending)
    return "\n".join(lines) + "\n"


def _facts(message: PersonMessage, language: Language, zone: ZoneInfo) -> list[str]:
    """What, when and why, a line each."""
    colon, please = ("：", "请") if language == "zh" else (": ", "please ")
    what = asked(language, message.change_kw)
    return [
        f"{message.place}{colon}{please if message.topic.wants_answer else ''}{what}",
        _WHEN.of(language).format(window=span(language, message.window, zone), zone=zone.key),
        _WHY.of(language).format(why=message.why.of(language)),
    ]


def _day(language: Language, local: datetime) -> str:
    weekday = _WEEKDAYS[language][local.weekday()]
    if language == "zh":
        return f"{local.month}月{local.day}日（周{weekday}）"
    return f"{weekday} {local.day} {_MONTHS[local.month - 1]}"


def _gap(language: Language) -> str:
    return "" if language == "zh" else ", "
