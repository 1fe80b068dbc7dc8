// View 1: the state of the plant at a glance.

import { read } from "../client.js";
import { chart, seconds } from "../chart.js";
import { h, say } from "../dom.js";
import { power } from "../format.js";
import { t } from "../words.js";

function mount(root, context) {
  const now = h("dd", { id: "power" });
  const note = h("p", { class: "note" });
  const planned = h("dd", { id: "planned" });
  const plot = chart({
    title: t("overview.chart"), axes: [{ unit: "kW" }],
    series: [
      { label: t("overview.measured"), unit: "kW", colour: "--actual" },
      { label: t("overview.planned"), unit: "kW", colour: "--plan", stepped: true },
    ],
  });
  root.append(h("dl", { class: "tiles" },
    h("div", { class: "tile" }, h("dt", {}, t("overview.power")), now, h("dd", { class: "note" }, note)),
    h("div", { class: "tile" }, h("dt", {}, t("overview.planned")), planned)),
  h("section", { class: "card" }, plot.element));

  context.follow(["tick"], 1000, async () => {
    const park = await read("/v1/park");
    const { trace } = park;
    say(now, power(park.power_kw));
    say(note, t(park.power_kw === null ? "overview.no_meter" : park.power_kw < 0 ? "overview.drawn" : "overview.fed"));
    say(planned, power(trace.planned_kw.at(-1)));
    plot.update({ x: trace.at.map(seconds), columns: [trace.park_kw, trace.planned_kw], now: context.now() / 1000 });
  });
  return () => plot.destroy();
}

export default { title: "overview.title", mount };
