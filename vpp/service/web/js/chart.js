// A chart on the park's clock: lines, bands, a line where the present is, and the same numbers as a table.
/* global uPlot */

import { fill, h } from "./dom.js";
import { MISSING, number, when, zone } from "./format.js";
import { table } from "./table.js";
import { t } from "./words.js";

const HEIGHT = 220;
const FONT = "12px system-ui, sans-serif";
const dark = matchMedia("(prefers-color-scheme: dark)");
const seen = new Set();
dark.addEventListener("change", () => seen.forEach((one) => one.again()));

/** The colour of a token of app.css, such as `--actual`. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Seconds since 1970 of ISO text: the x of a chart. */
export const seconds = (text) => Date.parse(text) / 1000;

/**
 * A chart. `series`: `{label, unit, digits, colour (token), width, dash, stepped, fill, scale, show}`; `bands`:
 * `{upper, lower, colour}` by place in `series`; `axes`: `{scale, unit, side}`. `title` names it for all.
 * `area: true` fills down to 0, for columns from `stack`, behind which `told` has what is said of each.
 * `update({x, columns, now, range, told})` draws: x in seconds, a column per series with null where nothing is known.
 * Gives `{element, update, destroy}`; charts with the same `sync` share their cursor.
 */
export function chart({ title, series, bands = [], axes, height = HEIGHT, sync = "park", empty, numeric = false }) {
  const plotted = h("div", { class: "plot", "aria-hidden": "true" });
  const lacking = h("p", { class: "empty" }, empty ?? t("shell.nothing"));
  const button = h("button", { type: "button", class: "quiet", "aria-expanded": "false", on: { click: toggle } }, t("shell.as_table"));
  const numbers = h("div", { hidden: true });
  const element = h("figure", { class: "chart" }, h("figcaption", {}, h("span", {}, title), button), plotted, lacking, numbers);
  const one = { again };
  const areas = series.some((one) => one.area);
  let plot = null;
  let newest = null;
  let listing = null;
  let gone = false;

  function options() {
    const axis = ({ scale = "y", unit, side = 3 }) => ({
      scale, side, label: unit, labelSize: 18, labelGap: 0, size: 62, font: FONT, labelFont: FONT,
      stroke: colour("--quiet"), grid: { show: side === 3, stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--line") },
      values: (u, splits) => splits.map((v) => number(v, decimals(splits))),
    });
    return {
      width: Math.max(plotted.clientWidth, 200), height,
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), zone()),
      cursor: { sync: { key: sync }, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { ...(areas ? { y: { range: (u, low, high) => uPlot.rangeNum(Math.min(0, low), Math.max(0, high), 0.08, true) } } : {}), x: { time: !numeric, range: () => newest.range ?? [newest.x[0], newest.x[newest.x.length - 1] + 1] } },
      series: [
        { label: numeric ? "" : t("shell.time"), value: (u, v) => (v === null ? MISSING : numeric ? number(v) : when(v * 1000)) },
        ...series.map(line),
      ],
      bands: bands.map((band) => ({ series: [band.upper + 1, band.lower + 1], fill: shade(band.colour, band.opacity ?? 0.18) })),
      axes: [timeAxis(numeric), ...axes.map(axis)],
      plugins: [{ hooks: { draw: present } }],
    };
  }

  function line(one) {
    const stroke = colour(one.colour ?? "--actual");
    return {
      label: one.label, scale: one.scale ?? "y", stroke: one.width === 0 || one.area ? "transparent" : stroke, width: one.area ? 0 : (one.width ?? 1.75), dash: one.dash,
      paths: one.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined, points: { show: false },
      fill: one.area ? mixed(one.colour) : one.fill ? shade(one.colour ?? "--actual", one.fill) : undefined,
      fillTo: one.area ? 0 : undefined,
      value: (u, v, at, i) => told(one, newest.told && i !== null && i !== undefined ? newest.told[at - 1][i] : v),
    };
  }

  function present(u) {
    if (newest.now === undefined || newest.now === null) return;
    const x = Math.round(u.valToPos(newest.now, "x", true));
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
    u.ctx.save();
    u.ctx.strokeStyle = colour("--ink");
    u.ctx.setLineDash([3, 4]);
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
    u.ctx.restore();
  }

  function draw() {
    const some = newest !== null && newest.x.length > 0;
    plotted.hidden = !some;
    lacking.hidden = some;
    if (!some) return;
    const data = [newest.x, ...newest.columns];
    if (plot) plot.setData(data);
    else if (plotted.clientWidth) {
      plot = new uPlot(options(), data, plotted);
      seen.add(one); // one that comes too late for its view is never plotted, and held by nobody
    }
  }

  function again() {
    plot?.destroy();
    plot = null;
    draw();
  }

  function toggle() {
    numbers.hidden = !numbers.hidden;
    button.setAttribute("aria-expanded", String(!numbers.hidden));
    list();
  }

  function list() {
    if (numbers.hidden) return;
    listing ??= table({
      caption: title, empty: empty ?? t("shell.nothing"), quiet: true,
      columns: [
        { title: numeric ? "" : t("shell.time"), text: (i) => (numeric ? number(newest.x[i]) : when(newest.x[i] * 1000)), sort: (i) => newest.x[i] },
        ...series.map((one, at) => ({ title: `${one.label}, ${one.unit}`, number: true, text: (i) => number(value(at, i), one.digits ?? 0), sort: (i) => value(at, i) })),
      ],
    });
    if (!listing.element.isConnected) fill(numbers, listing.element);
    listing.update(newest ? newest.x.map((_, i) => i) : []);
  }

  const value = (at, i) => (newest.told ?? newest.columns)[at][i];
  const observer = new ResizeObserver(() => {
    if (plot) plot.setSize({ width: Math.max(plotted.clientWidth, 200), height });
    else draw();
  });
  observer.observe(plotted);
  draw();
  return {
    element,
    update(data) {
      if (gone) return; // its view was left while it was asked
      newest = data;
      draw();
      list();
    },
    destroy() {
      gone = true;
      observer.disconnect();
      seen.delete(one);
      plot?.destroy();
    },
  };
}

