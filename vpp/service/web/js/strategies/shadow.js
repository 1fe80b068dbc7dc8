// The candidate that plans beside the live version, and its score.

import { read, send } from "../client.js";
import { confirm } from "../dialog.js";
import { fill, h } from "../dom.js";
import { money, number, signed, when } from "../format.js";
import { table } from "../table.js";
import { t } from "../words.js";

export function shadow(root, context) {
  const head = h("p", {});
  const newest = h("p", { class: "note" });
  const days = table({
    caption: t("strategies.shadow_days"), empty: t("strategies.shadow_no_days"), key: (one) => one.day,
    columns: [
      { title: t("strategies.day"), text: (one) => one.day },
      { title: t("strategies.live_cost"), text: (one) => money(one.live?.cost), sort: (one) => cost(one.live), number: true },
      { title: t("strategies.shadow_cost"), text: (one) => money(one.shadow?.cost), sort: (one) => cost(one.shadow), number: true },
      { title: t("strategies.difference"), text: (one) => (one.live && one.shadow ? signed(cost(one.shadow) - cost(one.live), 2) : one.reason || null), sort: (one) => cost(one.shadow) - cost(one.live), number: true },
    ],
  });
  const end = h("button", { type: "button", on: { click: () => stop().catch(context.failed) } }, t("strategies.end_shadow"));
  const body = h("div", {}, head, newest, days.element, h("div", { class: "buttons" }, end));
  const none = h("p", { class: "empty" }, t("strategies.no_shadow"));
  root.append(h("section", { class: "card" }, h("h3", {}, t("strategies.shadow")), none, body));
  body.hidden = true;

  async function update() {
    const { shadow: one } = await read("/v1/strategies/shadow");
    none.hidden = one !== null;
    body.hidden = one === null;
    if (one === null) return;
    const words = { version: one.version, by: one.by, reason: one.reason, at: when(one.since) };
    fill(head, t(one.state === "running" ? "strategies.shadow_runs" : "strategies.shadow_rests", words));
    fill(newest, t("strategies.shadow_plans", { n: one.plans, unsolved: one.unsolved }), one.newest ? ` ${beside(one.newest)}` : null);
    days.update(one.days);
    end.hidden = one.state !== "running";
  }

  function stop() {
    return confirm({
      title: t("strategies.end_shadow"), text: t("strategies.end_shadow_text"), action: t("strategies.end_shadow"),
      act: ({ by, reason }) => send("POST", "/v1/strategies/shadow/end", { by, reason }),
    }).then((made) => made && update());
  }

  return { update };
}

const cost = (figures) => (figures ? Number(figures.cost) : null);

function beside(plan) {
  if (plan.shadow_cost === null) return `${when(plan.at, "time")}: ${plan.reason}`;
  return t("strategies.shadow_newest", {
    at: when(plan.at, "time"), live: money(plan.live_cost), shadow: money(plan.shadow_cost), n: number(plan.bids_changed), all: number(plan.bids_compared),
  });
}
