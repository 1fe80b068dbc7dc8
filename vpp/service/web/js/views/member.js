// View 8: one enterprise's own view; and, where none is named, the list of members and of what they ask for.

import { read, send } from "../client.js";
import { chart, seconds } from "../chart.js";
import { confirm } from "../dialog.js";
import { fill, h, say } from "../dom.js";
import { MISSING, age, currency, known, money, number, power, when, zone } from "../format.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

const STALE_S = 180;
const MOST_MEMBERS = 100; // of a fleet nobody reads a list of thousands: they are searched
const KINDS = ["plan", "settlement", "member_request", "demand_response", "strategies", "kill", "override", "instruction", "award"];

function mount(root, context) {
  return context.params.length ? mountMember(root, context, context.params[0]) : mountList(root, context);
}

// ---------------------------------------------------------------- who may see all

function mountList(root, context) {
  const list = h("ul", { class: "members" });
  const more = h("p", { class: "note", role: "status" });
  const search = h("input", { id: "members-search", type: "search", autocomplete: "off", spellcheck: "false", on: { input: () => draw() } });
  let requests = [];
  const asked = requestTable(true, (row) => h("span", { class: "cell-acts" },
    h("button", { type: "button", on: { click: () => decide(row, true) } }, t("member.accept")),
    h("button", { type: "button", class: "danger", on: { click: () => decide(row, false) } }, t("member.refuse"))));
  root.append(h("section", { class: "card" }, h("h3", {}, t("member.members")),
    h("div", { class: "tools", hidden: context.park.enterprises.length <= MOST_MEMBERS }, h("label", { for: "members-search" }, t("member.search")), search), list, more), h("section", { class: "card" }, asked.element, h("p", { class: "note" }, t("member.accept_note"))));

  function decide(row, accept) {
    return confirm({
      title: t(accept ? "member.accept_title" : "member.refuse_title", { n: row.number, who: row.enterprise_id }),
      text: `${words(row)}: ${row.reason}`, action: t(accept ? "member.accept" : "member.refuse"), danger: !accept,
      act: ({ by, reason }) => send("POST", `/v1/member-requests/${row.number}/decision`, { accept, by, reason }),
    }).then((done) => done && again());
  }

  const again = context.follow(["member_request"], 3000, async () => {
    ({ requests } = await read("/v1/member-requests"));
    draw();
    asked.update(requests);
  });

  function draw() {
    const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const found = context.park.enterprises.filter((one) => words.every((word) => `${one.name} ${one.enterprise_id}`.toLowerCase().includes(word)));
    fill(list, found.slice(0, MOST_MEMBERS).map((one) => h("li", {}, h("a", { href: `#/member/${encodeURIComponent(one.enterprise_id)}` }, one.name), " ",
      h("small", {}, open(requests, one.enterprise_id)))));
    say(more, found.length > MOST_MEMBERS ? t("member.more", { n: found.length - MOST_MEMBERS }) : "");
  }
}

const open = (requests, owner) => {
  const n = requests.filter((one) => one.enterprise_id === owner && one.state === "open").length;
  return n ? t("member.waiting", { n }) : "";
};

const words = (row) => `${term("member.kind", row.kind)}, ${row.resources.join(", ") || t("member.everything")}, ${when(row.start)} – ${when(row.end)}`;
const STATE_LOOK = { open: "warn", accepted: "good", refused: "bad", withdrawn: "" };

function requestTable(all, acts) {
  return table({
    caption: t("member.requests"), empty: t("member.no_requests"), key: (row) => String(row.number),
    columns: [
      { title: "№", number: true, text: (row) => row.number, sort: (row) => row.number },
      ...(all ? [{ title: t("member.member"), text: (row) => row.enterprise_id }] : []),
      { title: t("member.window"), text: words, sort: (row) => row.start },
      { title: t("member.why"), text: (row) => `${row.by}: ${row.reason}` },
      { title: t("member.state"), node: (row) => h("span", { class: `badge ${STATE_LOOK[row.state]}` }, term("member.request", row.state)), text: (row) => row.state },
      { title: t("member.decided"), text: (row) => (row.decided_by ? `${row.decided_by}: ${row.decided_because}` : "") },
      { title: t("member.act"), sort: null, text: () => "", node: (row) => (row.state === "open" ? acts(row) : "") },
    ],
  });
}

