// View 1: the state of the plant at a glance, and what waits for somebody.

import { read } from "../client.js";
import { chart, seconds } from "../chart.js";
import { fill, h, say } from "../dom.js";
import { MISSING, carbon, currency, duration, energy, known, money, number, percent, power, price, when } from "../format.js";
import { said } from "../said.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

const DAY_S = 86400;
const LEAST_PAST_S = 3 * 3600;
const TICK_COLUMNS = ["park_kw", "planned_kw", "owed_kw", "spot_per_mwh", "stored_kwh", "capacity_kwh"];

function mount(root, context) {
  const tiles = Object.fromEntries(["power", "planned", "price", "position", "stored", "money", "carbon", "energy"].map((name) => [name, tile(name)]));
  const charts = drawn();
  const todo = table({
    caption: t("overview.todo"), empty: t("overview.nothing_to_do"), key: (row) => `${row.what} ${row.name} ${row.at}`,
    mark: (row) => (row.what === "held_bid" || row.what === "release" ? "warning" : null),
    columns: [
      { title: t("overview.closes_in"), text: (row) => left(row), sort: (row) => row.at ?? "9" },
      { title: t("overview.what"), node: (row) => what(row), text: (row) => row.name },
      { title: t("overview.delivery"), text: (row) => (row.delivery ? when(row.delivery.start) : MISSING), sort: (row) => row.delivery?.start ?? null },
      { title: t("overview.state"), node: (row) => h("span", { class: `badge ${LOOKS[row.state] ?? ""}` }, term("overview.todo_state", row.state)), text: (row) => row.state },
      { title: t("overview.detail"), text: (row) => said(row.detail) },
    ],
  });
  root.append(
    h("dl", { class: "tiles" }, Object.values(tiles).map((one) => one.element)),
    h("section", { class: "card" }, charts.power.element, h("p", { class: "note" }, t("overview.sign"))),
    h("div", { class: "columns" }, h("section", { class: "card" }, charts.price.element), h("section", { class: "card" }, charts.stored.element)),
    h("section", { class: "card" }, todo.element));

  const left = (row) => (row.at ? `${duration((Date.parse(row.at) - context.now()) / 1000)} · ${when(row.at, "time")}` : t("overview.open_end"));
  let found = null;
  let trace = null;
  let ticked = null;

  function draw() {
    if (!found) return;
    showTiles(tiles, found, context.now());
    showCharts(charts, found, trace, context.now() / 1000);
  }

  context.follow(["plan", "plan_failed", "settlement", "award", "bid", "withdrawal", "gate_missed", "bid_held", "bid_approved", "kill", "override", "demand_response"], 700, async () => {
    found = await read("/v1/overview");
    trace = { at: found.trace.at.map(seconds), ...Object.fromEntries(TICK_COLUMNS.map((name) => [name, found.trace[name]])) };
    // A tick that came while the answer was on its way is newer than it.
    if (ticked) extend(found, trace, ticked);
    todo.update(found.todo);
    draw();
  });
  let shown = 0;
  context.live(["tick"], (event) => {
    ticked = event;
    if (!found) return;
    extend(found, trace, event);
    // On a fast clock many ticks come in a second; the eye needs two.
    if (performance.now() - shown < 450) return;
    shown = performance.now();
    draw();
    todo.update(found.todo);
  });
  context.every(10000, draw);
  return () => Object.values(charts).forEach((one) => one.destroy());
}

const LOOKS = { open: "warn", bid: "good", waits: "bad", shadow: "", in_force: "warn", not_yet: "" };

function tile(name) {
  const value = h("dd", { id: name }, MISSING);
  const note = h("dd", { class: "note", id: `${name}-note` });
  return { value, note, element: h("div", { class: "tile" }, h("dt", {}, t(`overview.tile_${name}`)), value, note) };
}

function drawn() {
  const line = (key, colour, more) => ({ label: t(`overview.${key}`), unit: "kW", colour, ...more });
  return {
    power: chart({
      title: t("overview.chart_power"), axes: [{ unit: "kW" }], height: 260,
      series: [
        line("measured", "--actual", { width: 2 }), line("plan", "--plan", { stepped: true }), line("sold", "--sold", { stepped: true, dash: [6, 4] }),
        line("high", "--plan", { stepped: true, width: 0 }), line("low", "--plan", { stepped: true, width: 0 }),
      ],
      bands: [{ upper: 3, lower: 4, colour: "--plan" }],
    }),
    price: chart({
      title: t("overview.chart_price"), axes: [{ unit: `${currency()}/MWh` }], height: 170,
      series: [
        { label: t("overview.price_known"), unit: `${currency()}/MWh`, digits: 2, colour: "--price", stepped: true },
        { label: t("overview.price_plan"), unit: `${currency()}/MWh`, digits: 2, colour: "--price", stepped: true, dash: [5, 4] },
      ],
    }),
    stored: chart({
      title: t("overview.chart_stored"), axes: [{ unit: "%" }], height: 170,
      series: [
        { label: t("overview.measured"), unit: "%", digits: 1, colour: "--actual", fill: 0.08 },
        { label: t("overview.plan"), unit: "%", digits: 1, colour: "--plan", dash: [5, 4] },
      ],
    }),
  };
}

