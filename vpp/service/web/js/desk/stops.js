// The kill switch: what is stopped, stop a part or everything, and release it with a second person.

import { read, send } from "../client.js";
import { confirm } from "../dialog.js";
import { fill, h } from "../dom.js";
import { when } from "../format.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

export function stops(root, context) {
  const stopped = table({
    caption: t("desk.stopped"), empty: t("desk.nothing_stopped"), key: (one) => `${one.scope}-${one.name}`, mark: () => "alarm",
    columns: [
      { title: t("desk.scope"), text: (one) => named(one) },
      { title: t("desk.why"), text: (one) => one.reason },
      { title: t("desk.waits"), text: (one) => waiting(one) },
      { title: "", sort: null, node: (one) => h("button", { type: "button", on: { click: () => release(one) }, "aria-label": `${t("desk.release")}: ${named(one)}` }, t("desk.release")) },
    ],
  });
  const buttons = h("div", { class: "buttons" });
  root.append(h("section", { class: "card" }, h("h3", {}, t("desk.part_stops")), h("p", {}, t("desk.stop_text")), stopped.element, buttons));
  let releases = [];

  const again = context.follow(["kill"], 1000, async () => {
    const view = await read("/v1/kill");
    releases = view.releases;
    stopped.update(view.latches);
  });
  offer().catch(context.failed);

  async function offer() {
    const markets = await read("/v1/markets");
    const enterprises = context.park.enterprises.map((one) => [`enterprise:${one.enterprise_id}`, `${t("desk.scope_enterprise")} ${one.name}`]);
    const products = markets.products.map((one) => [`market:${one.product}`, `${t("desk.scope_market")} ${one.product}`]);
    fill(buttons, h("button", { type: "button", class: "danger", on: { click: () => stop([["all", t("desk.scope_all")], ...enterprises, ...products]) } }, t("desk.stop")));
  }

  function stop(options) {
    return confirm({
      title: t("desk.stop_title"), text: t("desk.stop_text"), action: t("desk.stop"), danger: true,
      fields: [
        { name: "scope", label: t("desk.scope"), options, required: true },
        { name: "word", label: t("desk.type_word", { word: t("desk.word") }), required: true, autocomplete: "off", pattern: t("desk.word"), title: t("desk.word") },
      ],
      act: ({ by, reason, scope }) => send("POST", "/v1/kill", { killed: true, by, reason, ...part(scope) }),
    }).then((made) => made && again());
  }

  function release(one) {
    return confirm({
      title: `${t("desk.release")}: ${named(one)}`, text: waiting(one) === "–" ? t("desk.release_first") : t("desk.release_second", { who: waiting(one) }), action: t("desk.release"),
      act: ({ by, reason }) => send("POST", "/v1/kill", { killed: false, by, reason, ...part(`${one.scope}:${one.name}`) }),
    }).then((made) => made && again());
  }

  function waiting(one) {
    const asked = releases.find((other) => other.scope === one.scope && other.name === one.name);
    return asked ? t("desk.asked", { by: asked.asked_by, until: when(asked.until, "time") }) : "–";
  }
}

const named = (one) => `${term("desk.scope", one.scope)} ${one.name ?? ""}`.trim();

function part(scope) {
  const [kind, name] = [scope.slice(0, scope.indexOf(":")), scope.slice(scope.indexOf(":") + 1)];
  return kind === "market" ? { market: name } : kind === "enterprise" ? { enterprise: name } : {};
}