// ---------------------------------------------------------------- one member

function mountMember(root, context, id) {
  const base = `/v1/members/${encodeURIComponent(id)}`;
  const head = h("div", { class: "tools" });
  const tiles = h("dl", { class: "tiles" });
  const course = courseChart();
  const resources = resourceTable();
  const offers = offerTable();
  const calls = callTable();
  const agreed = h("section", { class: "card" });
  const requests = requestTable(false, (row) => h("button", { type: "button", class: "quiet", on: { click: () => withdraw(row) } }, t("member.withdraw")));
  const statement = ownStatement(context, base);
  root.append(head, tiles, h("section", { class: "card" }, course.element, h("p", { class: "note" }, t("member.sign"))),
    h("section", { class: "card" }, resources.element), h("section", { class: "card" }, offers.element), h("section", { class: "card" }, calls.element),
    agreed, h("section", { class: "card" }, requests.element, h("div", { class: "buttons" }, h("button", { type: "button", class: "primary", on: { click: () => ask() } }, t("member.ask")))),
    statement.element);
  let member = null;

  function ask() {
    const local = (ms) => new Intl.DateTimeFormat("sv-SE", { timeZone: zone(), dateStyle: "short", timeStyle: "short" }).format(new Date(ms)).replace(" ", "T");
    const morning = Math.ceil(context.now() / 3600000) * 3600000;
    return confirm({
      title: t("member.ask_title"), text: t("member.ask_text"), action: t("member.ask"),
      fields: [
        { name: "kind", label: t("member.kind_label"), options: ["maintenance", "no_steering", "no_calls"].map((one) => [one, term("member.kind", one)]), value: "maintenance", required: true },
        { name: "resource", label: t("member.resource"), options: [["", t("member.everything")], ...member.resources.map((one) => [one.resource_id, one.resource_id])], value: "" },
        { name: "start", label: t("member.from"), type: "datetime-local", value: local(morning + 86400000), required: true, hint: t("member.clock", { zone: zone() }) },
        { name: "end", label: t("member.to"), type: "datetime-local", value: local(morning + 86400000 + 8 * 3600000), required: true },
      ],
      act: ({ kind, resource, start, end, by, reason }) => send("POST", `${base}/requests`, { kind, resources: resource ? [resource] : [], start: moment(start), end: moment(end), by, reason }),
    }).then((done) => done && again());
  }

  function withdraw(row) {
    return confirm({
      title: t("member.withdraw_title", { n: row.number }), text: words(row), action: t("member.withdraw"),
      act: ({ by, reason }) => send("POST", `${base}/requests/${row.number}/withdraw`, { by, reason }),
    }).then((done) => done && again());
  }

  const again = context.follow(KINDS, 3000, async () => {
    member = await read(base);
    fill(head, h("h3", {}, member.name), member.stopped_because ? h("p", { class: "fault" }, t("member.stopped", { why: member.stopped_because })) : null);
    showTiles(tiles, member, context.now());
    showCourse(course, member, context.now() / 1000);
    resources.update(member.resources);
    offers.update(member.invitations);
    calls.update([...member.interruptions.map(asCall), ...member.instructions.map(asAsked)]);
    showAgreement(agreed, member.agreement);
    requests.update(member.requests);
    await statement.update();
  });
  return () => course.destroy();
}

/** A wall-clock time of the park, `2025-12-05T08:00`, as a moment: the offset is that of the zone then. */
function moment(text) {
  const guess = Date.parse(`${text}:00Z`);
  const shown = (ms) => Date.parse(`${new Intl.DateTimeFormat("sv-SE", { timeZone: zone(), dateStyle: "short", timeStyle: "medium" }).format(new Date(ms)).replace(" ", "T")}Z`);
  const first = guess - (shown(guess) - guess);
  return new Date(first - (shown(first) - guess)).toISOString();
}

