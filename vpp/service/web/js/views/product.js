// View 4: one product: its gate, its rules, the book of bid sets, offers drawn, what was delivered.

import { read, send } from "../client.js";
import { chart, seconds } from "../chart.js";
import { confirm } from "../dialog.js";
import { fill, h, say } from "../dom.js";
import { MISSING, currency, duration, known, money, number, when } from "../format.js";
import { curveOf, inInterval, intervalsOf, mostAt, wordsOf } from "../offers.js";
import { said } from "../said.js";
import { table } from "../table.js";
import { t, term } from "../words.js";
import { editor } from "./byhand.js";
import { badgeOf, countdown, statusBadge } from "./market.js";

const SHOWN = 60; // bid sets, the newest
const KINDS = ["plan", "bid", "withdrawal", "award", "gate_missed", "bid_held", "bid_approved", "bid_by_hand", "go_live", "shadow", "settlement", "bid_sent"];

export function mountProduct(root, context, name) {
  const base = `/v1/markets/${encodeURIComponent(name)}`;
  const head = h("section", { class: "card" });
  const held = h("section", { class: "card", hidden: true });
  const shown = shownSet(context, base, () => again());
  const book = bookTable((row) => pick(row.bid_set_id), (row) => lockButton(row));
  const deliveries = deliveryChart();
  const rules = h("section", { class: "card" });
  root.append(
    h("a", { href: "#/market" }, t("market.back")), head, held,
    h("section", { class: "card" }, book.element), shown.element,
    h("section", { class: "card" }, deliveries.element, h("p", { class: "note" }, t("market.delivered_note"))), rules);
  const gate = h("strong", { class: "gate" });
  let product = null;
  let hands = { by_hand: [], locks: [] };
  let sets = [];
  let chosen = null;

  const lockOf = (delivery) => hands.locks.find((one) => one.locked && one.delivery.start === delivery.start && one.delivery.end === delivery.end);
  const handOf = (delivery) => hands.by_hand.find((one) => one.state !== "ended" && one.delivery.start === delivery.start && one.delivery.end === delivery.end);

  async function pick(id) {
    chosen = id;
    await shown.show(await read(`${base}/bids/${id}`), product, handOf);
  }

  const openFor = (row) => Date.parse(row.valid_until) > context.now();

  function lockButton(row) {
    const lock = lockOf(row.delivery);
    const words = lock ? h("small", { title: lock.reason }, t("market.locked_by", { by: lock.by })) : null;
    const hand = handOf(row.delivery);
    const byHand = hand && hand.bid_set_id === row.bid_set_id ? h("small", {}, t("market.by_hand_of", { by: hand.by })) : null;
    const button = openFor(row) || lock
      ? h("button", { type: "button", class: "quiet", on: { click: () => askLock(row.delivery, !lock) } }, t(lock ? "market.unlock" : "market.lock"))
      : null;
    return h("span", { class: "cell-acts" }, button, words, byHand);
  }

  function askLock(delivery, locked) {
    return confirm({
      title: t(locked ? "market.lock_title" : "market.unlock_title", { name, at: when(delivery.start) }),
      text: t(locked ? "market.lock_text" : "market.unlock_text"), action: t(locked ? "market.lock" : "market.unlock"),
      act: ({ by, reason }) => send("POST", `${base}/locks`, { delivery, locked, by, reason }),
    }).then((done) => done && again());
  }

  function drawHead() {
    const next = product.next_delivery;
    say(gate, countdown(next, context));
    const delivery = next.delivery;
    const lock = lockOf(delivery);
    const hand = handOf(delivery);
    const invited = product.kind.startsWith("dr_"); // bid for where somebody invites
    fill(head,
      h("div", { class: "product-head" }, h("h3", {}, name), badgeOf(product), gate,
        invited ? h("p", { class: "note" }, t("market.invited")) : h("span", { class: "cell-acts" },
          h("button", { type: "button", on: { click: () => askLock(delivery, !lock) } }, t(lock ? "market.unlock" : "market.lock")),
          h("button", { type: "button", class: "primary", disabled: !product.biddable && product.market !== "simulated", on: { click: () => writeNext(delivery) } }, t("market.write")))),
      lock ? h("p", { class: "note warn-note" }, t("market.locked_line", { by: lock.by, at: when(lock.at), reason: lock.reason })) : null,
      hand ? h("p", { class: "note warn-note" }, t(`market.hand_${hand.state}`, { by: hand.by, reason: hand.reason }), " ",
        h("button", { type: "button", class: "quiet", on: { click: () => endHand(delivery) } }, t("market.give_back"))) : null,
      product.shadow_because || product.not_biddable ? h("p", { class: "note" }, product.not_biddable ?? product.shadow_because) : null,
      h("dl", { class: "facts" }, facts(product).map(([title, text]) => [h("dt", {}, title), h("dd", {}, text)])));
  }

  function endHand(delivery) {
    return confirm({
      title: t("market.give_back_title", { name, at: when(delivery.start) }), text: t("market.give_back_text"), action: t("market.give_back"),
      act: ({ by, reason }) => send("POST", `${base}/by-hand/end`, { delivery, by, reason }),
    }).then((done) => done && again());
  }

  // The next delivery by hand: from its newest bid set, or from what the plan would offer now.
  async function writeNext(delivery) {
    const newest = sets.find((one) => one.delivery.start === delivery.start && one.status !== "withdrawn");
    try {
      if (newest) await pick(newest.bid_set_id);
      else await shown.show(await send("POST", `${base}/bids`, { request_id: `look-${Math.random().toString(36).slice(2, 12)}`, delivery, dry_run: true }), product, handOf);
      shown.edit();
    } catch (error) {
      context.failed(error);
    }
  }

  function drawHeld(waiting) {
    held.hidden = waiting.length === 0;
    fill(held, h("h3", {}, t("market.held")), waiting.map((one) => h("p", { class: "fault" },
      h("strong", {}, when(one.delivery.start)), ` ${said(one.why)} `,
      h("button", { type: "button", on: { click: () => approve(one) } }, t("market.approve")))));
  }

  function approve(one) {
    return confirm({
      title: t("market.approve_title"), text: said(one.why), action: t("market.approve"),
      act: ({ by, reason }) => send("POST", `${base}/held/${encodeURIComponent(one.held_id)}`, { by, reason }),
    }).then((done) => done && again());
  }

  const again = context.follow(KINDS, 2000, async () => {
    product = await read(base);
    drawRules(rules, product);
    const traded = product.units.length > 0;
    if (traded) {
      const [bids, said, waiting, done] = await Promise.all([
        read(`${base}/bids?limit=${SHOWN}`), read(`${base}/by-hand`), read(`${base}/held`), read(`${base}/deliveries`)]);
      hands = said;
      sets = bids.bid_sets;
      drawHeld(waiting.held.filter((one) => one.approved_by === null && Date.parse(one.delivery.start) > context.now()));
      deliveries.show(done.deliveries, context.now());
    }
    drawHead();
    book.update(sets);
    // What is shown is read again once it stands otherwise, but for what a person is writing.
    const stands = sets.find((one) => one.bid_set_id === chosen);
    if (chosen === null && sets.length) await pick(sets[0].bid_set_id);
    else if (stands && shown.isOther(stands)) await pick(chosen);
  });
  const timer = setInterval(() => product && say(gate, countdown(product.next_delivery, context)), 1000);
  return () => {
    clearInterval(timer);
    shown.destroy();
    deliveries.destroy();
  };
}

