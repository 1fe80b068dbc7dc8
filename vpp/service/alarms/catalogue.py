"""Every kind of alarm: how urgent, what may be behind it, how long it must hold, and what a person does.

A kind whose cause stands too is a consequence, and is shown under it. First causes have short delays and
consequences longer ones, so that the first to be shown is the first cause. Delays: ISA-18.2, clause 10.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from vpp.model.alarm import Priority
from vpp.model.message import InBoth


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKind:
    """One line of the catalogue."""

    name: str
    priority: Priority
    title: InBoth
    action: InBoth
    """What a person does."""

    causes: tuple[str, ...] = ()
    """Kinds that may explain it, the likeliest first."""

    after: timedelta
    """It must hold so long before it is told."""

    clear_after: timedelta
    """It must be gone so long before it is over."""


def _kind(
    name: str,
    priority: Priority,
    title: tuple[str, str],
    action: tuple[str, str],
    causes: str = "",
    *,
    after_s: float = 0,
    clear_s: float = 30,
) -> AlarmKind:
    return AlarmKind(
        name=name,
        priority=priority,
        title=InBoth(en=title[0], zh=title[1]),
        action=InBoth(en=action[0], zh=action[1]),
        causes=tuple(causes.split()),
        after=timedelta(seconds=after_s),
        clear_after=timedelta(seconds=clear_s),
    )


_C, _H, _M, _L = Priority.CRITICAL, Priority.HIGH, Priority.MEDIUM, Priority.LOW

_KINDS = (
    _kind(
        "killed", _H, ("Kill switch is set", "急停开关已启用"),
        ("Settle its reason, then let two persons release it",
         "处理停用原因，然后由两人共同解除"),
    ),
    _kind(
        "journal_down", _C, ("The record cannot be written", "日志无法写入"),
        ("Free or mend the data disk; nothing new is bid until then",
         "清理或修复数据磁盘；在此之前不会提交新报价"),
    ),
    _kind(
        "clock_off", _C, ("The machine's clock cannot be trusted", "主机时钟不可信"),
        ("Mend time synchronisation, then restart the service", "修复时间同步，然后重启服务"),
    ),
    _kind(
        "link_down", _H, ("Link to devices is down", "设备链路中断"),
        ("Look at broker, gateway and network", "检查消息服务器、网关和网络"),
        after_s=10,
    ),
    _kind(
        "link_ill", _M, ("Devices behind a link are ill", "链路下设备异常"),
        ("Look at the fault the link tells", "查看链路给出的故障"), "link_down", after_s=30,
    ),
    _kind(
        "devices_silent", _M, ("Devices are not heard", "设备无数据"),
        ("Look at the devices and what they connect by", "检查设备及其连接"),
        "link_down link_ill silent_widely", after_s=60,
    ),
    _kind(
        "silent_widely", _H, ("Devices of many enterprises are not heard", "多家企业设备无数据"),
        ("Look for what they share: network, broker, power", "检查共用部分：网络、消息服务器、供电"),
        "link_down link_ill", after_s=50,
    ),
    _kind(
        "devices_doubted", _M, ("Readings are not believed", "测量数据不可信"),
        ("Check the meters or sensors", "检查电表或传感器"), "link_down link_ill clock_off",
        after_s=60,
    ),
    _kind(
        "devices_refusing", _M, ("Devices refuse set-points", "设备拒绝设定值"),
        ("See why at the device; take it in hand if needed", "查看设备拒绝原因，必要时人工接管"),
        "link_down link_ill", after_s=60,
    ),
    _kind(
        "devices_not_following", _M, ("Devices do not follow their set-points", "设备未按设定值运行"),
        ("Check local control of the devices", "检查设备的就地控制"),
        "link_down link_ill devices_silent devices_doubted", after_s=90,
    ),
    _kind(
        "prices_missing", _H, ("Prices are missing", "缺少电价"),
        ("Look at the price feed, or put the series by hand", "检查价格数据源，或手工上传序列"),
        "feed_ill", after_s=30,
    ),
    _kind(
        "feed_ill", _M, ("A feed brings nothing", "数据源异常"),
        ("Look at its address and its newest document", "检查其地址和最新文件"), after_s=20,
    ),
    _kind(
        "feed_late", _M, ("A series is missing before a gate", "闭市前缺少数据序列"),
        ("Bring the series before the gate closes", "在闭市前补充该序列"),
        "feed_ill prices_missing", after_s=60,
    ),
    _kind(
        "solver_down", _C, ("The solver does not answer", "求解器无响应"),
        ("Look at memory and load of the machine; it is started anew by itself",
         "检查主机内存和负载；求解器会自动重启"),
    ),
    _kind(
        "no_plan", _H, ("There is no new plan", "没有新计划"),
        ("Read the reason; the last plan is held for a while", "查看原因；暂按上一计划执行"),
        "solver_down prices_missing feed_ill", after_s=30,
    ),
    _kind(
        "safe_state", _H, ("The plant stands below normal", "系统处于降级状态"),
        ("Settle what the ladder names", "处理降级原因"),
        "killed journal_down clock_off solver_down no_plan link_down", after_s=60,
    ),
    _kind(
        "owed_short", _H, ("What is owed cannot be delivered", "承诺电量无法交付"),
        ("Bring devices back, or buy what is missing", "恢复设备，或补购缺额"),
        "killed link_down silent_widely devices_silent devices_refusing devices_not_following"
        " safe_state",
        after_s=90,
    ),
    _kind(
        "setpoints_unsent", _M, ("Set-points did not leave", "设定值未能下发"),
        ("Look at the link", "检查链路"), "link_down link_ill journal_down", after_s=60,
    ),
    _kind(
        "historian_full", _M, ("Measurements are not recorded", "测量数据未能存储"),
        ("Look at the data disk", "检查数据磁盘"), "journal_down", after_s=30,
    ),
    _kind(
        "cycle_late", _L, ("A cycle overran", "周期超时"),
        ("Look at the load of the machine", "检查主机负载"), "solver_down journal_down",
        after_s=60,
    ),
    _kind(
        "gate_missed", _H, ("A gate passed without a bid", "错过闭市时间"),
        ("See whether the next gate can be met", "确认能否赶上下一次闭市"),
        "killed prices_missing feed_late solver_down no_plan safe_state venue_down", after_s=60,
    ),
    _kind(
        "gate_at_risk", _H, ("A gate closes soon without a bid", "即将闭市而无报价"),
        ("Send the bid by hand, or settle what keeps it", "手工提交报价，或处理阻碍原因"),
        "killed venue_down prices_missing no_plan safe_state",
    ),
    _kind(
        "venue_down", _H, ("A market does not answer", "市场平台无响应"),
        ("Look at the market's own status page; bids are tried again",
         "查看市场平台状态；报价会自动重试"), after_s=20,
    ),
    _kind(
        "bid_in_doubt", _H, ("A bid or award is in doubt", "报价或中标结果存疑"),
        ("Ask the market what it has", "向市场平台核实"), "venue_down",
    ),
    _kind(
        "bid_waits", _H, ("A bid waits for a person", "报价等待人工批准"),
        ("Approve it or let it go before the gate", "在闭市前批准或放弃"),
    ),
    _kind(
        "limits_breached", _H, ("A limit stopped a bid", "报价因超限被拦截"),
        ("See which limit, and why it came to it", "查看触发的限额及原因"),
    ),
    _kind(
        "nomination_wrong", _H, ("A nomination is late or differs", "申报计划未确认或不一致"),
        ("Ask whoever takes nominations", "联系计划受理方"),
    ),
    _kind(
        "grid_alert", _H, ("The grid or utility tells of an emergency", "电网或供电企业紧急通知"),
        ("Do as it says", "按通知执行"),
    ),
    _kind(
        "utility_down", _M, ("A utility's server is not heard", "供电企业服务器无响应"),
        ("Look at its address and our certificate", "检查其地址和我方证书"), after_s=20,
    ),
    _kind(
        "people_unreached", _M, ("A person was not reached", "未能联系到人员"),
        ("Ring them", "请电话联系"), "channel_down",
    ),
    _kind(
        "channel_down", _M, ("Mail or webhook takes no letters", "邮件或接口无法发送"),
        ("Look at the mail server or the receiver", "检查邮件服务器或接收方"),
    ),
    _kind(
        "money_lost", _M, ("Something will not be settled or kept", "结算或额度无法完成"),
        ("Read what it says; ask for what is missing", "查看说明，补充缺失数据"),
    ),
    _kind(
        "platform_down", _M, ("Reports do not reach a platform", "报告未能送达平台"),
        ("Look at its address; they are kept and sent later", "检查平台地址；报告会保留并补发"),
    ),
    _kind(
        "certificate_ends", _M, ("A certificate ends soon", "证书即将到期"),
        ("Renew it", "更新证书"),
    ),
    _kind(
        "other", _M, ("Something else needs a look", "其他需处理事项"),
        ("Read the event", "查看事件"), after_s=60,
    ),
    _kind(
        "strategy_broken", _M, ("The strategy file is broken", "策略文件有误"),
        ("Mend it; the last good version runs", "修正文件；当前仍运行上一有效版本"),
    ),
    _kind(
        "flood", _H, ("Many alarms at once: the rest is held back", "告警过多：其余暂不显示"),
        ("Begin with the first causes above; what is held back stands under this one",
         "先处理上面的首要原因；其余告警列于此项之下"), clear_s=0,
    ),
)  # fmt: skip

CATALOGUE: Mapping[str, AlarmKind] = {kind.name: kind for kind in _KINDS}
