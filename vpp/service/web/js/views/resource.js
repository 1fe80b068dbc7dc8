// A resource's page: what it tells, what it is told, who decides, why, and how to take it in hand.

import { read, send } from "../client.js";
import { chart, seconds } from "../chart.js";
import { confirm } from "../dialog.js";
import { fill, h, say } from "../dom.js";
import { MISSING, age, duration, known, number, percent, power, when } from "../format.js";
import { said, tongue } from "../said.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

const AHEAD_S = 24 * 3600;

/** Show the resource `id` in `root`; gives what is called when it is left. */
export function mountResource(root, context, id) {
  const path = `/v1/resources/${encodeURIComponent(id)}`;
  const take = h("button", { type: "button", disabled: true, on: { click: () => takeInHand() } }, t("park.take"));
  const release = h("button", { type: "button", hidden: true, on: { click: () => giveBack() } }, t("park.release"));
  const kind = h("span", { class: "badge" });
  const mark = h("span", { class: "badge" });
  const facts = h("dl", { class: "facts" });
  const setpoint = h("dl", { class: "facts" });
  const why = h("ul", { class: "why" });
  const lacking = h("p", { class: "note" });
  const plots = {
    power: chart({
      title: t("park.chart_power"), axes: [{ unit: "kW" }], height: 230, empty: t("park.no_telemetry"),
      series: [
        { label: t("park.measured"), unit: "kW", digits: 1, colour: "--actual", width: 2 },
        { label: t("park.fact_planned"), unit: "kW", digits: 1, colour: "--plan", stepped: true },
      ],
    }),
    stored: chart({
      title: t("park.chart_stored"), axes: [{ unit: "%" }], height: 150,
      series: [
        { label: t("park.measured"), unit: "%", digits: 1, colour: "--actual", fill: 0.08 },
        { label: t("park.fact_planned"), unit: "%", digits: 1, colour: "--plan", dash: [5, 4] },
      ],
    }),
  };
  const stored = h("section", { class: "card", hidden: true }, plots.stored.element);
  const bounds = table({
    caption: t("park.decides"), empty: t("park.not_steered"), mark: (row) => (row.wins ? "wins" : null),
    columns: [
      { title: t("park.source"), sort: null, text: (row) => term("park.source_name", row.source) },
      { title: t("park.at_least"), sort: null, number: true, text: (row) => number(row.low_kw, 1) },
      { title: t("park.at_most"), sort: null, number: true, text: (row) => number(row.high_kw, 1) },
      { title: t("park.asks"), sort: null, text: (row) => row.claims.join(", ") || MISSING },
      { title: t("park.cut"), sort: null, text: (row) => row.cuts.join(", ") },
    ],
  });
  root.append(
    h("div", { class: "resource-head" }, h("a", { href: "#/park" }, `← ${t("park.back")}`), h("strong", {}, id), kind, mark, h("div", { class: "buttons" }, take, release)),
    h("div", { class: "columns" },
      h("section", { class: "card" }, h("h3", {}, t("park.now")), facts),
      h("section", { class: "card" }, h("h3", {}, t("park.setpoint")), setpoint)),
    h("section", { class: "card" }, h("h3", {}, t("park.why")), why),
    h("section", { class: "card" }, plots.power.element, lacking),
    stored,
    h("section", { class: "card" }, bounds.element, h("p", { class: "note" }, t("park.order"))));
  let found = null;

  const again = context.follow(["tick", "override"], 700, async () => {
    found = await read(path);
    show();
  });
  context.follow(["plan"], 5000, explain);

  // Why at the step that runs; a plan that does not know the resource says so itself.
  async function explain() {
    const at = new Date(context.now()).toISOString().replace(/\.\d+Z$/, "Z");
    try {
      const told = await read(`/v1/plan/explain?resource=${encodeURIComponent(id)}&at=${encodeURIComponent(at)}`);
      fill(why, told.sentences.map((line) => h("li", { lang: tongue(line) }, said(line))), told.binding.length ? h("li", {}, t("park.binding", { limits: told.binding.map((one) => one.limit ?? one).join(", ") })) : null);
    } catch (error) {
      fill(why, h("li", {}, error.detail ?? String(error)));
    }
  }

  function show() {
    const { resource, steering } = found;
    say(kind, term("shell.kind", resource.kind));
    const held = steering?.override?.state === "in_force" ? steering.override : null;
    const look = held ? "in_hand" : !resource.known ? "unknown" : steering?.left_out_until ? "left_out" : "well";
    say(mark, term("park.mark", look));
    mark.className = `badge ${{ well: "good", unknown: "bad" }[look] ?? "warn"}`;
    take.disabled = steering === null;
    release.hidden = held === null;
    const told = (text) => age({ text, seconds: resource.age_s, from: t("park.device"), reason: resource.reason });
    entries(facts, [
      [t("park.fact_power"), told(power(resource.power_kw, 1))],
      resource.soc !== null && [t("park.soc"), told(percent(resource.soc, 1))],
      resource.temperature_degc !== null && [t("park.temperature"), told(`${number(resource.temperature_degc, 1)} °C`)],
      resource.available_kw !== null && [t("park.available"), told(power(resource.available_kw, 1))],
      resource.phase !== null && [t("park.phase"), told(term("park.phase_name", resource.phase))],
      resource.cars !== null && [t("park.cars"), told(number(resource.cars))],
      [t("park.fact_limits"), `${number(resource.max_draw_kw)} / ${number(resource.max_feed_kw)} kW`],
      found.capacity_kwh !== null && [t("park.capacity"), `${number(found.capacity_kwh)} kWh`],
      resource.tested_kw !== null && [t("park.tested"), age({ text: power(resource.tested_kw), from: when(resource.tested_at) })],
      [t("park.owner"), `${resource.enterprise_id} · ${resource.connection_point_id}`],
    ]);
    entries(setpoint, life(resource, steering, held));
    bounds.update(steering?.bounds ?? []);
    draw();
  }

  function life(resource, steering, held) {
    const point = resource.setpoint;
    const result = steering?.running_result ?? steering?.last_result;
    return [
      [t("park.fact_planned"), known(resource.planned_kw) ? age({ text: power(resource.planned_kw, 1), from: found.plan_id }) : t("park.no_plan")],
      [t("park.fact_told"), point?.in_force ? age({ text: power(point.power_kw, 1), seconds: (context.now() - Date.parse(point.issued_at)) / 1000, from: t("park.expires", { time: when(point.expires_at, "second") }) }) : t("park.left_to_itself")],
      steering && [t("park.stage"), `${term("park.stage_name", steering.stage)}${steering.reason ? `: ${said(steering.reason)}` : ""} · ${when(steering.since, "time")}`],
      steering && [t("park.winner"), steering.won_by ? `${term("park.source_name", steering.won_by)}: ${said(steering.won_because)}` : t("park.nobody")],
      result && [t("park.result"), `${term("park.result_name", result.result)} · ${t("park.asked", { kw: power(result.asked_kw, 1), measured: power(result.measured_kw, 1) })}${result.reason ? ` · ${result.reason}` : ""}`],
      steering?.left_out_until && [t("park.mark.left_out"), `${term("park.fault", steering.left_out_because)} · ${t("park.until", { time: when(steering.left_out_until, "time") })}`],
      held && [t("park.mark.in_hand"), `${range(held)} · ${held.by}: ${held.reason} · ${t("park.until", { time: when(held.until) })} (${duration((Date.parse(held.until) - context.now()) / 1000)})`],
    ];
  }

  function draw() {
    const { telemetry, ahead, capacity_kwh: capacity } = found;
    const now = context.now() / 1000;
    const past = telemetry.at.map(seconds);
    const steps = ahead ? ahead.power_kw.map((_, i) => i).filter((i) => { const at = seconds(ahead.start) + (i + 1) * ahead.step_s; return at > now && at <= now + AHEAD_S; }) : [];
    const x = [...past, ...steps.map((i) => Math.max(seconds(ahead.start) + i * ahead.step_s, now + 1))];
    const then = (measured, future) => [[...measured, ...steps.map(() => null)], [...past.map(() => null), ...steps.map((i) => future?.[i] ?? null)]];
    const range = [Math.min(past[0] ?? now, now - 3600), (x.at(-1) ?? now) + 60];
    plots.power.update({ x, columns: then(telemetry.power_kw, ahead?.power_kw), now, range });
    say(lacking, found.telemetry_missing);
    stored.hidden = capacity === null;
    const share = (kwh) => (known(kwh) ? (100 * kwh) / capacity : null);
    if (capacity !== null) plots.stored.update({ x, now, range, columns: then(telemetry.soc.map((soc) => (known(soc) ? 100 * soc : null)), ahead?.stored_kwh?.map((_, i) => (i ? share(ahead.stored_kwh[i - 1]) : null))) });
  }

  function takeInHand() {
    const { resource } = found;
    confirm({
      title: t("park.take_title", { name: id }), text: t("park.take_text", { low: power(-resource.max_draw_kw), high: power(resource.max_feed_kw) }), action: t("park.take"),
      fields: [
        { name: "power_kw", label: t("park.take_power"), type: "number", step: "any", min: String(-resource.max_draw_kw), max: String(resource.max_feed_kw), required: true, value: known(resource.power_kw) ? String(Math.round(resource.power_kw)) : "" },
        { name: "for_minutes", label: t("park.take_minutes"), type: "number", min: "1", max: "44640", required: true, value: "60" },
      ],
      act: ({ power_kw: kw, for_minutes: minutes, by, reason }) => send("POST", `${path}/override`, { power_kw: Number(kw), for_minutes: Number(minutes), by, reason }),
    }).then((done) => done && again());
  }

  function giveBack() {
    confirm({
      title: t("park.release_title", { name: id }), text: t("park.release_text"), action: t("park.release"),
      act: (who) => send("DELETE", `${path}/override?${new URLSearchParams(who)}`),
    }).then((done) => done && again());
  }

  return () => Object.values(plots).forEach((one) => one.destroy());
}

const range = (held) => (held.low_kw === held.high_kw ? power(held.low_kw, 1) : `${number(held.low_kw, 1)} … ${power(held.high_kw, 1)}`);

function entries(list, pairs) {
  fill(list, pairs.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}
