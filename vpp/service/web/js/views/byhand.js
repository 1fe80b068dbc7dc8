// View 4: the bids of one delivery written by a person: interval by interval, checked, then sent with a reason.

import { send } from "../client.js";
import { confirm, refusal } from "../dialog.js";
import { fill, h, say } from "../dom.js";
import { when } from "../format.js";
import { extend, groupsOf, inInterval, intervalsOf, listOf } from "../offers.js";
import { t, term } from "../words.js";

/** Draw the editor into `root`: a copy of the bids of `set` that nothing but *send* lets out of this page. */
export function editor(root, { context, base, set, product, done, interval }) {
  const bids = structuredClone(set.bids).map(({ start, end, side, offer }) => ({ start, end, side, offer }));
  const all = intervalsOf(set.bids);
  const choice = h("select", { id: "edit-interval", on: { change: () => draw() } }, all.map((one) => h("option", { value: one.start, selected: one.start === interval }, when(one.start))));
  const fields = h("div", { class: "edit-bids" });
  const told = h("p", { class: "note", role: "status" });
  let shown = 0;

  function draw() {
    fill(fields, bids.filter((bid) => inInterval(bid, choice.value)).map(oneBid), missingSides().map((side) =>
      h("button", { type: "button", class: "quiet", on: { click: () => add(side) } }, t("market.add_bid", { side: term("market.sides", side) }))));
  }

  const missingSides = () => ["buy", "sell"].filter((side) => product.form !== "block" && !bids.some((bid) => bid.side === side && bid.start === choice.value) && bids.some((bid) => bid.side === side));

  function add(side) {
    const like = bids.find((bid) => bid.side === side);
    const span = all.find((one) => one.start === choice.value);
    bids.push({ ...structuredClone(like), start: span.start, end: span.end });
    draw();
  }

  function oneBid(bid) {
    return h("fieldset", {}, h("legend", {}, term("market.sides", bid.side)),
      groupsOf(bid.offer).map((group) => h("div", { class: "edit-step" }, h("span", { class: "edit-title" }, group.title), group.fields.map((one) => input(one)),
        group.remove ? h("button", { type: "button", class: "quiet", on: { click: () => { group.remove(); draw(); } } }, t("market.remove_step")) : null)),
      h("div", {}, listOf(bid.offer) && bid.offer.form !== "block" ? h("button", { type: "button", class: "quiet", on: { click: () => { extend(bid.offer); draw(); } } }, t("market.add_step")) : null,
        h("button", { type: "button", class: "quiet", on: { click: () => { bids.splice(bids.indexOf(bid), 1); draw(); } } }, t("market.remove_bid"))));
  }

  function input(one) {
    const id = `edit-${(shown += 1)}`;
    return h("span", { class: "edit-field" }, h("label", { for: id }, term("market.field", one.key)),
      h("input", { id, value: one.value, inputmode: "decimal", size: "9", on: { input: (event) => one.set(event.target.value.trim()) } }));
  }

  const body = (more) => ({ delivery: set.delivery, unit: set.unit, based_on: set.status === "dry_run" ? null : set.bid_set_id, bids, ...more });

  async function check() {
    say(told, t("market.checking"));
    try {
      const found = await send("PUT", `${base}/by-hand`, body({ by: "check", reason: "check alone", dry_run: true }));
      say(told, found.warnings.length ? t("market.checked_odd", { what: found.warnings.join("; ") }) : t("market.checked"));
    } catch (error) {
      say(told, refusal(error));
    }
  }

  function write() {
    return confirm({
      title: t("market.write_title", { name: product.product, at: when(set.delivery.start) }), text: t("market.write_text"), action: t("market.send"),
      act: ({ by, reason }) => send("PUT", `${base}/by-hand`, body({ by, reason })),
    }).then((made) => {
      if (!made) return;
      fill(root);
      done();
    });
  }

  fill(root, h("section", { class: "edit", "aria-label": t("market.edit") }, h("h3", {}, t("market.edit_title", { at: when(set.delivery.start) })),
    h("p", { class: "note" }, t("market.edit_note")),
    h("p", { class: "field-line" }, h("label", { for: "edit-interval" }, t("market.interval")), choice), fields, told,
    h("div", { class: "buttons" }, h("button", { type: "button", on: { click: () => fill(root) } }, t("shell.cancel")),
      h("button", { type: "button", on: { click: check } }, t("market.check")), h("button", { type: "button", class: "primary", on: { click: write } }, t("market.send")))));
  draw();
  choice.focus();
}