function facts(product) {
  const unit = product.price_unit ?? "";
  const bounds = product.min_price_per_mwh === null ? t("market.no_prices") : `${number(product.min_price_per_mwh, 2)} … ${number(product.max_price_per_mwh, 2)} ${unit}, ${t("market.tick")} ${number(product.tick_per_mwh, 2)}`;
  const gate = product.next_delivery;
  return [
    [t("market.delivery"), `${when(gate.delivery.start)} – ${when(gate.delivery.end)} (${product.timezone})`],
    [t("market.gate"), `${when(gate.opens_at)} – ${when(gate.closes_at)}`],
    [t("market.kind"), `${term("market.kinds", product.kind)}, ${term("market.direction", product.direction)}`],
    [t("market.form_title"), term("market.form", product.form)],
    [t("market.quantity"), `${t("market.lot")} ${number(product.lot_mw, 3)} MW, ${t("market.most")} ${known(product.max_quantity_mw) ? `${number(product.max_quantity_mw, 1)} MW` : MISSING}, ${duration(product.delivery_interval_s)}`],
    [t("market.prices"), bounds],
    [t("market.unit"), product.units.join(", ") || t("market.no_unit")],
  ];
}

// What the rules rest on: fields that nobody has seen in an official text first.
function drawRules(root, product) {
  fill(root, h("h3", {}, t("market.rules", { version: product.version })),
    product.unverified.length
      ? [h("p", { class: "note warn-note" }, t("market.unverified_list")), h("ul", { class: "fields" }, product.unverified.map((field) => h("li", {}, h("code", {}, field))))]
      : h("p", { class: "note" }, t("market.all_verified")),
    product.waived.length ? h("ul", {}, product.waived.map((one) => h("li", {}, t("market.waived_by", { fields: one.fields.join(", "), by: one.by, date: one.date, reason: one.reason })))) : null,
    product.cleared.length ? h("ul", {}, product.cleared.map((one) => h("li", {}, t("market.cleared_by", { field: one.field, by: one.by, date: one.date, document: one.document })))) : null,
    h("details", {}, h("summary", {}, t("market.sources", { n: product.sources.length })),
      h("ul", {}, product.sources.map((one) => h("li", {}, `${one.ref} · ${one.confidence} · ${one.fields.join(", ")}`)))));
}

