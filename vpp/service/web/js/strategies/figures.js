// Cost, peak, carbon and cycles of two versions beside each other, with the difference.

import { h } from "../dom.js";
import { carbon, money, number, power, signed } from "../format.js";
import { t } from "../words.js";

const FIGURES = [
  ["cost", "strategies.cost", (v) => money(v), 2],
  ["peak_import_kw", "strategies.peak", (v) => power(v), 0],
  ["carbon_kgco2", "strategies.carbon", (v) => carbon(v), 0],
  ["cycles", "strategies.cycles", (v) => number(v, 2), 2],
];

/** A table of two sets of figures; `names` are the heads of both. */
export function figures(caption, old, fresh, names) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, h("table", {}, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, ""), [...names, t("strategies.difference")].map((one) => h("th", { scope: "col", class: "number" }, one)))),
    h("tbody", {}, FIGURES.map(([key, label, shown, digits]) => h("tr", {}, h("th", { scope: "row" }, t(label)),
      h("td", { class: "number" }, shown(old?.[key])), h("td", { class: "number" }, shown(fresh?.[key])),
      h("td", { class: "number" }, difference(old?.[key], fresh?.[key], digits)))))));
}

function difference(old, fresh, digits) {
  const lacks = (v) => v === null || v === undefined;
  return lacks(old) || lacks(fresh) ? "–" : signed(Number(fresh) - Number(old), digits);
}
