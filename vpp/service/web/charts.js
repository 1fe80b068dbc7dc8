// Four charts on one time axis: the past from the trace, the future from the newest plan.
/* global uPlot */

const HOUR = 3600;
const PAST = 24 * HOUR;
const FUTURE = 12 * HOUR;
const HEIGHT = 225; // the legend comes below
const COLOUR = {
  actual: "#0f766e", plan: "#c2570c", sold: "#6d3fc0", price: "#1d6fb8", quiet: "#8a98a6",
};
const PRODUCTS = ["#6d3fc0", "#c2570c", "#0f766e", "#b3261e"];

const seconds = (text) => Date.parse(text) / 1000;
const stepped = (align) => uPlot.paths.stepped({ align });

// A vertical line where the present is.
function presentLine(model) {
  return {
    hooks: {
      draw: (u) => {
        const x = Math.round(u.valToPos(model.now, "x", true));
        if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
        u.ctx.save();
        u.ctx.strokeStyle = COLOUR.quiet;
        u.ctx.setLineDash([4, 4]);
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.bbox.top);
        u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
        u.ctx.stroke();
        u.ctx.restore();
      },
    },
  };
}

const digits = (most) => new Intl.NumberFormat("en", { maximumFractionDigits: most });
const told = (unit, most) => {
  const format = digits(most);
  return (u, value) => (value == null ? "–" : `${format.format(value)} ${unit}`);
};

function axis(label, scale = "y", side = 3, grid = true) {
  return {
    scale, side, label, labelSize: 18, labelGap: 0, size: 58, font: "12px system-ui",
    labelFont: "12px system-ui", stroke: "#5b6b7b", grid: { show: grid, stroke: "#edf1f4" },
    ticks: { stroke: "#dde4ea" },
    values: (u, splits) => splits.map((v) => digits(2).format(v)),
  };
}

class Chart {
  constructor(element, model, series, axes) {
    this.element = element;
    this.model = model;
    this.series = series;
    this.axes = axes;
    this.plot = null;
    new ResizeObserver(() => this.resize()).observe(element);
  }

  size() {
    return { width: Math.max(this.element.clientWidth, 200), height: HEIGHT };
  }

  resize() {
    if (this.plot) this.plot.setSize(this.size());
  }

  draw(data) {
    if (this.plot) {
      this.plot.setData(data);
      return;
    }
    const model = this.model;
    this.plot = new uPlot({
      ...this.size(),
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), model.zone),
      cursor: { sync: { key: "park" }, drag: { x: false, y: false } },
      scales: { x: { range: () => model.range() } },
      series: [
        { label: "Time", value: (u, v) => (v == null ? "–" : model.clock(v * 1000)) },
        ...this.series,
      ],
      axes: [
        {
          font: "12px system-ui", stroke: "#5b6b7b", grid: { stroke: "#edf1f4" }, ticks: { stroke: "#dde4ea" }, size: 46,
          values: [
            [86400, "{DD} {MMM}", null, null, null, null, null, null, 1],
            [3600, "{HH}:{mm}", "\n{DD} {MMM}", null, "\n{DD} {MMM}", null, null, null, 1],
            [60, "{HH}:{mm}", "\n{DD} {MMM}", null, "\n{DD} {MMM}", null, null, null, 1],
            [1, "{HH}:{mm}:{ss}", "\n{DD} {MMM}", null, "\n{DD} {MMM}", null, null, null, 1],
          ],
        },
        ...this.axes,
      ],
      plugins: [presentLine(model)],
    }, data, this.element);
  }
}

export class Charts {
  constructor(zone, currency) {
    this.zone = zone;
    this.currency = currency;
    this.now = 0;
    this.first = 0;
    this.trace = { at: [], park_kw: [], planned_kw: [], owed_kw: [], spot_per_mwh: [], stored_kwh: [], capacity_kwh: [], money: [] };
    this.schedule = null;
    this.electric = new Set();
    this.deliveries = new Map();
    const format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" });
    this.clock = (ms) => format.format(new Date(ms));
    const at = (id) => document.getElementById(id);
    this.power = new Chart(at("chart-power"), this, [
      { label: "Measured", stroke: COLOUR.actual, width: 2, value: told("kW", 0) },
      { label: "Planned", stroke: COLOUR.plan, width: 1.5, paths: stepped(1), value: told("kW", 0) },
      { label: "Sold", stroke: COLOUR.sold, width: 1.5, dash: [6, 4], paths: stepped(1), value: told("kW", 0) },
    ], [axis("kW")]);
    this.trade = null;
    this.stored = new Chart(at("chart-stored"), this, [
      { label: "Measured", stroke: COLOUR.actual, width: 2, fill: "rgba(15,118,110,.08)", value: told("%", 1) },
      { label: "Planned", stroke: COLOUR.plan, width: 1.5, value: told("%", 1) },
    ], [axis("% of capacity")]);
    this.money = new Chart(at("chart-money"), this, [
      { label: "Settled", stroke: COLOUR.actual, width: 2, paths: stepped(1), value: told(currency, 2) },
    ], [axis(currency)]);
  }

  range() {
    return [Math.max(this.now - PAST, Math.min(this.first, this.now - HOUR)), this.now + FUTURE];
  }

