// View 3: the plan in sums, what it costs and why, the limits that bind, what changed, and how forecasts do.

import { read } from "../client.js";
import { chart, seconds, stack } from "../chart.js";
import { fill, h, say } from "../dom.js";
import { MISSING, currency, duration, known, money, number, percent, signed, when } from "../format.js";
import { said, tongue } from "../said.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

const COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8"];
const PRICES = { exact: "plan.exact", "from the inside": "plan.inside" };
const NOTHING = 0.005; // of money: less is not shown

function mount(root, context) {
  const head = h("dl", { class: "tiles" });
  const broken = h("div", {});
  const power = h("section", { class: "card" });
  const perMwh = `${currency()}/MWh`;
  const worth = chart({
    title: t("plan.chart_worth"), axes: [{ unit: perMwh }], height: 170,
    series: [
      { label: t("plan.spot"), unit: perMwh, digits: 2, colour: "--price", stepped: true },
      { label: t("plan.value"), unit: perMwh, digits: 2, colour: "--plan", stepped: true, dash: [5, 4] },
    ],
  });
  const net = chart({
    title: t("plan.chart_net"), axes: [{ unit: "kW" }], height: 170,
    series: [
      { label: t("plan.net"), unit: "kW", colour: "--plan", stepped: true },
      { label: t("plan.high"), unit: "kW", colour: "--plan", stepped: true, width: 0 },
      { label: t("plan.low"), unit: "kW", colour: "--plan", stepped: true, width: 0 },
    ],
    bands: [{ upper: 1, lower: 2, colour: "--plan" }],
  });
  const costs = table({
    caption: t("plan.costs"), empty: t("shell.nothing"), mark: (row) => (row.total ? "total" : null),
    columns: [
      { title: t("plan.cause"), text: (row) => row.label },
      { title: `${t("plan.cost")}, ${currency()}`, number: true, text: (row) => number(row.cost, 2), sort: (row) => row.cost },
      { title: t("plan.change"), number: true, text: (row) => (row.change === undefined ? "" : signed(row.change, 2)), sort: (row) => row.change ?? null },
    ],
  });
  const costNote = h("p", { class: "note" });
  const limits = table({
    caption: t("plan.limits"), empty: t("plan.no_limits"),
    columns: [
      { title: t("plan.limit"), text: (row) => row.limit },
      { title: t("plan.steps"), number: true, text: (row) => number(row.steps), sort: (row) => row.steps },
      { title: t("plan.dearest_at"), text: (row) => when(row.dearest_at), sort: (row) => row.dearest_at },
      { title: t("plan.dearest"), number: true, text: (row) => number(row.dearest_per_unit, 4), sort: (row) => row.dearest_per_unit },
      { title: t("plan.sum"), number: true, text: (row) => number(row.sum_per_unit, 4), sort: (row) => row.sum_per_unit },
    ],
  });
  const limitNote = h("p", { class: "note" });
  const changed = h("ul", { class: "why" });
  const changedHead = h("h3", {}, t("plan.changes"));
  const forecast = forecasts(context);
  root.append(head, broken, power,
    h("div", { class: "columns" }, h("section", { class: "card" }, net.element), h("section", { class: "card" }, worth.element)),
    h("div", { class: "columns" }, h("section", { class: "card" }, costs.element, costNote), h("section", { class: "card" }, changedHead, changed)),
    h("section", { class: "card" }, limits.element, limitNote),
    forecast.chart, forecast.skill);

  let stacked = null;
  let kinds = "";
  let found = null;

  context.follow(["plan", "plan_failed"], 3000, async () => {
    found = await read("/v1/plan/page");
    showHead(head, found, context);
    fill(broken, found.broken.map((one) => h("p", { class: "fault" }, t("plan.broken", { limit: one.limit, most: number(one.most, 2), from: when(one.start), until: when(one.end) }))),
      found.broken_left_out ? h("p", { class: "fault" }, t("plan.broken_left_out", { n: found.broken_left_out })) : []);
    showStack();
    const x = times(found);
    const shown = { x, now: context.now() / 1000 };
    net.update({ ...shown, columns: [found.net_kw, found.high_kw, found.low_kw] });
    worth.update({ ...shown, columns: [found.spot_per_mwh, found.value_per_mwh] });
    showCosts();
    limits.update(found.limits);
    say(limitNote, `${t(PRICES[found.shadow_prices] ?? "plan.fixed")}${found.limits_left_out ? ` ${t("plan.left_out", { n: found.limits_left_out })}` : ""}`);
    showChanges();
    forecast.offer(found.series);
  });

  // One filled area a kind, feeding above 0 and drawing below, with their sum as a line.
  function showStack() {
    const names = found.kinds.map((one) => one.kind);
    if (kinds !== names.join()) {
      kinds = names.join();
      stacked?.destroy();
      const areas = names.map((kind, at) => ({ label: term("shell.kind", kind), unit: "kW", colour: COLOURS[at % COLOURS.length], stepped: true, area: true }));
      stacked = chart({ title: t("plan.chart_stack"), axes: [{ unit: "kW" }], height: 270, series: [...areas.reverse(), { label: t("plan.net"), unit: "kW", colour: "--ink", stepped: true, width: 1.5 }] });
      fill(power, stacked.element, h("p", { class: "note" }, t("plan.sign")));
    }
    const own = found.kinds.map((one) => one.power_kw);
    const upon = stack(own);
    stacked.update({ x: times(found), now: context.now() / 1000, columns: [...upon.reverse(), found.net_kw], told: [...[...own].reverse(), found.net_kw] });
  }

  function showCosts() {
    const change = new Map((found.changes?.cost_by_cause ?? []).map((one) => [one.cause, Number(one.cost)]));
    const rows = found.cost_by_cause.map((one) => ({ label: term("plan.cause_name", one.cause.replaceAll(" ", "_")), cost: Number(one.cost), change: change.get(one.cause) }));
    const some = rows.filter((row) => Math.abs(row.cost) >= NOTHING).sort((a, b) => Math.abs(b.cost) - Math.abs(a.cost));
    costs.update(found.cost === null ? [] : [...some, { label: t("plan.total"), cost: Number(found.cost), total: true }]);
    const none = rows.filter((row) => Math.abs(row.cost) < NOTHING).map((row) => row.label);
    say(costNote, none.length ? t("plan.costless", { causes: none.join(", ") }) : "");
  }

  function showChanges() {
    const { changes } = found;
    say(changedHead, changes ? t("plan.changes_since", { plan: changes.since }) : t("plan.changes"));
    fill(changed, changes === null ? h("li", {}, t("plan.first")) : changes.sentences.length ? changes.sentences.map((line) => h("li", { lang: tongue(line) }, said(line))) : h("li", {}, t("plan.unchanged")));
  }

  return () => [stacked, net, worth, forecast].forEach((one) => one?.destroy());
}