function bookTable(open, acts) {
  const states = (row) => Object.entries(row.states).map(([state, n]) => `${number(n)} ${term("market.bid_state", state)}`).join(", ");
  return table({
    caption: t("market.book"), empty: t("market.no_bids"), key: (row) => row.bid_set_id,
    mark: (row) => (row.status === "superseded" || row.status === "withdrawn" ? "quiet" : null),
    columns: [
      { title: t("market.delivery"), text: (row) => when(row.delivery.start), sort: (row) => row.delivery.start,
        node: (row) => h("button", { type: "button", class: "quiet", on: { click: () => open(row) } }, when(row.delivery.start)) },
      { title: t("market.revision"), number: true, text: (row) => row.revision, sort: (row) => row.revision },
      { title: t("market.state"), node: (row) => statusBadge(row.status), text: (row) => row.status },
      { title: t("market.bids"), text: states },
      { title: t("market.sells"), number: true, text: (row) => number(row.offered_sell_mwh, 2), sort: (row) => Number(row.offered_sell_mwh) },
      { title: t("market.buys"), number: true, text: (row) => number(row.offered_buy_mwh, 2), sort: (row) => Number(row.offered_buy_mwh) },
      { title: t("market.sold"), number: true, text: (row) => number(row.sold_mwh, 2), sort: (row) => Number(row.sold_mwh) },
      { title: t("market.bought"), number: true, text: (row) => number(row.bought_mwh, 2), sort: (row) => Number(row.bought_mwh) },
      { title: t("market.proceeds"), number: true, text: (row) => money(row.proceeds), sort: (row) => Number(row.proceeds) },
      { title: t("market.hand"), sort: null, node: acts, text: () => "" },
    ],
  });
}