// What a tick tells is what the next answer would: the newest moment of the trace, and the tiles of now.
function extend(found, trace, event) {
  const at = seconds(event.at);
  if (trace.at.length && at <= trace.at.at(-1)) return;
  trace.at.push(at);
  for (const name of TICK_COLUMNS) trace[name].push(event.data[name] ?? null);
  Object.assign(found, {
    power_kw: event.data.park_kw, planned_kw: event.data.planned_kw, owed_kw: event.data.owed_kw,
    spot_per_mwh: event.data.spot_per_mwh, stored_kwh: event.data.stored_kwh, power_at: event.data.park_kw === null ? null : event.at,
  });
  if (event.data.park_kw !== null) found.silent_meters = [];
  const old = trace.at.findIndex((one) => one > at - DAY_S);
  if (old > 60) for (const column of Object.values(trace)) column.splice(0, old);
}

const NAMED = 3; // meters; of a fleet thousands may be silent

function silence(meters) {
  const names = meters.slice(0, NAMED).join(", ") || "?";
  return meters.length > NAMED
    ? t("overview.no_meters", { names, n: meters.length - NAMED })
    : t("overview.no_meter", { names });
}

function showTiles(tiles, found, now) {
  const put = (name, value, note) => {
    say(tiles[name].value, value);
    say(tiles[name].note, note);
  };
  const since = (moment) => duration((now - Date.parse(moment)) / 1000);
  const { today } = found;
  put("power", power(found.power_kw), found.power_kw === null
    ? silence(found.silent_meters)
    : t(found.power_kw < 0 ? "overview.drawn" : "overview.fed", { age: since(found.power_at) }));
  put("planned", power(found.planned_kw), found.plan_id === null ? t("overview.no_plan") : t("overview.made", { plan: found.plan_id, age: since(found.plan_issued_at) }));
  put("price", price(found.spot_per_mwh), found.spot_per_mwh === null ? t("overview.no_price") : t("overview.published", { series: found.price_series }));
  const traded = found.position.filter((line) => Number(line.sold_mw) !== 0);
  put("position", found.owed_kw === null && !traded.length ? MISSING : power(found.owed_kw ?? 1000 * traded.reduce((sum, line) => sum + Number(line.sold_mw), 0)),
    traded.map((line) => `${line.product} ${number(line.sold_mw, 3)} MW`).join(", ") || t("overview.no_position"));
  put("stored", known(found.stored_kwh) && found.capacity_kwh ? percent(found.stored_kwh / found.capacity_kwh, 1) : MISSING,
    known(found.stored_kwh) ? t("overview.of", { part: number(found.stored_kwh), whole: energy(found.capacity_kwh) }) : t("overview.store_unknown"));
  const until = today.settled_until ? t(today.provisional ? "overview.until_provisional" : "overview.until", { time: when(today.settled_until, "time") }) : t("overview.not_settled");
  put("money", today.settled_until ? money(today.money) : MISSING, until);
  put("carbon", today.settled_until ? carbon(today.carbon_kgco2) : MISSING,
    today.settled_until ? t(today.carbon_by_figure_share > 0 ? "overview.carbon_figure" : "overview.carbon_series", { share: percent(today.carbon_by_figure_share ?? 0) }) : t("overview.not_settled"));
  put("energy", today.settled_until ? energy(today.import_kwh) : MISSING, today.settled_until ? t("overview.exported", { kwh: energy(today.export_kwh) }) : t("overview.not_settled"));
}

function showCharts(charts, found, trace, now) {
  const steps = [];
  const { ahead } = found;
  if (ahead) for (let i = 0; i < ahead.net_kw.length; i += 1) if (seconds(ahead.start) + (i + 1) * ahead.step_s > now) steps.push(i);
  // The step that runs begins now, not where it began: behind the line is what was measured.
  const starts = steps.map((i) => Math.max(seconds(ahead.start) + i * ahead.step_s, now + 1));
  const x = [...trace.at, ...starts];
  const then = (past, future) => [...past, ...steps.map((i) => future?.[i] ?? null)];
  const none = trace.at.map(() => null);
  const shown = { x, now, range: [Math.max(Math.min(trace.at[0] ?? now, now - LEAST_PAST_S), now - DAY_S), (starts.at(-1) ?? now) + 900] };
  charts.power.update({ ...shown, columns: [then(trace.park_kw), then(trace.planned_kw, ahead?.net_kw), then(trace.owed_kw, ahead?.sold_kw), then(none, ahead?.high_kw), then(none, ahead?.low_kw)] });
  const published = trace.spot_per_mwh;
  charts.price.update({ ...shown, columns: [then(published), then(published.map((v, i) => (i === published.length - 1 ? v : null)), ahead?.spot_per_mwh)] });
  const share = (kwh) => (known(kwh) && found.capacity_kwh ? (100 * kwh) / found.capacity_kwh : null);
  // A plan tells what is stored at the end of a step: the beginning of the next.
  const planned = ahead?.stored_kwh.map((_, i) => (i ? share(ahead.stored_kwh[i - 1]) : null));
  charts.stored.update({ ...shown, columns: [then(trace.stored_kwh.map(share)), then(none, planned)] });
}

function what(row) {
  const text = h("span", {}, `${term("overview.todo_what", row.what)}: `);
  const target = { gate: `#/market/${encodeURIComponent(row.name)}`, held_bid: `#/market/${encodeURIComponent(row.name)}`, invitation: `#/market/${encodeURIComponent(row.name)}`, override: `#/park/${encodeURIComponent(row.name)}`, release: "#/desk" }[row.what];
  return fill(text, `${term("overview.todo_what", row.what)}: `, h("a", { href: target }, row.name));
}

export default { title: "overview.title", mount };