function times(found) {
  const first = found.start === null ? 0 : seconds(found.start);
  return found.net_kw.map((_, i) => first + i * found.step_s);
}

function showHead(head, found, context) {
  const tile = (name, value, note) => h("div", { class: "tile" }, h("dt", {}, t(`plan.tile_${name}`)), h("dd", {}, value), h("dd", { class: "note" }, note));
  const none = found.plan_id === null;
  fill(head,
    tile("plan", found.plan_id ?? MISSING, none ? said(found.reason) : t("plan.made", { age: duration((context.now() - Date.parse(found.issued_at)) / 1000), time: when(found.issued_at, "time") })),
    tile("status", term("plan.status", found.status), said(found.reason) || (none ? "" : t("plan.gap", { gap: percent(found.gap, 2), s: number(found.solve_s, 2) }))),
    tile("cost", none ? MISSING : money(found.cost), none ? "" : t("plan.horizon", { hours: number((found.net_kw.length * found.step_s) / 3600, 1), until: when(seconds(found.start) * 1000 + found.net_kw.length * found.step_s * 1000) })),
    tile("strategies", found.strategy_version || MISSING, found.uncertainty || t("plan.one_future")));
}

// ---------------------------------------------------------------- forecasts

function forecasts(context) {
  const choice = h("select", { id: "series", on: { change: () => again() } });
  const place = h("div", {});
  const note = h("p", { class: "note", role: "status" });
  const element = h("section", { class: "card" }, h("h3", {}, t("plan.forecast")), h("p", { class: "field" }, h("label", { for: "series" }, t("plan.series")), choice), place, note);
  const skill = table({
    caption: t("plan.skill"), empty: t("plan.no_skill"), mark: (row) => (known(row.skill) && row.skill < 0 ? "warning" : null),
    columns: [
      { title: t("plan.series"), text: (row) => row.series_id },
      { title: t("plan.lead"), text: (row) => row.lead },
      { title: t("plan.cases"), number: true, text: (row) => number(row.cases), sort: (row) => row.cases },
      { title: t("plan.mae"), number: true, text: (row) => number(row.mae, 2), sort: (row) => row.mae },
      { title: t("plan.naive"), number: true, text: (row) => number(row.naive_mae, 2), sort: (row) => row.naive_mae },
      { title: t("plan.skill_column"), number: true, text: (row) => percent(row.skill, 0), sort: (row) => row.skill },
      { title: t("plan.covered"), number: true, text: (row) => percent(row.coverage80, 0), sort: (row) => row.coverage80 },
      { title: t("plan.model"), text: (row) => row.model },
    ],
  });
  let drawn = null;
  let unit = null;

  const again = context.follow(["plan"], 3000, async () => {
    if (!choice.value) return;
    const { forecasts: [one] } = await read(`/v1/forecasts?series=${encodeURIComponent(choice.value)}`);
    if (unit !== one.unit) {
      unit = one.unit;
      drawn?.destroy();
      const line = (key, more) => ({ label: t(`plan.${key}`), unit, digits: 1, colour: "--price", stepped: true, ...more });
      drawn = chart({
        title: t("plan.chart_forecast"), axes: [{ unit }], height: 200,
        series: [line("mean", {}), line("q90", { width: 0 }), line("q70", { width: 0 }), line("q30", { width: 0 }), line("q10", { width: 0 })],
        bands: [{ upper: 1, lower: 4, colour: "--price" }, { upper: 2, lower: 3, colour: "--price" }],
      });
      fill(place, drawn.element);
    }
    const at = (level) => one.quantiles[one.levels.indexOf(level)] ?? one.values.map(() => null);
    const first = seconds(one.start);
    drawn.update({ x: one.values.map((_, i) => first + i * one.step_s), columns: [one.values, at(0.9), at(0.7), at(0.3), at(0.1)], now: context.now() / 1000 });
    say(note, t("plan.issued", { model: one.model, time: when(one.issued_at) }));
  });
  context.follow(["settlement", "forecast_skill"], 60000, async () => {
    const found = await read("/v1/forecasts/scores");
    skill.update(found.scores);
  });

  return {
    chart: element,
    skill: h("section", { class: "card" }, skill.element, h("p", { class: "note" }, t("plan.skill_note"))),
    offer(series) {
      const before = choice.value;
      fill(choice, series.map((one) => h("option", { value: one.series_id, selected: one.series_id === before }, `${one.series_id}, ${one.unit}`)));
      if (choice.value !== before) again();
    },
    destroy: () => drawn?.destroy(),
  };
}

export default { title: "plan.title", mount };