// One bid set: how much in each interval, the curve of one of them, each bid in words; and by hand.
function shownSet(context, base, changed) {
  const card = h("section", { class: "card", hidden: true });
  const title = h("h3", {});
  const note = h("p", { class: "note" });
  const most = chart({
    title: t("market.offered"), axes: [{ unit: "MW" }], sync: "bids",
    series: [
      { label: t("market.sell_mw"), unit: "MW", digits: 2, colour: "--sold", stepped: true, fill: 0.25 },
      { label: t("market.buy_mw"), unit: "MW", digits: 2, colour: "--price", stepped: true, fill: 0.25 },
    ],
  });
  const choice = h("select", { id: "interval", on: { change: () => draw() } });
  const curve = chart({
    title: t("market.curve"), axes: [{ unit: currency() }], numeric: true, stacked: true, sync: "curve", height: 200,
    series: [
      { label: t("market.buy_mw"), unit: currency(), digits: 2, colour: "--price", width: 2.5 },
      { label: t("market.sell_mw"), unit: currency(), digits: 2, colour: "--sold", width: 2.5 },
    ],
  });
  const list = table({
    caption: t("market.offers"), empty: t("market.no_bids"), key: (row) => row.bid_id,
    columns: [
      { title: t("market.interval"), text: (row) => when(row.start), sort: (row) => row.start },
      { title: t("market.side"), text: (row) => term("market.sides", row.side) },
      { title: t("market.offer"), text: (row) => wordsOf(row, product), sort: null },
      { title: t("market.worth"), number: true, text: (row) => number(row.reason?.steps[0]?.shadow_price_per_mwh, 2), sort: (row) => Number(row.reason?.steps[0]?.shadow_price_per_mwh ?? NaN) },
      { title: t("market.expected"), number: true, text: (row) => number(row.reason?.expected_price_per_mwh, 2), sort: (row) => Number(row.reason?.expected_price_per_mwh ?? NaN) },
      { title: t("market.headroom"), number: true, text: (row) => number(row.reason?.headroom_mw, 2), sort: (row) => Number(row.reason?.headroom_mw ?? NaN) },
    ],
  });
  const acts = h("div", { class: "buttons" });
  const editing = h("div", {});
  fill(card, title, note, most.element,
    h("p", { class: "field-line" }, h("label", { for: "interval" }, t("market.interval")), choice), curve.element, acts, editing, list.element);
  let set = null;
  let product = null;

  function draw() {
    const bids = set.bids.filter((bid) => inInterval(bid, choice.value));
    const found = curveOf(bids, product);
    curve.update({ ...found, range: [Math.min(-0.1, ...found.x), Math.max(0.1, ...found.x)] });
  }

  function edit() {
    editor(editing, { context, base, set, product, done: changed, interval: choice.value });
  }

  return {
    element: card,
    edit,
    isOther: (stands) => set?.status !== stands.status && !editing.hasChildNodes(),
    async show(fresh, of, handOf) {
      set = fresh;
      product = of;
      card.hidden = false;
      fill(editing);
      const intervals = intervalsOf(set.bids);
      const why = Object.fromEntries((set.reasons?.bids ?? []).map((one) => [one.bid_id, one]));
      say(title, t("market.set_title", { at: when(set.delivery.start), n: set.revision, state: term("market.status", set.status) }));
      say(note, [t("market.made_from", { plan: set.plan_id, strategies: set.strategy_version, at: when(set.issued_at) }), set.reasons?.note].filter(Boolean).join(" · "));
      const at = (side) => intervals.map((one) => {
        const sum = set.bids.filter((bid) => bid.side === side).reduce((all, bid) => all + mostAt(bid, one.start), 0);
        return side === "buy" ? -sum : sum;
      });
      const x = intervals.map((one) => seconds(one.start));
      const end = intervals.length ? seconds(intervals.at(-1).end) : 0;
      const sells = at("sell");
      const buys = at("buy");
      most.update({ x: [...x, end].slice(0, x.length ? undefined : 0), columns: [[...sells, sells.at(-1)], [...buys, buys.at(-1)]].map((one) => (x.length ? one : [])), now: context.now() / 1000 });
      const before = choice.value;
      fill(choice, intervals.map((one) => h("option", { value: one.start }, when(one.start))));
      if (intervals.some((one) => one.start === before)) choice.value = before;
      list.update(set.bids.map((bid) => ({ ...bid, reason: why[bid.bid_id.slice(0, bid.bid_id.lastIndexOf("/"))] })));
      const open = Date.parse(set.valid_until) > context.now();
      fill(acts, open ? h("button", { type: "button", on: { click: edit } }, t("market.edit")) : h("p", { class: "note" }, t("market.gate_closed")));
      draw();
    },
    destroy() {
      most.destroy();
      curve.destroy();
    },
  };
}

function deliveryChart() {
  const plot = chart({
    title: t("market.deliveries"), axes: [{ unit: "kWh" }], empty: t("market.no_deliveries"), sync: "bids",
    series: [
      { label: t("market.owed_own"), unit: "kWh", colour: "--sold", stepped: true, dash: [6, 4] },
      { label: t("market.owed_all"), unit: "kWh", colour: "--plan", stepped: true },
      { label: t("market.delivered"), unit: "kWh", colour: "--actual", stepped: true, width: 2.2 },
    ],
  });
  return {
    element: plot.element,
    destroy: plot.destroy,
    show: (rows, now) => plot.update({
      x: rows.map((one) => seconds(one.start)), now: now / 1000,
      columns: [rows.map((one) => one.owed_kwh), rows.map((one) => one.owed_all_kwh), rows.map((one) => one.delivered_kwh)],
    }),
  };
}
