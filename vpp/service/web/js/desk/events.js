// What happened, newest first, searched by kind and words.

import { read } from "../client.js";
import { h } from "../dom.js";
import { when } from "../format.js";
import { said, tongue } from "../said.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

export function events(root, context) {
  const words = h("input", { id: "events-words", type: "search", on: { input: () => draw() } });
  const least = h("select", { id: "events-least", on: { change: () => draw() } },
    ["info", "warning", "alarm"].map((one) => h("option", { value: one, selected: one === "warning" }, term("desk.severity", one))));
  const list = table({
    caption: t("desk.part_events"), empty: t("desk.no_events"), key: (one) => String(one.number),
    mark: (one) => (one.severity === "info" ? "" : one.severity),
    columns: [
      { title: t("shell.time"), text: (one) => when(one.at, "clock"), sort: (one) => one.number },
      { title: t("desk.kind"), text: (one) => one.kind },
      { title: t("desk.what"), node: (one) => h("span", { lang: tongue(one.text) }, said(one.text)), sort: (one) => one.text },
    ],
  });
  root.append(h("section", { class: "card" },
    h("div", { class: "search" },
      h("p", { class: "field" }, h("label", { for: "events-words" }, t("desk.search")), words),
      h("p", { class: "field" }, h("label", { for: "events-least" }, t("desk.least")), least)),
    list.element));
  let found = [];
  const RANK = { info: 0, warning: 1, alarm: 2 };

  context.follow("all", 2000, async () => {
    found = (await read("/v1/events?format=json&limit=500")).events.reverse();
    draw();
  });

  function draw() {
    const wanted = words.value.trim().toLowerCase();
    list.update(found.filter((one) => RANK[one.severity] >= RANK[least.value] && (!wanted || `${one.kind} ${one.text}`.toLowerCase().includes(wanted))));
  }
}