function showTiles(root, member, now) {
  const tile = (key, node, note) => h("div", { class: "tile" }, h("dt", {}, t(`member.${key}`)), h("dd", { id: `own-${key}` }, node), h("dd", { class: "note" }, note ?? ""));
  const planned = plannedNow(member.planned, now);
  const heard = member.resources.filter((one) => one.known).length;
  fill(root,
    tile("power", power(member.power_kw), t(member.power_kw === null ? "member.no_meter" : member.power_kw < 0 ? "member.drawn" : "member.fed")),
    tile("planned", power(planned), member.planned ? t("member.plan_of", { at: when(member.planned.issued_at, "time") }) : t("member.no_plan")),
    tile("limit", member.points.map((one) => power(one.limits.import_kw)).join(" + ") || MISSING, t("member.import_limit")),
    tile("heard", `${number(heard)} / ${number(member.resources.length)}`, t("member.heard_note")));
}

function plannedNow(planned, now) {
  if (!planned) return null;
  const at = Math.floor((now - Date.parse(planned.course.start)) / 1000 / planned.course.step_s);
  return planned.course.net_kw[at] ?? null;
}

function courseChart() {
  return chart({
    title: t("member.load"), axes: [{ unit: "kW" }],
    series: [
      { label: t("member.measured"), unit: "kW", colour: "--actual", stepped: true, width: 2 },
      { label: t("member.planned"), unit: "kW", colour: "--plan", stepped: true },
    ],
  });
}

function showCourse(plot, member, now) {
  const values = new Map();
  const put = (course, place) => course?.net_kw.forEach((kw, i) => {
    const at = seconds(course.start) + i * course.step_s;
    if (!values.has(at)) values.set(at, [null, null]);
    values.get(at)[place] = kw;
  });
  put(member.measured, 0);
  put(member.planned?.course, 1);
  const x = [...values.keys()].sort((a, b) => a - b);
  plot.update({ x, columns: [0, 1].map((place) => x.map((at) => values.get(at)[place])), now });
}

function resourceTable() {
  return table({
    caption: t("member.resources"), empty: t("member.no_resources"), key: (row) => row.resource_id, mark: (row) => (row.known ? null : "quiet"),
    columns: [
      { title: t("member.name"), text: (row) => row.resource_id },
      { title: t("member.what"), text: (row) => term("member.device", row.kind) },
      { title: t("member.now"), sort: (row) => row.power_kw, text: (row) => number(row.power_kw), node: (row) => age({ text: power(row.power_kw), seconds: row.age_s, stale: STALE_S, reason: row.reason }) },
      { title: t("member.planned"), number: true, text: (row) => power(row.planned_kw), sort: (row) => row.planned_kw },
      { title: t("member.told"), number: true, text: (row) => (row.setpoint?.in_force ? power(row.setpoint.power_kw) : MISSING), sort: (row) => row.setpoint?.power_kw ?? null },
      { title: t("member.level"), number: true, text: (row) => level(row) },
    ],
  });
}

const level = (row) => (known(row.soc) ? `${number(100 * row.soc)} %` : known(row.temperature_degc) ? `${number(row.temperature_degc, 1)} °C` : known(row.cars) ? t("member.cars", { n: row.cars }) : "");

function offerTable() {
  const mwh = (value) => (known(value) ? number(value, 3) : "");
  return table({
    caption: t("member.invitations"), empty: t("member.no_invitations"), key: (row) => row.invitation_id,
    columns: [
      { title: t("member.window"), text: (row) => `${when(row.start)} – ${when(row.end, "time")}`, sort: (row) => row.start },
      { title: t("member.product"), text: (row) => row.product },
      { title: t("member.way"), text: (row) => t(`member.way_${row.direction}`) },
      { title: t("member.state"), text: (row) => term("member.stage", row.stage) },
      { title: t("member.could"), text: (row) => (row.refused ? row.refused : power(row.could_kw)), sort: (row) => row.could_kw },
      { title: t("member.share"), number: true, text: (row) => mwh(row.nominated_mw), sort: (row) => Number(row.nominated_mw) },
      { title: t("member.brought"), number: true, text: (row) => mwh(row.response_mwh), sort: (row) => Number(row.response_mwh) },
      { title: t("member.paid", { currency: currency() }), number: true, text: (row) => (known(row.amount) ? number(row.amount - (row.penalty ?? 0), 2) : ""), sort: (row) => Number(row.amount) },
    ],
  });
}

const asCall = (one) => ({ key: `${one.resource_id} ${one.began}`, at: one.began, what: t("member.interrupted"), resource: one.resource_id, detail: `${number(one.energy_kwh, 1)} kWh · ${money(one.energy_kwh * one.price_per_kwh)}` });
const asAsked = (one) => ({ key: one.instruction_id, at: one.start, what: t("member.by_hand"), resource: one.resource_id, detail: `${power(one.promised_kw)} / ${power(one.amount_kw)} · ${term("member.answer", one.state)}` });

