// The page: one event stream says that something changed, and what changed is read again.

import { Charts } from "/static/charts.js";
import { fill, number } from "/static/tables.js";

const at = (id) => document.getElementById(id);
let charts = null;
let clock = null;
let currency = "";
let newest = null;

async function read(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`${path} answers ${response.status}`);
  return response.json();
}

// Runs `work` at most once in `ms`, never twice at a time, and once more if asked meanwhile.
function paced(ms, work) {
  let asked = false;
  let busy = false;
  async function turn() {
    busy = true;
    asked = false;
    try {
      await work();
    } catch (error) {
      console.warn(String(error));
    }
    setTimeout(() => {
      busy = false;
      if (asked) turn();
    }, ms);
  }
  return () => {
    asked = true;
    if (!busy) turn();
  };
}

const refresh = {
  park: paced(900, showPark),
  plan: paced(2000, async () => charts.plan((await read("/v1/plan")).schedule)),
  bids: paced(3000, showBids),
  resources: paced(3000, showResources),
  statements: paced(10000, showStatements),
};

at("stop").addEventListener("click", async () => {
  // Whoever stops says why; two persons release it, by the API.
  const reason = window.prompt("Stop all bids and set-points 急停. Why? 原因");
  if (reason === null) return;
  const response = await fetch("/v1/kill", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ killed: true, reason: reason.trim().padEnd(3, "."), by: "the page" }),
  });
  if (!response.ok) window.alert((await response.json()).detail);
  refresh.park();
});

const STATES = {
  normal: ["Normal 正常", "good"], no_new_bids: ["No new bids 停止报价", "warn"],
  hold: ["Hold 保持", "warn"], release: ["Release 释放", "warn"], killed: ["Killed 急停", "bad"],
};

async function showPark() {
  const park = await read(newest ? `/v1/park?trace_after=${encodeURIComponent(newest)}` : "/v1/park");
  if (!charts) {
    currency = park.currency;
    const format = new Intl.DateTimeFormat("en-GB", {
      timeZone: park.timezone, weekday: "short", day: "2-digit", month: "short", year: "numeric",
      hour: "2-digit", minute: "2-digit", timeZoneName: "short",
    });
    clock = (text) => (text ? format.format(new Date(text)) : "–");
    charts = new Charts(park.timezone, currency);
    at("park").textContent = park.name;
    document.title = `${park.name} 虚拟电厂`;
  }
  const { trace } = park;
  const last = trace.at.length - 1;
  charts.extend(park.now, trace);
  if (last >= 0) {
    newest = trace.at[last];
    showTiles(trace, last);
  }
  at("clock").textContent = clock(park.now);
  at("power").textContent = `${number(park.power_kw)} kW`;
  at("power-note").textContent = park.power_kw === null ? "a main meter is not heard" : park.power_kw < 0 ? "drawn from the grid" : "fed into the grid";
  at("money").textContent = number(park.money_so_far, 2);
  at("money-note").textContent = `${currency}, market and network`;
  at("telemetry").textContent = number(park.telemetry_accepted);
  at("telemetry-note").textContent = `messages; ${number(park.telemetry_lost)} lost, ${number(park.telemetry_refused)} refused`;
  showState(park);
}

function showTiles(trace, i) {
  at("planned").textContent = `${number(trace.planned_kw[i])} kW`;
  at("planned-note").textContent = trace.owed_kw[i] === null ? "" : `sold ${number(trace.owed_kw[i])} kW`;
  at("price").textContent = number(trace.spot_per_mwh[i], 2);
  at("price-note").textContent = `${currency}/MWh now`;
  const capacity = trace.capacity_kwh[i];
  const known = capacity && trace.stored_kwh[i] !== null;
  at("stored").textContent = known ? `${number((100 * trace.stored_kwh[i]) / capacity, 1)} %` : "–";
  at("stored-note").textContent = known ? `${number(trace.stored_kwh[i])} of ${number(capacity)} kWh` : "";
}

