"""The page behind a one-time link as HTML, in Chinese or English: no script, no style inline, every text escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import assert_never
from zoneinfo import ZoneInfo

from vpp.model.instruction import Accepted, AcceptedLess, Declined, Given, Instruction
from vpp.model.message import InBoth, Language
from vpp.service.instructions.words import why_in_both
from vpp.service.people import words as peoplewords
from vpp.service.people.answers import Answered, Asked, NoLink, Opened, Over

MAX_REASON_CHARS = 200

_WORDS: Mapping[str, InBoth] = {
    "asked": InBoth(zh="请您答复", en="Please answer"),
    "done": InBoth(zh="已收到您的答复", en="Your answer is taken"),
    "please": InBoth(zh="请{what}", en="Please {what}"),
    "what": InBoth(zh="请求", en="Asked"),
    "place": InBoth(zh="设备", en="Where"),
    "when": InBoth(zh="时间", en="When"),
    "why": InBoth(zh="原因", en="Why"),
    "by": InBoth(zh="答复截止", en="Answer by"),
    "zone": InBoth(zh="时间均为 {zone}", en="Times are {zone}"),
    "accept": InBoth(zh="接受：降低 {power}", en="Accept: {power} less"),
    "less": InBoth(zh="部分接受", en="Accept less"),
    "less_kw": InBoth(zh="能降低多少 kW（低于 {power}）", en="How many kW (below {power})"),
    "decline": InBoth(zh="拒绝", en="Decline"),
    "reason": InBoth(zh="原因（可不填）", en="Reason (may be left out)"),
    "once": InBoth(
        zh="只能答复一次。逾期未答复，份额将转给他人。",
        en="You can answer once. Without an answer in time, others take the share.",
    ),
    "accepted": InBoth(zh="您已接受：降低用电 {power}。", en="You accepted: {power} less."),
    "accepted_less": InBoth(
        zh="您已部分接受：降低用电 {power}。", en="You accepted part of it: {power} less."
    ),
    "declined": InBoth(zh="您已拒绝，无需执行。", en="You declined: nothing is expected of you."),
    "change": InBoth(
        zh="该链接已使用，不能再次答复。如情况有变，请致电控制室。",
        en="The link has served. If anything changes, ring the control room.",
    ),
    "over": InBoth(zh="该请求已结束", en="This is over"),
    "over_text": InBoth(
        zh="答复时间已过，或请求已取消。您无需执行任何操作。",
        en="The time to answer has passed, or it is not needed any more. Nothing is expected of you.",
    ),
    "unknown": InBoth(zh="链接无效", en="No such link"),
    "unknown_text": InBoth(
        zh="请检查链接是否完整，或致电控制室。",
        en="Look whether it is whole, or ring the control room.",
    ),
    "other": InBoth(zh="English", en="中文"),
    "no_amount": InBoth(
        zh="请填写大于 0、小于 {power} 的数字；尚未收到您的答复。",
        en="Give a number above 0 and below {power}; nothing was answered yet.",
    ),
    "try_again": InBoth(
        zh="暂时无法保存，您的答复尚未收到，请稍后再试。",
        en="It could not be saved and nothing was answered yet: please try again soon.",
    ),
    "no_answer": InBoth(
        zh="无法识别，尚未收到您的答复。",
        en="This is no answer that we know; nothing was answered yet.",
    ),
}


def page(opened: Opened, language: Language, zone: ZoneInfo, css: str, *, fault: str = "") -> str:
    """The whole page; `css` is the address of its style, `fault` a key of the words told above the question."""
    match opened:
        case Asked(story=story):
            title, body = _word("asked", language), _asked(story.instruction, language, zone, fault)
        case Answered(story=story, given=given):
            title = _word("done", language)
            body = _answered(story.instruction, given, language, zone)
        case Over():
            title, body = _word("over", language), f"<p>{_word('over_text', language)}</p>"
        case NoLink():
            title, body = _word("unknown", language), f"<p>{_word('unknown_text', language)}</p>"
        case _:
            assert_never(opened)
    other = "en" if language == "zh" else "zh"
    shown = "zh-CN" if language == "zh" else "en"
    return f"""<!doctype html>
<html lang="{shown}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>{title}</title>
<link rel="stylesheet" href="{escape(css)}">
</head>
<body>
<header><h1>{title}</h1><a href="?lang={other}" hreflang="{other}">{_word("other", language)}</a></header>
<main>
{body}
</main>
</body>
</html>
"""


def _asked(of: Instruction, language: Language, zone: ZoneInfo, fault: str) -> str:
    power = peoplewords.power(of.amount_kw)
    told = (
        f'<p class="fault" role="alert">{_word(fault, language, power=power)}</p>\n'
        if fault
        else ""
    )
    what = _word("please", language, what=peoplewords.asked(language, of.amount_kw))
    return f"""{told}<p class="what">{what}</p>
{_facts(of, language, zone)}
<form method="post" action="?lang={language}">
<button class="accept" name="answer" value="accept">{_word("accept", language, power=power)}</button>
</form>
<form method="post" action="?lang={language}">
<label for="kw">{_word("less_kw", language, power=power)}</label>
<div><input id="kw" name="amount_kw" inputmode="decimal" autocomplete="off" maxlength="12" required>
<button name="answer" value="less">{_word("less", language)}</button></div>
</form>
<form method="post" action="?lang={language}">
<label for="reason">{_word("reason", language)}</label>
<div><input id="reason" name="reason" autocomplete="off" maxlength="{MAX_REASON_CHARS}">
<button class="decline" name="answer" value="decline">{_word("decline", language)}</button></div>
</form>
<p class="note">{_word("once", language)}</p>"""


def _answered(of: Instruction, given: Given, language: Language, zone: ZoneInfo) -> str:
    match given:
        case Accepted():
            said = _word("accepted", language, power=peoplewords.power(of.amount_kw))
        case AcceptedLess(amount_kw=amount_kw):
            said = _word("accepted_less", language, power=peoplewords.power(amount_kw))
        case Declined():
            said = _word("declined", language)
        case _:
            assert_never(given)
    return f"""<p class="said">{said}</p>
{_facts(of, language, zone, what=peoplewords.asked(language, of.amount_kw))}
<p class="note">{_word("change", language)}</p>"""


def _facts(of: Instruction, language: Language, zone: ZoneInfo, *, what: str = "") -> str:
    rows = {
        "what": what,
        "place": of.resource_id,
        "when": peoplewords.span(language, of.window, zone),
        "by": peoplewords.moment(language, of.answer_by, zone),
        "why": why_in_both(of.why).of(language),
    }
    listed = "\n".join(
        f"<dt>{_word(key, language)}</dt><dd>{_unbroken(escape(value))}</dd>"
        for key, value in rows.items()
        if value
    )
    return f"""<dl>
{listed}
</dl>
<p class="note">{_word("zone", language, zone=zone.key)}</p>"""


def _unbroken(text: str) -> str:
    """From 14:00–16:00 no line breaks away."""
    return text.replace("–", "&#8288;–&#8288;")


def _word(key: str, language: Language, **values: str) -> str:
    """A text of the page, escaped with what stands in it."""
    return escape(_WORDS[key].of(language).format(**values))
