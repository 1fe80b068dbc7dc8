// The shift log and hand-overs, with a page to print.

import { read, send } from "../client.js";
import { refusal } from "../dialog.js";
import { fill, h } from "../dom.js";
import { money, power, when } from "../format.js";
import { language, t, term } from "../words.js";

const NAME = "vpp.by"; // as dialog.js keeps it

export function log(root, context) {
  const entries = h("ol", { class: "log", "aria-label": t("desk.log") });
  const draft = h("div", {});
  const past = h("div", {});
  root.append(
    h("section", { class: "card no-print" }, h("h3", {}, t("desk.log")), form("entry", [["text", t("desk.entry"), true, true], ["about", t("desk.about"), false, false]], t("desk.write"), (values) => send("POST", "/v1/desk/log", values)), entries),
    h("section", { class: "card" }, draft),
    h("section", { class: "card no-print" }, h("h3", {}, t("desk.handovers")), past));
  let shown = null;

  const again = context.follow(["shift", "alarm", "kill", "override"], 2000, async () => {
    const [written, handed] = await Promise.all([read("/v1/desk/log?limit=50"), read("/v1/desk/handovers?limit=30")]);
    fill(entries, written.entries.length ? written.entries.map(line) : h("li", { class: "empty" }, t("desk.no_entries")));
    fill(past, handed.handovers.length ? h("ul", { class: "past" }, handed.handovers.map((one) => h("li", {},
      h("button", { type: "button", class: "quiet", on: { click: () => show(one) } }, `${when(one.at)} · ${one.by} → ${one.to}`), one.text ? ` ${one.text}` : null)))
      : h("p", { class: "empty" }, t("desk.no_handovers")));
    if (shown === null && !writing()) show(null, handed.draft);
  });

  /** Whether a person is at the form below: it must not be drawn anew under their hands. */
  function writing() {
    const fields = [...draft.querySelectorAll("input, textarea")];
    return draft.contains(document.activeElement) || fields.some((one) => one.value && one.id !== "handover-by");
  }

  function show(handover, standing) {
    shown = handover;
    if (!handover && !standing) return again();
    const of = handover?.summary ?? standing;
    fill(draft, h("div", { class: "sheet-head" },
      h("h3", {}, handover ? t("desk.handover_of", { at: when(handover.at, "full"), by: handover.by, to: handover.to }) : t("desk.handover_now")),
      h("span", { class: "no-print" }, handover ? h("button", { type: "button", on: { click: () => show(null) } }, t("desk.back")) : null,
        h("button", { type: "button", on: { click: () => window.print() } }, t("desk.print")))),
      handover?.text ? h("p", {}, handover.text) : null, standing_(of, context.park.name),
      handover ? null : form("handover", [["to", t("desk.to"), true, false], ["text", t("desk.word_to_next"), false, true]], t("desk.hand_over"), (values) => send("POST", "/v1/desk/handovers", values)));
    return null;
  }

  function form(name, fields, action, act) {
    const fault = h("p", { class: "fault", role: "alert", hidden: true });
    const inputs = [["by", t("shell.by"), true, false], ...fields].map(([key, label, required, long]) => {
      const id = `${name}-${key}`;
      const input = h(long ? "textarea" : "input", { id, required, maxlength: long ? "2000" : "80", rows: long ? "2" : null, value: key === "by" ? localStorage.getItem(NAME) ?? "" : null, minlength: key === "by" || key === "to" ? "2" : null });
      return { key, input, element: h("p", { class: `field field-${key}` }, h("label", { for: id }, label), input) };
    });
    const element = h("form", { class: "entry no-print" }, inputs.map((one) => one.element), fault, h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, action)));
    element.addEventListener("submit", async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(inputs.map((one) => [one.key, one.input.value.trim()]));
      localStorage.setItem(NAME, values.by);
      try {
        await act(values);
        for (const one of inputs) if (one.key !== "by") one.input.value = "";
        fault.hidden = true;
        document.activeElement?.blur();
        again();
      } catch (error) {
        fill(fault, refusal(error));
        fault.hidden = false;
      }
    });
    return element;
  }
}

const line = (one) => h("li", {}, h("span", { class: "note" }, `${when(one.at)} · ${one.by}${one.about ? ` · ${one.about}` : ""}`), h("p", {}, one.text));

function standing_(of, park) {
  const fact = (label, value) => [h("dt", {}, label), h("dd", {}, value)];
  const list = (title, items) => [h("h4", {}, title), items.length ? h("ul", {}, items.map((one) => h("li", {}, one))) : h("p", { class: "empty" }, t("desk.none"))];
  return h("div", { class: "handover" },
    h("dl", { class: "facts" },
      fact(t("desk.park"), park), fact(t("desk.as_of"), when(of.at, "full")),
      fact(t("desk.since_handover"), of.since ? when(of.since) : t("desk.first_handover")),
      fact(t("desk.rung"), `${term("shell.state", of.safe_state)}${of.safe_state_reason ? `: ${of.safe_state_reason}` : ""}`),
      fact(t("desk.plan"), of.plan_id ? `${of.plan_id} · ${when(of.plan_issued_at, "time")}` : "–"),
      fact(t("desk.version"), of.strategy_version),
      fact(t("desk.power"), `${power(of.park_kw)} · ${t("desk.planned")} ${power(of.planned_kw)} · ${t("desk.owed")} ${power(of.owed_kw)}`),
      fact(t("desk.settled"), money(of.money))),
    list(t("desk.stopped"), of.stopped),
    list(t("desk.alarms"), of.alarms.map(alarm)),
    list(t("desk.shelved"), of.shelved.map(alarm)),
    list(t("desk.in_hand"), of.overrides.map((one) => `${one.resource_id}: ${one.low_kw === one.high_kw ? power(one.low_kw) : `${power(one.low_kw)} … ${power(one.high_kw)}`} · ${t("desk.until", { at: when(one.until) })} · ${one.by}: ${one.reason}`)),
    list(t("desk.gates"), of.gates.map((one) => `${when(one.closes_at)} · ${one.product} · ${t("desk.for_delivery", { at: when(one.delivery_start) })}`)),
    list(t("desk.log"), of.entries.map((one) => `${when(one.at)} · ${one.by}: ${one.text}`)));
}

const alarm = (one) => `${term("desk.priority", one.priority)} · ${one.title[language()]}${one.subject ? ` (${one.subject})` : ""} · ${term("desk.state", one.state)} · ${when(one.raised_at)}${one.shelved_until ? ` · ${t("desk.shelved_until", { at: when(one.shelved_until) })}` : ""}`;