function callTable() {
  return table({
    caption: t("member.calls"), empty: t("member.no_calls"), key: (row) => row.key,
    columns: [
      { title: t("member.at"), text: (row) => when(row.at), sort: (row) => row.at },
      { title: t("member.what"), text: (row) => row.what },
      { title: t("member.resource"), text: (row) => row.resource },
      { title: t("member.detail"), text: (row) => row.detail },
    ],
  });
}

function showAgreement(root, agreement) {
  const caps = [[agreement.calls_per_day, "per_day"], [agreement.calls_per_month, "per_month"], [agreement.call_hours_per_month, "hours_month"]]
    .filter(([value]) => value !== null).map(([value, unit]) => `${number(value)} ${t(`member.${unit}`)}`);
  const what = (one) => one.resources.join(", ") || t("member.everything");
  const during = (one) => [one.first || one.last ? `${one.first ?? "…"} – ${one.last ?? "…"}` : t("member.always"), one.days.map((day) => term("member.day", day)).join(", "), one.hours.join(", "), one.months.join(", ")].filter(Boolean).join(" · ");
  fill(root, h("h3", {}, t("member.agreement")),
    h("dl", { class: "facts" }, [
      [t("member.takes_part"), t(agreement.takes_part ? "member.yes" : "member.no")],
      [t("member.caps"), caps.length ? caps.join(", ") : t("member.no_cap")],
      [t("member.version"), agreement.strategy_version]].map(([title, text]) => [h("dt", {}, title), h("dd", {}, text)])),
    h("h4", {}, t("member.maintenance")), agreement.maintenance.length
      ? h("ul", {}, agreement.maintenance.map((one) => h("li", {}, `${what(one)}: ${when(one.start)} – ${when(one.end)} (${t(`member.window_${one.state}`)}): ${one.reason}`))) : h("p", { class: "empty" }, t("member.none")),
    h("h4", {}, t("member.vetoes")), agreement.vetoes.length
      ? h("ul", {}, agreement.vetoes.map((one) => h("li", {}, `${t(`member.covers_${one.covers}`)}, ${what(one)}: ${during(one)}: ${one.reason}`))) : h("p", { class: "empty" }, t("member.none")));
}

function ownStatement(context, base) {
  const choice = h("select", { id: "own-period", on: { change: () => update() } });
  const total = h("strong", {});
  const links = h("span", {});
  const lines = table({
    caption: t("member.statement"), empty: t("member.no_statement"), key: (row) => String(row.place),
    columns: [
      { title: t("member.item"), text: (row) => term("member.items", row.item) },
      { title: t("member.detail"), text: (row) => row.detail },
      { title: "kWh", number: true, text: (row) => (Number(row.energy_kwh) ? number(row.energy_kwh, 1) : ""), sort: (row) => Number(row.energy_kwh) },
      { title: currency(), number: true, text: (row) => number(row.amount, 2), sort: (row) => Number(row.amount) },
    ],
  });
  const tools = h("div", { class: "tools", hidden: true }, h("label", { for: "own-period" }, t("member.period")), choice, total, links);
  const element = h("section", { class: "card" }, tools, lines.element, h("p", { class: "note" }, t("member.statement_sign")));

  async function update() {
    const periods = await read(`${base}/periods`);
    const all = [...periods.months, ...periods.days].map((one) => one.period);
    const period = all.includes(choice.value) ? choice.value : all[0];
    fill(choice, all.map((one) => h("option", { value: one, selected: one === period }, one)));
    tools.hidden = !period;
    if (!period) return;
    const found = await read(`${base}/statement?period=${period}`).catch((error) => context.failed(error));
    const own = found?.statements[0];
    say(total, own ? `${money(own.total)} (${t(own.provisional ? "member.provisional" : "member.final")})` : MISSING);
    fill(links, h("a", { href: `${base}/statement?period=${period}&format=csv`, download: "" }, "CSV"));
    lines.update((own?.lines ?? []).map((line, place) => ({ ...line, place })));
  }

  return { element, update };
}

export default { title: "member.title", style: "accounts", mount };
