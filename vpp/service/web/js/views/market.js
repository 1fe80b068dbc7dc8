// View 4: what is traded, what closes when, what is bid, and what people said about it.

import { read } from "../client.js";
import { fill, h } from "../dom.js";
import { MISSING, duration, number, when } from "../format.js";
import { said } from "../said.js";
import { table } from "../table.js";
import { t, term } from "../words.js";
import { mountProduct } from "./product.js";

const MOST = 40; // products whose newest bid sets are asked for
const LOOK = { live: "good", simulated: "good", shadow: "warn" };
const KINDS = ["plan", "bid", "withdrawal", "award", "gate_missed", "bid_held", "bid_approved", "bid_by_hand", "go_live", "shadow", "venue", "bid_sent", "invitation"];

export const badgeOf = (product) => h("span", { class: `badge ${product.biddable ? LOOK[product.market] : ""}` }, product.biddable ? term("market.goes", product.market) : t("market.not_biddable"));

/** Until a gate: what comes next of it and when, `{word, at}`. */
export function gateOf(gate, now) {
  const opens = Date.parse(gate.opens_at) > now;
  return { word: opens ? "opens" : "closes", at: opens ? gate.opens_at : gate.closes_at };
}

/** `closes in 12 min`, counted down each second. */
export function countdown(gate, context) {
  const next = gateOf(gate, context.now());
  return t(`market.${next.word}_in`, { in: duration((Date.parse(next.at) - context.now()) / 1000) });
}

function mount(root, context) {
  return context.params.length ? mountProduct(root, context, context.params[0]) : mountList(root, context);
}

function mountList(root, context) {
  const newest = new Map(); // of products: their newest bid set
  const grid = table({
    caption: t("market.products"), empty: t("market.no_products"), key: (row) => row.product,
    columns: [
      { title: t("market.product"), text: (row) => row.product, node: (row) => h("a", { href: `#/market/${encodeURIComponent(row.product)}` }, row.product) },
      { title: t("market.gate"), text: (row) => countdown(row.next_delivery, context), sort: (row) => gateOf(row.next_delivery, context.now()).at },
      { title: t("market.delivery"), text: (row) => when(row.next_delivery.delivery.start), sort: (row) => row.next_delivery.delivery.start },
      { title: t("market.newest"), node: (row) => standing(newest.get(row.product)), text: (row) => newest.get(row.product)?.status ?? MISSING },
      { title: t("market.goes_to"), node: badgeOf, text: (row) => row.market },
      { title: t("market.unverified"), number: true, node: (row) => h("span", { class: row.unverified.length ? "badge warn" : "badge good" }, number(row.unverified.length)), text: (row) => row.unverified.length, sort: (row) => row.unverified.length },
      { title: t("market.kind"), text: (row) => term("market.kinds", row.kind) },
      { title: t("market.form_title"), text: (row) => term("market.form", row.form) },
    ],
  });
  const venues = h("section", { class: "card", hidden: true });
  root.append(h("section", { class: "card" }, grid.element), venues, h("p", { class: "note" }, t("market.unverified_note")));
  const venueTable = venuesTable();
  fill(venues, venueTable.element);
  let found = [];

  context.follow(KINDS, 2000, async () => {
    found = (await read("/v1/markets")).products;
    grid.update(found);
    const traded = found.filter((one) => one.units.length).slice(0, MOST);
    await Promise.all(traded.map(async (one) => {
      const { bid_sets: sets } = await read(`/v1/markets/${encodeURIComponent(one.product)}/bids?limit=1`).catch(() => ({ bid_sets: [] }));
      newest.set(one.product, sets[0]);
    }));
    const { venues: desks } = await read("/v1/venues");
    venues.hidden = desks.length === 0;
    venueTable.update(desks);
    grid.redraw();
  });
  const timer = setInterval(() => grid.redraw(), 1000);
  return () => clearInterval(timer);
}

const SET_LOOK = { open: "good", awarded: "good", superseded: "", withdrawn: "", unanswered: "bad", shadow: "warn" };
export const statusBadge = (status) => h("span", { class: `badge ${SET_LOOK[status] ?? ""}` }, term("market.status", status));

function standing(set) {
  if (!set) return MISSING;
  return h("span", {}, statusBadge(set.status), h("small", {}, ` ${when(set.delivery.start)}`));
}

function venuesTable() {
  return table({
    caption: t("market.venues"), empty: t("market.no_venues"), key: (row) => row.venue,
    mark: (row) => (row.no_new_bids ? "alarm" : row.silent_because ? "warning" : null),
    columns: [
      { title: t("market.venue"), text: (row) => row.venue },
      { title: t("market.products"), text: (row) => row.products.join(", ") },
      { title: t("market.state"), text: (row) => said(row.no_new_bids ?? row.silent_because ?? t("market.well")) },
      { title: t("market.at_risk"), text: (row) => row.at_risk.map((one) => `${one.product} ${when(one.delivery_start)}: ${said(one.why)}`).join("; ") || MISSING },
      { title: t("market.awards_read"), number: true, text: (row) => `${number(row.awards.booked_up_to)} / ${number(row.awards.newest)}` },
    ],
  });
}

export default { title: "market.title", style: "market", mount };