  // New control cycles; what lies behind the axis is forgotten.
  extend(now, trace) {
    this.now = seconds(now);
    const mine = this.trace;
    const newest = mine.at.length ? mine.at[mine.at.length - 1] : -Infinity;
    trace.at.forEach((text, i) => {
      const at = seconds(text);
      if (at <= newest) return;
      mine.at.push(at);
      for (const key of Object.keys(mine)) if (key !== "at") mine[key].push(trace[key][i]);
    });
    const old = mine.at.findIndex((at) => at >= this.now - PAST);
    if (old > 0) for (const key of Object.keys(mine)) mine[key].splice(0, old);
    this.first = mine.at.length ? mine.at[0] : this.now;
    this.draw();
  }

  plan(schedule) {
    this.schedule = schedule;
    this.draw();
  }

  // Owed and offered by product: a list of {product, deliveries}.
  owed(found) {
    this.deliveries = new Map(found.map((one) => [one.product, one.deliveries]));
    this.draw();
  }

  // Whose power is electricity: what stands in tanks and heat stores is not the batteries' charge.
  resources(found) {
    this.electric = new Set(found.filter((r) => r.node_id === null).map((r) => r.resource_id));
    this.draw();
  }

  draw() {
    const { trace, schedule } = this;
    const steps = schedule ? ahead(schedule, this.now, this.electric) : [];
    const x = [...trace.at, ...steps.map((s) => s.at)];
    const then = (past, future) => [...past, ...steps.map(future)];
    this.power.draw([x, then(trace.park_kw, () => null), then(trace.planned_kw, (s) => s.net_kw), then(trace.owed_kw, (s) => s.committed_kw)]);
    const capacity = trace.capacity_kwh.length ? trace.capacity_kwh[trace.capacity_kwh.length - 1] : null;
    const share = trace.stored_kwh.map((kwh, i) => (kwh !== null && trace.capacity_kwh[i] ? (100 * kwh) / trace.capacity_kwh[i] : null));
    this.stored.draw([x, then(share, () => null), then(share.map((v, i) => (i === share.length - 1 ? v : null)), (s) => (capacity ? (100 * s.stored_kwh) / capacity : null))]);
    this.money.draw([trace.at, trace.money]);
    this.drawTrade(steps);
  }

  drawTrade(steps) {
    const products = [...this.deliveries.keys()];
    if (!this.trade) {
      if (!products.length) return;
      this.trade = new Chart(document.getElementById("chart-trade"), this, [
        ...products.flatMap((name, i) => [
          { label: `${name} sold`, stroke: PRODUCTS[i % 4], width: 2, paths: stepped(1), fill: `${PRODUCTS[i % 4]}18`, value: told("MW", 2) },
          { label: `${name} planned`, stroke: PRODUCTS[i % 4], width: 1.2, dash: [3, 3], paths: stepped(1), value: told("MW", 2) },
        ]),
        { label: "Price", scale: "price", stroke: COLOUR.price, width: 1.5, paths: stepped(1), value: told(`${this.currency}/MWh`, 2) },
      ], [axis("MW"), axis(`${this.currency}/MWh`, "price", 1, false)]);
    }
    const owed = products.map((name) => new Map(this.deliveries.get(name).map((d) => [seconds(d.start), (d.owed_kwh * HOUR) / (seconds(d.end) - seconds(d.start)) / 1000])));
    const price = new Map(this.trace.at.map((at, i) => [at, this.trace.spot_per_mwh[i]]));
    const future = new Map(steps.map((s) => [s.at, s]));
    const x = [...new Set([...owed.flatMap((one) => [...one.keys()]), ...price.keys(), ...future.keys()])].sort((a, b) => a - b);
    const from = x.findIndex((at) => at >= this.range()[0]);
    const shown = from < 0 ? [] : x.slice(from);
    const quarter = (at) => at - (at % 900);
    const columns = products.flatMap((name, i) => [
      shown.map((at) => (owed[i].size ? owed[i].get(quarter(at)) ?? 0 : null)),
      shown.map((at) => future.get(at)?.trades.get(name) ?? null),
    ]);
    this.trade.draw([shown, ...columns, shown.map((at) => future.get(at)?.price ?? price.get(at) ?? null)]);
  }
}

// The steps of a schedule that have not begun, each with what the charts need of it.
function ahead(schedule, now, electric) {
  const first = seconds(schedule.start);
  const spot = schedule.prices.find((p) => p.name === "spot");
  const stores = schedule.resources.filter((r) => r.stored_kwh && electric.has(r.resource_id));
  const steps = [];
  for (let i = 0; i < schedule.steps; i += 1) {
    const at = first + i * schedule.step_s;
    if (at <= now) continue;
    steps.push({
      at,
      net_kw: schedule.net_kw[i],
      committed_kw: schedule.committed_kw[i],
      price: spot ? spot.per_kwh[i] * 1000 : null,
      // Energy is told for the end of a step, which is the start of the next one.
      stored_kwh: i ? stores.reduce((sum, r) => sum + r.stored_kwh[i - 1], 0) : null,
      trades: new Map(schedule.trades.map((t) => [t.product, t.power_kw[i] / 1000])),
    });
  }
  return steps;
}