function showState(park) {
  const [text, look] = STATES[park.safe_state];
  at("state").textContent = text;
  at("state").className = `badge ${look}`;
  const why = [];
  if (park.safe_state !== "normal") why.push(park.safe_state_reason);
  if (!park.broker_connected) why.push(`the broker is away since ${clock(park.broker_since)}`);
  at("why").textContent = why.join("; ");
  at("why").hidden = !why.length;
}

async function showBids() {
  const listed = (await read("/v1/markets")).products;
  showRules(listed);
  const products = listed.filter((p) => p.biddable);
  const lists = await Promise.all(products.map((p) => read(`/v1/markets/${p.product}/bids?limit=20`)));
  const rows = lists
    .flatMap((list) => list.bid_sets.map((s) => ({ ...s, product: list.product, mark: s.status })))
    .sort((a, b) => Date.parse(b.issued_at) - Date.parse(a.issued_at))
    .slice(0, 16);
  fill(at("bids"), [
    { title: "Product 产品", text: (r) => r.product },
    { title: "Delivery 交付", text: (r) => clock(r.delivery.start) },
    { title: "Status 状态", text: (r) => r.status },
    { title: "Bids", number: true, text: (r) => number(r.bids) },
    { title: "Offered to sell, MWh", number: true, text: (r) => number(r.offered_sell_mwh, 3) },
    { title: "Offered to buy, MWh", number: true, text: (r) => number(r.offered_buy_mwh, 3) },
    { title: "Sold 售出, MWh", number: true, text: (r) => number(r.sold_mwh, 3) },
    { title: "Bought 购入, MWh", number: true, text: (r) => number(r.bought_mwh, 3) },
    { title: "Proceeds 收入", number: true, text: (r) => `${number(r.proceeds, 2)} ${r.currency}` },
  ], rows, "No bids yet; a market asks before its gate closes.");
  charts.owed(await Promise.all(products.map((p) => read(`/v1/markets/${p.product}/deliveries`))));
}

function showRules(products) {
  fill(at("rules"), [
    { title: "Product 产品", text: (p) => p.product },
    { title: "Version 版本", text: (p) => p.version },
    { title: "Market 市场", text: (p) => p.market },
    { title: "Bids 报价", text: (p) => (p.biddable ? "yes" : `no: ${p.not_biddable}`) },
    { title: "Unverified 未核实", text: (p) => p.unverified.join(", ") || "nothing" },
    { title: "Waived 豁免", text: (p) => p.waived.map((w) => `${w.fields.join(", ")} (${w.by}, ${w.date})`).join("; ") },
  ], products, "This park names no market.");
}

async function showResources() {
  const [{ resources }, control] = await Promise.all([read("/v1/resources"), read("/v1/control")]);
  charts.resources(resources);
  const steering = new Map(control.resources.map((s) => [s.resource_id, s]));
  const power = (kw) => number(kw, 1);
  const rows = resources.map((r) => ({ ...r, steering: steering.get(r.resource_id), mark: r.known ? "" : "unknown" }));
  fill(at("resources"), [
    { title: "Resource 资源", text: (r) => r.resource_id },
    { title: "Kind 类型", text: (r) => r.kind },
    { title: "Enterprise 企业", text: (r) => r.enterprise_id },
    { title: "Power 功率, kW", number: true, text: (r) => power(r.power_kw) },
    { title: "Planned 计划, kW", number: true, text: (r) => power(r.planned_kw) },
    { title: "Set-point 指令, kW", number: true, text: (r) => (r.setpoint?.in_force ? power(r.setpoint.power_kw) : "–") },
    { title: "Decides 裁决", text: (r) => r.steering?.won_by ?? "–" },
    { title: "Steering 执行", text: steered },
    { title: "State 状态", text: detail },
    { title: "Age, s", number: true, text: (r) => number(r.age_s) },
  ], rows, "This park has no resources.");
}

