// View 5: statements by day, month and enterprise, settlement by interval, and what both still wait for.

import { read } from "../client.js";
import { chart, seconds } from "../chart.js";
import { fill, h } from "../dom.js";
import { MISSING, carbon, currency, energy, money, number, when } from "../format.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

const KINDS = ["settlement", "settlement_given_up", "demand_response"];

function mount(root, context) {
  let [period, owner] = context.params;
  const choice = h("select", { id: "period", on: { change: () => go(choice.value, whose.value) } });
  const whose = h("select", { id: "enterprise", on: { change: () => go(choice.value, whose.value) } });
  const tables = h("span", { class: "cell-acts" });
  const tiles = h("dl", { class: "tiles" });
  const books = statementTable();
  const details = lineTable();
  const wait = waitTable();
  const waiting = h("section", { class: "card", hidden: true }, wait.element, h("p", { class: "note" }, t("accounts.waits_note")));
  const daily = h("p", { class: "note", hidden: true }, t("accounts.of_a_day"));
  const settled = settlement();
  const card = h("section", { class: "card" }, settled.plot.element, settled.list.element);
  root.append(
    h("div", { class: "tools" }, h("label", { for: "period" }, t("accounts.period")), choice, h("label", { for: "enterprise" }, t("accounts.enterprise")), whose, tables),
    tiles, waiting, h("section", { class: "card" }, books.element, h("p", { class: "note" }, t("accounts.sign"))),
    h("section", { class: "card" }, details.element), daily, card);

  function go(to, of) {
    location.hash = `#/accounts/${to}${of ? `/${encodeURIComponent(of)}` : ""}`;
  }

  context.follow(KINDS, 3000, async () => {
    const periods = await read("/v1/accounts/periods");
    const all = [...periods.days, ...periods.months];
    if (!all.some((one) => one.period === period)) period = all[0]?.period;
    fill(choice, ["days", "months"].map((kind) => h("optgroup", { label: t(`accounts.${kind}`) }, periods[kind].map((one) =>
      h("option", { value: one.period, selected: one.period === period }, one.provisional ? t("accounts.open_period", { period: one.period, n: one.provisional }) : one.period)))));
    if (!period) {
      fill(tiles, h("div", { class: "tile" }, h("dt", {}, t("accounts.total")), h("dd", {}, MISSING), h("dd", { class: "note" }, t("accounts.nothing"))));
      return;
    }
    const whole = period.length === "2025-12".length;
    const [found, intervals] = await Promise.all([
      read(`/v1/accounts/statements?period=${period}`), whole ? null : read(`/v1/accounts/settlement?period=${period}`)]);
    const known = found.statements.some((one) => one.enterprise_id === owner);
    fill(whose, h("option", { value: "" }, t("accounts.all")), found.statements.map((one) => h("option", { value: one.enterprise_id, selected: known && one.enterprise_id === owner }, one.name)));
    const shown = known ? found.statements.filter((one) => one.enterprise_id === owner) : found.statements;
    showTiles(tiles, found, shown);
    books.update(shown);
    details.update(shown.flatMap((one) => one.lines.map((line, place) => ({ ...line, place, owner: one }))));
    waiting.hidden = found.waits.length === 0;
    wait.update(found.waits);
    const of = known ? `&enterprise=${encodeURIComponent(owner)}` : "";
    fill(tables, link(`/v1/accounts/statements?period=${period}${of}&format=csv`, "accounts.csv_statements"), link(`/v1/accounts/settlement?period=${period}&format=csv`, "accounts.csv_settlement"));
    card.hidden = whole;
    daily.hidden = !whole;
    if (intervals) settled.show(intervals.intervals);
  });
  return () => settled.plot.destroy();
}

const link = (href, key) => h("a", { href, download: "" }, t(key));
const sum = (list, of) => list.reduce((all, one) => all + Number(of(one)), 0);

function showTiles(root, found, shown) {
  const tile = (key, text, note) => h("div", { class: "tile" }, h("dt", {}, t(`accounts.${key}`)), h("dd", { id: `sum-${key}` }, text), h("dd", { class: "note" }, note ?? ""));
  const open = shown.filter((one) => one.provisional).length;
  fill(root,
    tile("total", money(sum(shown, (one) => one.total)), open ? t("accounts.provisional") : t("accounts.final")),
    tile("import", energy(sum(shown, (one) => one.import_kwh))), tile("export", energy(sum(shown, (one) => one.export_kwh))),
    tile("carbon", carbon(sum(shown, (one) => one.carbon_kgco2)), sum(shown, (one) => one.carbon_by_figure_kwh) > 0 ? t("accounts.by_figure", { part: energy(sum(shown, (one) => one.carbon_by_figure_kwh)) }) : ""),
    tile("until", found.span ? when(found.span.end) : MISSING, found.span ? t("accounts.from", { start: when(found.span.start) }) : ""));
}

const ITEMS = ["energy_spot", "trading_share", "network_energy", "demand_charge", "call_compensation", "demand_response", "reserve"];
const ofItem = (row, item) => sum(row.lines.filter((line) => line.item === item || (item === "demand_response" && line.item === "demand_response_penalty")), (line) => line.amount);

