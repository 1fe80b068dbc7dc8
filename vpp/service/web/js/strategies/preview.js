// What a text would do: its differences, two days played again, and tomorrow's plan under both.

import { read, send } from "../client.js";
import { chart } from "../chart.js";
import { fill, h, say } from "../dom.js";
import { duration, number, when } from "../format.js";
import { said, tongue } from "../said.js";
import { table } from "../table.js";
import { t } from "../words.js";
import { figures } from "./figures.js";

const ASK_MS = 700;
const AGAIN_MS = 3000; // after a question that was not answered
const KEPT = "vpp.preview"; // so that a page that is loaded again finds what it asked for

/** Gives `{element, begin(text), destroy}`. */
export function preview(context) {
  const bar = h("progress", { max: "1", value: 0, "aria-label": t("strategies.progress") });
  const doing = h("p", { class: "note", role: "status" });
  const cancel = h("button", { type: "button", on: { click: () => stop().catch(context.failed) } }, t("shell.cancel"));
  const running = h("div", { class: "running" }, bar, doing, cancel);
  const found = h("div", { class: "found" });
  const element = h("section", { class: "card", hidden: true }, h("h3", { tabindex: "-1" }, t("strategies.preview_title")), running, found);
  let plot = null;
  let mine = null;
  let timer = null;
  let over = false;

  async function begin(text) {
    drop();
    fill(found);
    show(await send("POST", "/v1/strategies/preview", { text }));
    element.scrollIntoView({ block: "nearest" });
  }

  async function ask() {
    try {
      show(await read(`/v1/strategies/previews/${mine}`));
    } catch (error) {
      if (over) return;
      context.failed(error);
      if (error.status !== 404) timer = setTimeout(ask, AGAIN_MS);
      else forget(); // a service that was started anew knows nothing of it
    }
  }

  function forget() {
    sessionStorage.removeItem(KEPT);
    element.hidden = true;
  }

  function show(view) {
    if (over) return;
    mine = view.preview_id;
    sessionStorage.setItem(KEPT, mine);
    element.hidden = false;
    const runs = view.state === "running";
    running.hidden = !runs;
    bar.value = view.progress;
    say(doing, `${view.doing} · ${duration(view.took_s)}`);
    clearTimeout(timer);
    if (runs) timer = setTimeout(ask, ASK_MS);
    else draw(view);
  }

  function draw(view) {
    plot?.destroy();
    plot = null;
    const names = [t("strategies.old"), t("strategies.new")];
    fill(found, h("p", { role: "status" }, t(`strategies.preview_${view.state}`, { took: duration(view.took_s) }), view.state === "failed" ? ` ${view.doing}` : null, ` ${t("strategies.which", { old: view.old_version, fresh: view.new_version })}`),
      view.changes.length ? [h("h4", {}, t("strategies.changes")), h("ul", {}, view.changes.map((one) => h("li", { lang: tongue(one) }, said(one))))] : null,
      h("h4", {}, t("strategies.backtest")), backtest(view, names),
      h("h4", {}, t("strategies.tomorrow")), plan(view, names));
  }

  function backtest(view, names) {
    if (!view.backtest) return h("p", { class: "empty" }, view.no_backtest ?? t("strategies.no_backtest"));
    return [figures(t("strategies.days_together", { n: view.backtest.days.length }), view.backtest.old, view.backtest.new, names),
      h("details", {}, h("summary", {}, t("strategies.by_day")), view.backtest.days.map((one) => figures(one.day, one.old, one.new, names))),
      view.backtest.note ? h("p", { class: "note", lang: tongue(view.backtest.note) }, said(view.backtest.note)) : null];
  }

  function plan(view, names) {
    const of = view.plan;
    if (!of) return h("p", { class: "empty" }, view.no_plan ?? t("strategies.no_plan"));
    plot = chart({
      title: t("strategies.both_plans"), axes: [{ unit: "kW" }], sync: "preview",
      series: [
        { label: names[0], unit: "kW", colour: "--other", stepped: true },
        { label: names[1], unit: "kW", colour: "--plan", stepped: true },
      ],
    });
    const first = Date.parse(of.start) / 1000;
    const bids = table({
      caption: t("strategies.bids", { n: of.bids_changed, all: of.bids_compared }), empty: t("strategies.bids_same"), key: (one) => `${one.product}-${one.start}`,
      columns: [
        { title: t("strategies.delivery"), text: (one) => when(one.start), sort: (one) => one.start },
        { title: t("strategies.product"), text: (one) => one.product },
        { title: t("strategies.old_mw"), text: (one) => number(one.old_mw, 3), sort: (one) => mw(one.old_mw), number: true },
        { title: t("strategies.new_mw"), text: (one) => number(one.new_mw, 3), sort: (one) => mw(one.new_mw), number: true },
      ],
    });
    bids.update(of.bids);
    const drawn = plot;
    queueMicrotask(() => drawn.update({
      x: of.old_kw.map((_, i) => first + i * of.step_minutes * 60), columns: [of.old_kw, of.new_kw], now: context.now() / 1000,
    }));
    return [figures(t("strategies.until", { at: when(of.end) }), of.old, of.new, names), drawn.element, bids.element];
  }

  async function stop() {
    if (mine !== null) show(await send("DELETE", `/v1/strategies/previews/${mine}`));
  }

  function drop() {
    clearTimeout(timer);
    plot?.destroy();
    plot = null;
  }

  const kept = sessionStorage.getItem(KEPT);
  if (kept !== null) read(`/v1/strategies/previews/${kept}`).then(show, forget);

  function destroy() {
    over = true;
    drop();
  }

  return { element, begin, destroy };
}

const mw = (value) => (value === null ? null : Number(value));
