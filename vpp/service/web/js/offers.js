// Offers of every form: as a curve to draw, as words, and as fields that a person may change.

import { MISSING, number, percent } from "./format.js";
import { t, term } from "./words.js";

const PRICES = ["price_per_mwh", "capacity_price_per_mw_h", "capacity_price_per_mw", "mileage_price_per_mw", "call_price_per_mw"];
/** The list that an offer of a form is made of; the other forms have one quantity. */
const LISTS = { curve_step: "steps", curve_linear: "points", segments: "segments", envelope: "segments", price_bands: "bands", bid_offer_pairs: "pairs", block: "parts" };

export const listOf = (offer) => LISTS[offer.form] ?? null;

/** Its steps, best price first: `{mw, price}`; `mw` upon the one before it, `price` null where none is named. */
export function stepsOf(offer) {
  const step = (mw, from) => ({ mw: Number(mw), price: priceOf(from) });
  switch (offer.form) {
    case "curve_step": return offer.steps.map((one) => step(one.quantity_mw, one));
    case "curve_linear": return offer.points.slice(1).map((one, i) => step(one.quantity_mw - offer.points[i].quantity_mw, one));
    case "segments": return offer.segments.map((one) => step(one.to_mw - one.from_mw, one));
    case "envelope": return [...(Number(offer.lower_mw) ? [{ mw: Number(offer.lower_mw), price: null }] : []), ...offer.segments.map((one) => step(one.to_mw - one.from_mw, one))];
    case "price_bands": return offer.bands.map((one) => step(one.quantity_mw, one)).filter((one) => one.mw > 0);
    case "bid_offer_pairs": return offer.pairs.map((one) => step(one.quantity_mw, one));
    case "block": return [step(Math.max(...offer.parts.map((one) => Number(one.quantity_mw))), offer)];
    default: return [step(offer.quantity_mw, offer)];
  }
}

const priceOf = (one) => {
  const name = PRICES.find((key) => one[key] !== undefined && one[key] !== null);
  return name === undefined ? null : Number(one[name]);
};

/** Most MW that may be taken in the interval `[start, end)`: of a block its part there, else all of it. */
export function mostAt(bid, start) {
  if (bid.offer.form !== "block") return bid.start === start ? stepsOf(bid.offer).reduce((sum, one) => sum + one.mw, 0) : 0;
  const part = bid.offer.parts.find((one) => one.start === start);
  return part ? Number(part.quantity_mw) : 0;
}

/** Every beginning of an interval that a set's bids are for, in order: `{start, end}`. */
export function intervalsOf(bids) {
  const found = new Map();
  for (const bid of bids) {
    for (const one of bid.offer.form === "block" ? bid.offer.parts : [bid]) found.set(one.start, { start: one.start, end: one.end });
  }
  return [...found.values()].sort((a, b) => (a.start < b.start ? -1 : 1));
}

export const inInterval = (bid, start) => intervalsOf([bid]).some((one) => one.start === start);

/**
 * Supply and demand of one interval to draw: x in MW of net injection (what is bought below 0), the price of
 * each step as a level line; a line between points where the form is one. What means *any price* (the
 * product's own bound) is drawn at the edge, or it would flatten all others. Gives `{x, columns, told}` for a
 * chart of two lines, bought and sold; `told` has every price as it is.
 */
export function curveOf(bids, product) {
  const points = [];
  for (const bid of bids) {
    const way = bid.side === "sell" ? 1 : -1;
    const linear = bid.offer.form === "curve_linear";
    let mw = 0;
    const own = linear ? bid.offer.points.map((one) => ({ x: way * Number(one.quantity_mw), price: Number(one.price_per_mwh) })) : [];
    if (!linear) {
      for (const step of stepsOf(bid.offer)) {
        own.push({ x: way * mw, price: step.price }, { x: way * (mw + step.mw), price: step.price });
        mw += step.mw;
      }
    }
    points.push(...(way < 0 ? own.reverse() : own).map((one) => ({ ...one, side: bid.side, any: isAny(one.price, bid.side, product) })));
  }
  const named = points.filter((one) => !one.any && one.price !== null).map((one) => one.price);
  const edge = (Math.max(...named) - Math.min(...named)) * 0.3 || 10;
  const drawn = (one) => (!one.any ? one.price : named.length === 0 ? one.price : one.side === "buy" ? Math.max(...named) + edge : Math.min(...named) - edge);
  const of = (side, value) => points.map((one) => (one.side === side ? value(one) : null));
  return { x: points.map((one) => one.x), columns: ["buy", "sell"].map((side) => of(side, drawn)), told: ["buy", "sell"].map((side) => of(side, (one) => one.price)) };
}

/** Does a price mean *any price*: the greatest there is for who buys, the least for who sells? */
const isAny = (price, side, product) => {
  const bound = side === "buy" ? product.max_price_per_mwh : product.min_price_per_mwh;
  return price !== null && bound !== null && price === Number(bound);
};

/** One bid's offer in words, for a row of a table. */
export function wordsOf({ offer, side }, product) {
  const more = [];
  if (Number(offer.min_share)) more.push(t("market.min_share", { share: percent(offer.min_share) }));
  if (offer.exclusive_group) more.push(t("market.exclusive", { group: offer.exclusive_group }));
  if (offer.linked_to) more.push(t("market.linked", { to: offer.linked_to }));
  if (offer.trapezium) more.push(t("market.trapezium", { least: number(offer.trapezium.enablement_min_mw, 1), most: number(offer.trapezium.enablement_max_mw, 1) }));
  if (offer.form === "bid_offer_pairs") more.push(t("market.undo", { prices: offer.pairs.map((one) => number(one.undo_price_per_mwh, 2)).join(" / ") }));
  if (offer.form === "block") more.push(offer.parts.map((one) => number(one.quantity_mw, 2)).join(" / "));
  const price = (one) => {
    if (one.price === null) return t(offer.form === "quantity_only" ? "market.no_price_rule" : "market.no_price_any");
    return isAny(one.price, side, product) ? t("market.no_price_any") : number(one.price, 2);
  };
  const steps = stepsOf(offer).map((one) => `${number(one.mw, 2)} MW @ ${price(one)}`);
  return [steps.join(", ") || MISSING, ...more].join(" · ");
}

/** The fields of an offer that a person may change, in groups: `[{title, remove(), fields: [{key, value, set}]}]`. */
export function groupsOf(offer) {
  const list = listOf(offer);
  const groups = [];
  const own = Object.keys(offer).filter((key) => key !== "form" && isNumber(offer[key]));
  if (own.length) groups.push({ title: term("market.form", offer.form), fields: own.map((key) => field(offer, key)) });
  for (const [place, one] of (list ? offer[list] : []).entries()) {
    groups.push({
      title: t("market.step_number", { n: place + 1 }),
      remove: offer[list].length > 1 ? () => offer[list].splice(place, 1) : null,
      fields: Object.keys(one).filter((key) => isNumber(one[key])).map((key) => field(one, key)),
    });
  }
  return groups;
}

/** Add one more of what an offer is a list of, like the last. */
export function extend(offer) {
  const list = offer[listOf(offer)];
  list.push(structuredClone(list.at(-1)));
}

const isNumber = (value) => (typeof value === "string" || typeof value === "number") && value !== "" && Number.isFinite(Number(value));
const field = (of, key) => ({ key, value: of[key], set: (text) => (of[key] = typeof of[key] === "number" ? Number(text) : text) });