function statementTable() {
  const column = (item) => ({ title: term("accounts.item", item), number: true, text: (row) => number(ofItem(row, item), 2), sort: (row) => ofItem(row, item) });
  return table({
    caption: t("accounts.statements", { currency: currency() }), empty: t("accounts.nothing"), key: (row) => row.enterprise_id,
    columns: [
      { title: t("accounts.enterprise"), text: (row) => row.name, node: (row) => h("a", { href: `#/member/${encodeURIComponent(row.enterprise_id)}` }, row.name) },
      { title: t("accounts.total"), number: true, text: (row) => number(row.total, 2), node: (row) => h("strong", {}, number(row.total, 2)), sort: (row) => Number(row.total) },
      ...ITEMS.map(column),
      { title: t("accounts.baseline"), number: true, text: (row) => number(row.baseline_kwh), sort: (row) => Number(row.baseline_kwh) },
      { title: t("accounts.state"), node: (row) => h("span", { class: `badge ${row.provisional ? "warn" : "good"}` }, t(row.provisional ? "accounts.provisional" : "accounts.final")), text: (row) => String(row.provisional) },
    ],
  });
}

function lineTable() {
  return table({
    caption: t("accounts.lines"), empty: t("accounts.nothing"), key: (row) => `${row.owner.enterprise_id} ${row.place}`,
    columns: [
      { title: t("accounts.enterprise"), text: (row) => row.owner.name },
      { title: t("accounts.what"), text: (row) => term("accounts.item", row.item) },
      { title: t("accounts.detail"), text: (row) => row.detail },
      { title: t("accounts.energy"), number: true, text: (row) => (Number(row.energy_kwh) ? number(row.energy_kwh, 1) : ""), sort: (row) => Number(row.energy_kwh) },
      { title: t("accounts.amount", { currency: currency() }), number: true, text: (row) => number(row.amount, 2), sort: (row) => Number(row.amount) },
    ],
  });
}

function waitTable() {
  return table({
    caption: t("accounts.waits"), empty: t("accounts.nothing"), mark: (row) => (row.given_up ? "alarm" : "warning"), key: (row) => `${row.what} ${row.name} ${row.given_up}`,
    columns: [
      { title: t("accounts.for"), text: (row) => term("accounts.wait", row.what) },
      { title: t("accounts.name"), text: (row) => row.name },
      { title: t("accounts.quarters"), number: true, text: (row) => number(row.intervals), sort: (row) => row.intervals },
      { title: t("accounts.span"), text: (row) => `${when(row.start)} – ${when(row.end)}`, sort: (row) => row.start },
      { title: t("accounts.state"), text: (row) => t(row.given_up ? "accounts.given_up" : "accounts.by_itself") },
    ],
  });
}

function settlement() {
  const plot = chart({
    title: t("accounts.by_interval"), axes: [{ unit: currency() }, { scale: "kwh", unit: "kWh", side: 1 }], empty: t("accounts.nothing"),
    series: [
      { label: t("accounts.venue"), unit: currency(), digits: 2, colour: "--sold", stepped: true, fill: 0.2 },
      { label: t("accounts.net"), unit: "kWh", colour: "--actual", stepped: true, scale: "kwh" },
    ],
  });
  const of = (row, kind) => sum(row.lines.filter((line) => line.kind === kind), (line) => line.amount);
  const column = (kind) => ({ title: term("accounts.line", kind), number: true, text: (row) => number(of(row, kind), 2), sort: (row) => of(row, kind) });
  const list = table({
    caption: t("accounts.settlement", { currency: currency() }), empty: t("accounts.nothing"), key: (row) => row.start, mark: (row) => (row.provisional ? "warning" : null),
    columns: [
      { title: t("accounts.interval"), text: (row) => when(row.start), sort: (row) => row.start },
      { title: t("accounts.net_kwh"), number: true, text: (row) => number(row.net_kwh, 1), sort: (row) => Number(row.net_kwh) },
      { title: t("accounts.spot"), number: true, text: (row) => number(row.day_ahead_per_mwh, 2), sort: (row) => Number(row.day_ahead_per_mwh) },
      ...["day_ahead", "quarter_hour", "contract", "imbalance", "deviation"].map(column),
      { title: t("accounts.sum"), number: true, text: (row) => number(row.amount, 2), sort: (row) => Number(row.amount) },
      { title: t("accounts.state"), text: (row) => t(row.provisional ? "accounts.provisional" : "accounts.final") },
    ],
  });
  return {
    plot, list,
    show(rows) {
      const end = rows.length ? seconds(rows.at(-1).end) : null;
      const closed = (values) => (rows.length ? [...values, values.at(-1)] : []);
      plot.update({ x: rows.length ? [...rows.map((row) => seconds(row.start)), end] : [], columns: [closed(rows.map((row) => Number(row.amount))), closed(rows.map((row) => Number(row.net_kwh)))] });
      list.update(rows);
    },
  };
}

export default { title: "accounts.title", style: "accounts", mount };
