// Who did what, when and why, as the record has it.

import { read } from "../client.js";
import { h } from "../dom.js";
import { when } from "../format.js";
import { said } from "../said.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

const PAGE = 100;

export function audit(root, context) {
  const list = table({
    caption: t("desk.part_audit"), empty: t("desk.no_acts"), key: (one) => String(one.number),
    columns: [
      { title: t("shell.time"), text: (one) => when(one.at), sort: (one) => one.number },
      { title: t("desk.by"), text: (one) => one.by ?? t("desk.unnamed") },
      { title: t("desk.what"), text: (one) => term("desk.act", one.what) },
      { title: t("desk.about_what"), text: (one) => one.about },
      { title: t("desk.why"), text: (one) => one.reason },
      { title: t("desk.detail"), text: (one) => said(one.detail) },
    ],
  });
  const more = h("button", { type: "button", hidden: true, on: { click: older } }, t("desk.older"));
  root.append(h("section", { class: "card" }, h("p", { class: "note" }, t("desk.audit_note")), list.element, h("div", { class: "buttons" }, more)));
  let found = [];

  context.follow(["alarm", "kill", "override", "shift", "strategies", "bid_approved", "go_live"], 3000, async () => {
    const view = await read(`/v1/desk/audit?limit=${PAGE}`);
    const last = view.entries.at(-1)?.number ?? 0;
    found = [...view.entries, ...found.filter((one) => one.number < last)];
    if (found.length <= view.entries.length) more.hidden = !view.older;
    list.update(found);
  });

  async function older() {
    try {
      const view = await read(`/v1/desk/audit?limit=${PAGE}&before=${found.at(-1).number}`);
      found = [...found, ...view.entries];
      more.hidden = !view.older;
      list.update(found);
    } catch (error) {
      context.failed(error);
    }
  }
}