/** Columns put one upon the other, what feeds above 0 and what draws below: for filled, stacked charts. */
export function stack(columns) {
  const up = columns[0]?.map(() => 0) ?? [];
  const down = [...up];
  return columns.map((column) => column.map((v, i) => {
    const side = v >= 0 ? up : down;
    return (side[i] += v ?? 0);
  }));
}

const told = (one, v) => (v === null || v === undefined ? MISSING : `${number(v, one.digits ?? 0)} ${one.unit}`);

function decimals(splits) {
  const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 1;
  // As many as the step has itself: lines at 2.5 and 7.5 are not at 3 and 8.
  return [0, 1, 2, 3].find((digits) => Math.abs(Number(step.toFixed(digits)) - step) < step / 100) ?? 4;
}

// A token's colour on paper: areas are calmer than lines.
function mixed(token) {
  const rgb = (name) => [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));
  const [ink, paper] = [rgb(token), rgb("--paper")];
  return `rgb(${ink.map((v, i) => Math.round(0.6 * v + 0.4 * paper[i])).join()})`;
}

function shade(token, opacity) {
  const hex = colour(token).replace("#", "");
  const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${opacity})`;
}

function timeAxis(numeric) {
  const look = { font: FONT, stroke: colour("--quiet"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--line") }, size: numeric ? 30 : 44 };
  if (numeric) return { ...look, values: (u, splits) => splits.map((v) => number(v, decimals(splits))) };
  return {
    ...look,
    values: [
      [86400, "{DD}.{MM}.", null, null, null, null, null, null, 1],
      [3600, "{HH}:{mm}", "\n{DD}.{MM}.", null, "\n{DD}.{MM}.", null, null, null, 1],
      [60, "{HH}:{mm}", "\n{DD}.{MM}.", null, "\n{DD}.{MM}.", null, null, null, 1],
      [1, "{HH}:{mm}:{ss}", "\n{DD}.{MM}.", null, "\n{DD}.{MM}.", null, null, null, 1],
    ],
  };
}
