// Every version that was accepted: who, why, what it changed, and the way back.

import { read, send } from "../client.js";
import { confirm } from "../dialog.js";
import { fill, h } from "../dom.js";
import { when } from "../format.js";
import { said, tongue } from "../said.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

export function history(root, context, { held, changed }) {
  const list = table({
    caption: t("strategies.versions"), empty: t("strategies.no_versions"), key: (one) => String(one.number),
    mark: (one) => (one.state === "live" ? "total" : ["never_live", "refused"].includes(one.state) ? "quiet" : ""),
    columns: [
      { title: "№", text: (one) => String(one.number), sort: (one) => one.number, number: true },
      { title: t("strategies.version"), text: (one) => one.version },
      { title: t("strategies.state"), text: (one) => term("strategies.state", one.state) },
      { title: t("strategies.accepted"), text: (one) => when(one.accepted_at), sort: (one) => one.accepted_at },
      { title: t("strategies.from_where"), text: (one) => term("strategies.origin", one.origin) },
      { title: t("strategies.by"), text: (one) => one.by },
      { title: t("strategies.why"), text: (one) => one.reason },
      { title: t("strategies.first_plan"), text: (one) => one.first_plan_id },
      { title: "", sort: null, node: (one) => h("span", { class: "acts" },
        h("button", { type: "button", on: { click: () => show(one).catch(context.failed) }, "aria-label": `${t("strategies.show")} ${one.number}` }, t("strategies.show")),
        one.state === "live" ? null : h("button", { type: "button", on: { click: () => back(one).catch(context.failed) }, "aria-label": `${t("strategies.roll_back")} ${one.number}` }, t("strategies.roll_back"))) },
    ],
  });
  const shown = h("div", { class: "shown", role: "region", "aria-live": "polite", "aria-label": t("strategies.show") });
  root.append(h("section", { class: "card" }, list.element, shown));

  async function show(one) {
    const { text, changes, version } = await read(`/v1/strategies/versions/${one.number}`);
    fill(shown, h("h4", {}, t("strategies.version_of", { n: version.number, by: version.by, at: when(version.accepted_at) })),
      version.refused_because && h("p", {}, `${term("strategies.state", "refused")}: `, h("span", { lang: tongue(version.refused_because) }, said(version.refused_because))),
      changes.length ? h("ul", {}, changes.map((line) => h("li", { lang: tongue(line) }, said(line)))) : h("p", { class: "empty" }, t("strategies.no_changes")),
      h("pre", { class: "text", tabindex: "0", "aria-label": t("strategies.text") }, text));
  }

  function back(one) {
    return confirm({
      title: t("strategies.roll_back_to", { n: one.number }), text: t("strategies.roll_back_text", { by: one.by, at: when(one.accepted_at) }), action: t("strategies.roll_back"),
      act: ({ by, reason }) => send("POST", "/v1/strategies/rollback", { to: one.number, by, reason, based_on: held() }),
    }).then((made) => made && changed());
  }

  return {
    async update() {
      list.update((await read("/v1/strategies/versions")).versions);
    },
  };
}