function steered(r) {
  const s = r.steering;
  if (!s) return "–";
  const parts = [s.stage.replaceAll("_", " ")];
  if (s.left_out_because) parts.push(`left out until ${clock(s.left_out_until)}: ${s.left_out_because.replaceAll("_", " ")}`);
  if (s.override?.state === "in_force") parts.push(`in hand of ${s.override.by} until ${clock(s.override.until)}`);
  const result = s.running_result ?? s.last_result;
  if (result) parts.push(result.result);
  return parts.join(", ");
}

function detail(r) {
  if (!r.known) return r.reason;
  const parts = [];
  if (r.soc !== null) parts.push(`${number(100 * r.soc, 1)} % charged`);
  if (r.temperature_degc !== null) parts.push(`${number(r.temperature_degc, 1)} °C`);
  if (r.phase !== null) parts.push(r.phase);
  if (r.cars !== null) parts.push(`${r.cars} cars`);
  return parts.join(", ") || "good";
}

async function showStatements() {
  const found = await read("/v1/statements");
  const items = [...new Set(found.statements.flatMap((s) => s.lines.map((l) => l.item)))];
  const sum = (s, item) => s.lines.filter((l) => l.item === item).reduce((total, l) => total + Number(l.amount), 0);
  const rows = found.statements.map((s) => ({ ...s }));
  if (rows.length) rows.push({ name: "Together 合计", lines: found.statements.flatMap((s) => s.lines), total: found.total, mark: "total" });
  fill(at("statements"), [
    { title: "Enterprise 企业", text: (s) => s.name + (s.provisional ? " *" : "") },
    ...items.map((item) => ({ title: item.replaceAll("_", " "), number: true, text: (s) => number(sum(s, item), 2) })),
    { title: `Total 合计, ${found.currency}`, number: true, text: (s) => number(s.total, 2) },
    { title: "Drawn, kWh", number: true, text: (s) => (s.import_kwh ? number(s.import_kwh) : "") },
    { title: "Fed, kWh", number: true, text: (s) => (s.export_kwh ? number(s.export_kwh) : "") },
    { title: "CO₂, kg", number: true, text: (s) => (s.carbon_kgco2 === undefined ? "" : number(s.carbon_kgco2)) },
  ], rows, "Nothing is settled yet; the first interval is, two minutes after it ends.");
  at("provisional").hidden = !found.statements.some((s) => s.provisional);
}

let events = [];
const showEvents = paced(500, async () => {
  fill(at("events"), [
    { title: "Time 时间", text: (e) => clock(e.at) },
    { title: "Kind 类型", text: (e) => e.kind },
    { title: "What 内容", text: (e) => e.text },
  ], events.map((e) => ({ ...e, mark: e.severity })), "Nothing has happened yet.");
});

function happened(event) {
  refresh.park();
  refresh.resources();
  if (event.kind === "tick") return;
  events = [event, ...events].slice(0, 100);
  showEvents();
  refresh.bids();
  if (event.kind === "settlement") refresh.statements();
  if (event.kind.startsWith("plan")) refresh.plan();
}

function listen() {
  const stream = new EventSource("/v1/events");
  stream.onopen = () => {
    at("line").textContent = "live 实时";
    at("line").className = "badge good";
    Object.values(refresh).forEach((again) => again());
  };
  stream.onerror = () => {
    at("line").textContent = "no connection 断线";
    at("line").className = "badge bad";
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
  stream.onmessage = (message) => happened(JSON.parse(message.data));
}

async function start() {
  try {
    await showPark(); // everything else needs its time zone and its charts
    events = (await read("/v1/events?format=json&limit=100")).events.reverse();
    showEvents();
  } catch (error) {
    console.warn(String(error));
    setTimeout(start, 3000);
    return;
  }
  listen();
}

start();
