// Numbers with their unit, times on the park's clock, and how old and from where a value is.

import { h } from "./dom.js";
import { language, t } from "./words.js";

export const MISSING = "–";
let park = { timezone: "UTC", currency: "" };
let formats = new Map();

/** Say whose clock and currency these are; needed again after the language changed. */
export function setPark(found) {
  park = found;
  formats = new Map();
}

export const currency = () => park.currency;
export const zone = () => park.timezone;
const locale = () => (language() === "zh" ? "zh-CN" : "en-GB");

/** Is there a number? An empty text is none. */
export const known = (value) => value !== null && value !== undefined && value !== "" && Number.isFinite(Number(value));

/** `1,234.5` with exactly `digits` decimals; "–" where there is none. */
export function number(value, digits = 0) {
  if (!known(value)) return MISSING;
  const format = cached(`n${digits}`, () => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  const text = format.format(Number(value)).replace("-", "−");
  return /^−[0.,]*$/.test(text) ? text.slice(1) : text;
}

const withUnit = (text, unit) => (text === MISSING ? text : `${text} ${unit}`);
export const power = (kw, digits = 0) => withUnit(number(kw, digits), "kW");
export const energy = (kwh, digits = 0) => withUnit(number(kwh, digits), "kWh");
export const money = (amount, digits = 2) => withUnit(number(amount, digits), park.currency);
export const price = (perMwh, digits = 2) => withUnit(number(perMwh, digits), `${park.currency}/MWh`);
export const percent = (share, digits = 0) => (known(share) ? `${number(100 * share, digits)} %` : MISSING);
export const carbon = (kg, digits = 0) => withUnit(number(kg, digits), "kg CO₂");

/** `+12` or `−12`: for differences. */
export function signed(value, digits = 0) {
  const text = number(value, digits);
  return text === MISSING || text.startsWith("−") || Number(value) === 0 ? text : `+${text}`;
}

const TIMES = {
  time: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  second: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  clock: { weekday: "short", day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  full: { weekday: "short", day: "2-digit", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" },
  day: { weekday: "short", day: "2-digit", month: "short" },
};

/** A moment on the park's clock; `look`: time, second, clock, full or day. Takes ISO text, ms or a Date. */
export function when(moment, look = "clock") {
  if (moment === null || moment === undefined) return MISSING;
  const format = cached(look, () => new Intl.DateTimeFormat(locale(), { timeZone: park.timezone, ...TIMES[look] }));
  return format.format(new Date(moment));
}

/** The local day of a moment as `2026-02-05`. */
export function localDay(moment) {
  return cached("iso", () => new Intl.DateTimeFormat("en-CA", { timeZone: park.timezone, year: "numeric", month: "2-digit", day: "2-digit" })).format(new Date(moment));
}

/** `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`. */
export function duration(seconds) {
  if (!known(seconds)) return MISSING;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return t("shell.seconds", { n: whole });
  const minutes = Math.round(whole / 60);
  if (minutes < 90) return t("shell.minutes", { n: minutes });
  if (minutes < 2880) return t("shell.hours", { h: Math.floor(minutes / 60), m: String(minutes % 60).padStart(2, "0") });
  return t("shell.days", { d: Math.floor(minutes / 1440), h: Math.floor((minutes % 1440) / 60) });
}

/**
 * A value with its age and origin. `text`: the value as told; `seconds`: its age, null where it was never
 * heard; `from`: who said it; `stale`: from which age on it is not to be trusted; `reason`: why it lacks.
 */
export function age({ text, seconds, from, stale, reason }) {
  const lacks = text === MISSING;
  const old = !lacks && known(seconds) && stale !== undefined && seconds > stale;
  const said = [];
  if (lacks && reason) said.push(reason);
  if (old) said.push(t("shell.stale"));
  if (known(seconds)) said.push(t("shell.ago", { age: duration(seconds) }));
  if (from) said.push(from);
  return h("span", { class: `aged${lacks ? " lacks" : ""}${old ? " stale" : ""}` },
    h("span", { class: "aged-value" }, text),
    said.length ? h("small", { class: "aged-note" }, said.join(" · ")) : null);
}

function cached(key, make) {
  if (!formats.has(key)) formats.set(key, make());
  return formats.get(key);
}
