// View 2: the park as a tree with live flows, and a page for each resource.

import { paced, read } from "../client.js";
import { h, say } from "../dom.js";
import { duration, known, number, percent } from "../format.js";
import { table } from "../table.js";
import { t, term } from "../words.js";
import { mountResource } from "./resource.js";

const MOST_ASKED = 200; // places in one question

function mount(root, context) {
  return context.params.length ? mountResource(root, context, context.params[0]) : mountTree(root, context);
}

function mountTree(root, context) {
  const search = h("input", { id: "search", type: "search", placeholder: t("park.search_hint"), autocomplete: "off", spellcheck: "false" });
  const state = h("select", { id: "only" }, ["all", "in_hand", "left_out", "unknown"].map((name) => h("option", { value: name }, t(`park.only_${name}`))));
  const count = h("p", { class: "note", role: "status" });
  const open = new Set();
  let tree = null; // the newest page of the tree that was read
  let flows = null;
  let rows = [];
  const own = new Map(); // the newest flow by place: of resources,
  const atPoints = new Map(); // of connection points,
  const atEnterprises = new Map(); // and of enterprises

  const grid = table({
    caption: t("park.tree"), empty: t("park.nothing_found"), key: (row) => row.key,
    mark: (row) => `level-${row.level}${own.get(row.place)?.state === "unknown" ? " quiet" : ""}`,
    columns: [
      { title: t("park.name"), sort: null, node: (row) => name(row) },
      { title: t("park.power"), sort: null, number: true, text: (row) => number(flowOf(row)?.power_kw) },
      { title: t("park.planned"), sort: null, number: true, text: (row) => number(flowOf(row)?.planned_kw) },
      { title: t("park.told"), sort: null, number: true, text: (row) => (row.place === undefined ? "" : number(own.get(row.place)?.told_kw)) },
      { title: t("park.used"), sort: null, node: (row) => used(row) },
      { title: t("park.limits"), sort: null, number: true, text: (row) => limits(row.limits) },
      { title: t("park.state"), sort: null, node: (row) => condition(row) },
      { title: t("park.age"), sort: null, number: true, text: (row) => (row.aged ? duration(flowOf(row)?.age_s) : "") },
    ],
    sighted: () => ask(),
  });
  grid.element.classList.add("tall");
  root.append(h("div", { class: "tools" }, h("label", { for: "search" }, t("park.search")), search, h("label", { for: "only" }, t("park.only")), state, count), h("section", { class: "card" }, grid.element), h("p", { class: "note" }, t("park.sign")));

  const flowOf = (row) => (row.place === undefined ? row.flow?.() : own.get(row.place));

  function name(row) {
    const count_ = row.children ? h("small", {}, ` ${row.children}`) : null;
    const label = row.place === undefined ? h("span", {}, row.label) : h("a", { href: `#/park/${encodeURIComponent(row.label)}` }, row.label);
    const box = h("span", { class: "tree-name" },
      row.opens ? h("button", { type: "button", class: "twist", "aria-expanded": String(isOpen(row)), "aria-label": t("park.open", { name: row.label }), on: { click: () => toggle(row) } }, isOpen(row) ? "▾" : "▸") : null,
      label, row.kind ? h("small", {}, ` ${term("shell.kind", row.kind)}`) : null, count_);
    return box;
  }

  function toggle(row) {
    if (open.has(row.key)) open.delete(row.key);
    else open.add(row.key);
    arrange();
  }

  const isOpen = (row) => open.has(row.key) || filtered();
  const filtered = () => search.value.trim() !== "" || state.value !== "all";

  // The rows that are open, or those that are searched for with what they stand under.
  function arrange() {
    if (!tree) return;
    const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const all = [];
    let shown = 0;
    all.push({ key: "park", level: 0, label: context.park.name, limits: tree.limits, flow: () => flows });
    for (const [at, feeder] of tree.feeders.entries()) if (!filtered()) all.push({ key: `f ${feeder.feeder_id}`, level: 1, label: feeder.feeder_id, kind: "Feeder", limits: feeder.limits, flow: () => ({ power_kw: flows?.feeders[at] }) });
    branches.forEach((enterprise, at) => {
      const points = [];
      let inside = 0;
      for (const { point, ids } of enterprise.points) {
        const row = { key: `p ${point.connection_point_id}`, level: 2, point: point.place, label: point.connection_point_id, kind: "Point", limits: point.limits, flow: () => atPoints.get(point.place), aged: true, opens: true, children: ids.length };
        const fit = filtered() ? ids.filter((id) => fits(id, words, enterprise.text, point)) : open.has(row.key) ? ids : [];
        if (filtered() && !fit.length) continue;
        inside += filtered() ? fit.length : ids.length;
        shown += filtered() ? fit.length : 0;
        points.push(row, ...fit.map(leaf));
      }
      if (filtered() && !points.length) return;
      const row = { key: `e ${enterprise.id}`, level: 1, enterprise: at, label: enterprise.name, children: inside, opens: true, flow: () => atEnterprises.get(at) };
      all.push(row);
      if (isOpen(row)) for (const one of points) all.push(one);
    });
    rows = filtered() && shown === 0 ? [] : all;
    say(count, counted(shown));
    grid.update(rows);
  }

  function counted(shown) {
    const all = { n: number(names.length), all: number(tree.in_park) };
    const told = filtered() ? t("park.found", { n: number(shown), all: all.all }) : t("park.all", { n: all.all });
    return names.length < tree.in_park ? `${told} · ${t("park.reading", all)}` : told;
  }

  function fits(place, words, enterprise, point) {
    if (state.value !== "all" && own.get(place)?.state !== state.value) return false;
    if (!words.length) return true;
    const text = texts[place] ?? (texts[place] = `${names[place]} ${kinds[place]} ${term("shell.kind", kinds[place])} ${point.connection_point_id} ${enterprise}`.toLowerCase());
    return words.every((word) => text.includes(word));
  }

  const leaf = (place) => ({
    key: `r ${place}`, level: 3, place, label: names[place], kind: kinds[place], aged: true, limits: bounds[place],
  });

  // What was read of the tree, by place: a park of a hundred thousand comes in a hundred pages.
  const [names, kinds, bounds, texts] = [[], [], [], []];
  const [branches, twigs] = [[], []]; // enterprises and connection points; holes where their page is still to come
  function grow(page) {
    tree = page;
    for (const one of page.enterprises) {
      if (branches[one.place]) continue;
      branches[one.place] = { id: one.enterprise_id, name: one.name, text: `${one.enterprise_id} ${one.name}`, points: [] };
      open.add(`e ${one.enterprise_id}`);
    }
    for (const point of page.points) {
      if (twigs[point.place]) continue;
      twigs[point.place] = { point, ids: [] };
      branches[point.enterprise].points.push(twigs[point.place]);
      // A park that fits a screen or two is shown whole.
      if (page.in_park <= 100) open.add(`p ${point.connection_point_id}`);
    }
    const { resource_id, kind, point, max_draw_kw, max_feed_kw } = page.resources;
    resource_id.forEach((id, at) => {
      const place = page.first + at;
      names[place] = id;
      kinds[place] = page.kinds[kind[at]];
      bounds[place] = { import_kw: max_draw_kw[at], export_kw: max_feed_kw[at] };
      twigs[point[at]].ids.push(place);
    });
  }

  let reading = null;
  const drawSoon = paced(300, async () => arrange(), context.failed);
  async function readOn() {
    while (tree.next !== null && root.isConnected) {
      grow(await read(`/v1/tree?after=${encodeURIComponent(tree.next)}`));
      drawSoon();
    }
    ask();
  }

  // Live values are asked for those in sight only; a search by state needs all, piece by piece.
  async function look() {
    if (!tree) {
      grow(await read("/v1/tree"));
      arrange();
    }
    if (tree.next !== null) reading ??= readOn().catch(context.failed).finally(() => (reading = null));
    const seen = (key) => grid.inSight().map((row) => row[key]).filter((place) => place !== undefined).slice(0, MOST_ASKED);
    const places = state.value === "all" ? seen("place") : [...names.keys()];
    const around = `points=${seen("point").join(",")}&enterprises=${seen("enterprise").join(",")}`;
    for (let at = 0; at === 0 || at < places.length; at += MOST_ASKED) {
      flows = await read(`/v1/tree/flows?at=${places.slice(at, at + MOST_ASKED).join(",")}&${around}`);
      for (const one of flows.resources) own.set(one.place, one);
      for (const one of flows.points) atPoints.set(one.place, one);
      for (const one of flows.enterprises) atEnterprises.set(one.place, one);
    }
    if (state.value === "all") grid.redraw();
    else arrange();
  }

  const ask = context.follow(["tick"], 700, look);
  let waiting = null;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      arrange();
      ask();
    }, 60);
  });
  state.addEventListener("change", () => {
    arrange();
    ask();
  });

  function used(row) {
    const flow = flowOf(row);
    if (!known(flow?.power_kw) || !row.limits) return "";
    const limit = flow.power_kw < 0 ? row.limits.import_kw : row.limits.export_kw;
    if (!known(limit) || limit <= 0) return "";
    const share = Math.abs(flow.power_kw) / limit;
    return h("span", { class: "used" }, h("meter", { min: "0", max: "1", ...(row.place === undefined ? { low: "0.85", high: "0.95", optimum: "0.5" } : {}), value: Math.min(1, share), "aria-label": t("park.used") }), h("small", {}, percent(share)));
  }

  function condition(row) {
    const flow = flowOf(row);
    if (!flow) return "";
    if (row.place === undefined) return known(flow.power_kw) || !row.aged ? "" : h("span", { class: "badge warn" }, t("park.meter_silent"));
    const look = { unknown: "bad", left_out: "warn", in_hand: "warn" }[flow.state];
    const soc = known(flow.soc) ? h("small", {}, t("park.charged", { soc: percent(flow.soc) })) : null;
    return h("span", { title: flow.why }, look ? h("span", { class: `badge ${look}` }, term("park.mark", flow.state)) : null, soc, look && flow.why ? h("small", {}, ` ${flow.why}`) : null);
  }
}

const limits = (of) => (of ? `${number(of.import_kw)} / ${number(of.export_kw)}` : "");

export default { title: "park.title", style: "park", mount };
