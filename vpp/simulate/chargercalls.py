"""What a charging station answers when it is asked: profiles, settings, and what it is to say once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from vpp.simulate.charger import MOST_PERIODS, MOST_STACK_LEVEL, Charger, Dialect, Purpose, Unit
from vpp.simulate.chargerwords import Payload, Words, WordsError


class Answers:
    """Answers for one station."""

    def __init__(
        self,
        charger: Charger,
        words: Words,
        *,
        say: Callable[[str, int | None], bool],
        restart: Callable[[], None],
    ) -> None:
        """`say` has the station say a message of this name, and says whether it knows it."""
        self._charger, self._say, self._restart = charger, say, restart
        self._words = words
        self.refuses = False
        """Whether every profile is refused."""
        self.settings: dict[str, str] = {
            "HeartbeatInterval": f"{charger.spec.heartbeat_s:g}",
            "MeterValueSampleInterval": f"{charger.spec.sample_s:g}",
            "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,SoC",
        }
        self._fixed = {
            "NumberOfConnectors": str(charger.spec.connectors),
            "ChargeProfileMaxStackLevel": str(MOST_STACK_LEVEL),
            "ChargingScheduleMaxPeriods": str(MOST_PERIODS),
            "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
        }
        self._known: Mapping[str, Callable[[Payload], Payload]] = {
            "SetChargingProfile": self._install,
            "ClearChargingProfile": self._clear,
            "GetCompositeSchedule": self._composite,
            "TriggerMessage": self._trigger,
            "Reset": self._reset,
        } | (
            {"ChangeConfiguration": self._change, "GetConfiguration": self._configuration}
            if charger.spec.dialect is Dialect.V16
            else {"SetVariables": self._set, "GetVariables": self._get}
        )

    def to(self, action: str, asked: Payload) -> Payload:
        """The answer.

        Raises:
            WordsError: The question is not known, or cannot be read.
        """
        known = self._known.get(action)
        if known is None:
            raise WordsError("NotImplemented", f"{action} is not known here")
        return known(asked)

    def _install(self, asked: Payload) -> Payload:
        profile = self._words.profile(asked, self._charger.now)
        if profile.purpose is Purpose.EXTERNAL or self.refuses:
            return {"status": "Rejected"}
        why_not = self._charger.install(profile)
        if why_not is None:
            return {"status": "Accepted"}
        if self._charger.spec.dialect is Dialect.V16:
            return {"status": "Rejected"}
        reason = {"reasonCode": "InvalidProfile", "additionalInfo": why_not}
        return {"status": "Rejected", "statusInfo": reason}

    def _clear(self, asked: Payload) -> Payload:
        clearing = self._words.clearing(asked)
        dropped = self._charger.clear(
            profile_id=clearing.profile_id,
            connector=clearing.connector,
            purpose=clearing.purpose,
            stack_level=clearing.stack_level,
        )
        return {"status": "Accepted" if dropped else "Unknown"}

    def _composite(self, asked: Payload) -> Payload:
        connector, duration_s, unit = self._words.composite_asked(asked)
        if connector not in (0, *self._charger.connectors):
            return {"status": "Rejected"}
        starts_at = self._charger.now
        periods = self._charger.composite(connector, duration_s, Unit(unit), starts_at)
        return self._words.composite(connector, duration_s, unit, starts_at, periods)

    def _trigger(self, asked: Payload) -> Payload:
        place = asked.get("connectorId") or (asked.get("evse") or {}).get("id")
        known = self._say(str(asked.get("requestedMessage")), place)
        return {"status": "Accepted" if known else "NotImplemented"}

    def _reset(self, asked: Payload) -> Payload:
        self._restart()
        return {"status": "Accepted"}

    # ------------------------------------------------------------ settings

    def _accepts(self, key: str, value: object) -> str:
        if key in self._fixed:
            return "Rejected"
        if key not in self.settings:
            return "NotSupported"
        if key.endswith("Interval") and not str(value).isdecimal():
            return "Rejected"
        self.settings[key] = str(value)
        return "Accepted"

    def _change(self, asked: Payload) -> Payload:
        return {"status": self._accepts(str(asked.get("key")), asked.get("value"))}

    def _configuration(self, asked: Payload) -> Payload:
        known = self.settings | self._fixed
        wanted = asked.get("key") or list(known)
        return {
            "configurationKey": [
                {"key": key, "readonly": key in self._fixed, "value": known[key]}
                for key in wanted
                if key in known
            ],
            "unknownKey": [key for key in wanted if key not in known],
        }

    def _set(self, asked: Payload) -> Payload:
        done = []
        for one in _rows(asked, "setVariableData"):
            status = self._accepts(_setting(one), one.get("attributeValue"))
            status = {"NotSupported": "UnknownVariable"}.get(status, status)
            done.append(_place(one) | {"attributeStatus": status})
        return {"setVariableResult": done}

    def _get(self, asked: Payload) -> Payload:
        known = self.settings | self._fixed
        done = []
        for one in _rows(asked, "getVariableData"):
            if (name := _setting(one)) in known:
                got = {"attributeStatus": "Accepted", "attributeValue": known[name]}
            else:
                got = {"attributeStatus": "UnknownVariable"}
            done.append(_place(one) | got)
        return {"getVariableResult": done}

    @property
    def sample(self) -> timedelta:
        """How often it tells its meter, as it was set last."""
        return timedelta(seconds=float(self.settings["MeterValueSampleInterval"]))

    @property
    def heartbeat(self) -> timedelta:
        """How often it gives a sign of life, as it was set last."""
        return timedelta(seconds=float(self.settings["HeartbeatInterval"]))


_SETTINGS_201: Mapping[tuple[str, str], str] = {
    ("SampledDataCtrlr", "TxUpdatedInterval"): "MeterValueSampleInterval",
    ("AlignedDataCtrlr", "Interval"): "MeterValueSampleInterval",
    ("OCPPCommCtrlr", "HeartbeatInterval"): "HeartbeatInterval",
    ("SampledDataCtrlr", "TxUpdatedMeasurands"): "MeterValuesSampledData",
    ("SmartChargingCtrlr", "ProfileStackLevel"): "ChargeProfileMaxStackLevel",
    ("SmartChargingCtrlr", "PeriodsPerSchedule"): "ChargingScheduleMaxPeriods",
    ("SmartChargingCtrlr", "RateUnit"): "ChargingScheduleAllowedChargingRateUnit",
}
"""Variables of 2.0.1 by the names that 1.6 has for them."""


def _rows(asked: Payload, name: str) -> list[dict[str, Any]]:
    rows = asked.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WordsError("TypeConstraintViolation", name)
    return rows


def _setting(row: Payload) -> str:
    component, variable = row.get("component") or {}, row.get("variable") or {}
    return _SETTINGS_201.get((str(component.get("name")), str(variable.get("name"))), "")


def _place(row: Payload) -> dict[str, Any]:
    return {"component": row.get("component"), "variable": row.get("variable")}
