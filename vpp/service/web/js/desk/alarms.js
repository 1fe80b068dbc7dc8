// The list of alarms: first causes, the most urgent first, each with what follows from it.

import { read, send } from "../client.js";
import { confirm } from "../dialog.js";
import { fill, h, say } from "../dom.js";
import { duration, when } from "../format.js";
import { said, tongue } from "../said.js";
import { language, t, term } from "../words.js";

const LOOK = { critical: "bad", high: "bad", medium: "warn", low: "" };
const NAMED = 6;

export function alarms(root, context) {
  const told = h("p", { class: "note", role: "status" });
  const list = h("ol", { class: "alarms", "aria-label": t("desk.alarms") });
  const aside = h("section", { class: "card", hidden: true });
  const done = h("details", { class: "card" }, h("summary", {}, t("desk.over")), h("div", {}));
  root.append(h("section", { class: "card" }, h("h3", {}, t("desk.alarms")), told, list), aside, done);
  const open = new Set();
  let ages = [];
  let before = "";

  const again = context.follow(["alarm"], 1000, async () => {
    const view = await read("/v1/alarms");
    say(told, summary(view));
    const now = JSON.stringify([view.shown, view.shelved]);
    if (now !== before) {
      before = now;
      draw(view);
    }
    for (const [place, since] of ages) say(place, t("desk.since", { age: duration((context.now() - since) / 1000) }));
  });
  const timer = setInterval(again, 15000);
  done.addEventListener("toggle", async () => {
    if (done.open) fill(done.lastChild, past((await read("/v1/alarms/history?limit=100")).alarms));
  });

  function draw(view) {
    const focused = document.activeElement?.dataset.act;
    ages = [];
    fill(list, view.shown.length ? view.shown.map(item) : h("li", { class: "empty" }, t("desk.no_alarms")));
    aside.hidden = view.shelved.length === 0;
    fill(aside, h("h3", {}, t("desk.shelved")), h("ol", { class: "alarms" }, view.shelved.map(item)));
    if (focused) root.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  function item(alarm) {
    const age = h("small", { class: "note" });
    ages.push([age, Date.parse(alarm.raised_at)]);
    const shelved = alarm.shelved_until !== null;
    return h("li", { class: `alarm ${alarm.priority}${alarm.state === "unacknowledged" ? "" : " seen"}` },
      h("div", { class: "alarm-head" },
        h("span", { class: `badge ${LOOK[alarm.priority]}` }, term("desk.priority", alarm.priority)),
        h("strong", {}, title(alarm)), age,
        h("span", { class: "badge" }, shelved ? t("desk.shelved_until", { at: when(alarm.shelved_until, "time") }) : term("desk.state", alarm.state))),
      alarm.detail ? h("p", { class: "detail", lang: tongue(alarm.detail) }, said(alarm.detail)) : null,
      alarm.members.length ? h("p", { class: "note" }, members(alarm)) : null,
      alarm.state === "normal" ? null : h("p", { class: "do" }, alarm.action[language()]),
      who(alarm), consequences(alarm), h("div", { class: "buttons" }, acts(alarm, shelved)));
  }

  function consequences(alarm) {
    const count = alarm.consequences.length + alarm.more;
    if (!count) return null;
    const details = h("details", {}, h("summary", {}, t("desk.consequences", { n: count })),
      h("ul", {}, alarm.consequences.map((one) => h("li", {},
        h("span", { class: "note" }, `${when(one.raised_at, "time")} · ${term("desk.priority", one.priority)} · `),
        title(one), one.detail ? h("small", { class: "note", lang: tongue(one.detail) }, ` ${said(one.detail)}`) : null)),
      alarm.more ? h("li", { class: "note" }, t("desk.more", { n: alarm.more })) : null));
    details.open = open.has(alarm.alarm_id);
    details.addEventListener("toggle", () => (details.open ? open.add(alarm.alarm_id) : open.delete(alarm.alarm_id)));
    return details;
  }

  function acts(alarm, shelved) {
    const button = (name, act) => h("button", { type: "button", data: { act: `${name}-${alarm.alarm_id}` }, on: { click: act }, "aria-label": `${t(`desk.${name}`)}: ${title(alarm)}` }, t(`desk.${name}`));
    const place = `/v1/alarms/${alarm.alarm_id}`;
    const ask = (name, extra = {}) => confirm({
      title: `${t(`desk.${name}`)}: ${title(alarm)}`, text: t(`desk.${name}_text`), action: t(`desk.${name}`), ...extra,
      act: ({ by, reason, ...more }) => send("POST", `${place}/${name}`, { by, reason, ...(extra.body?.(more) ?? {}) }),
    }).then((made) => made && again());
    return [
      alarm.acknowledged_at === null ? button("acknowledge", () => ask("acknowledge")) : null,
      shelved ? button("unshelve", () => ask("unshelve"))
        : alarm.priority === "critical" ? null : button("shelve", () => ask("shelve", { fields: [minutes()], body: ({ minutes: n }) => ({ for_minutes: Number(n) }) })),
      alarm.state === "returned" ? null : button("escalate", async () => {
        const { persons } = await read("/v1/people");
        const options = persons.filter((one) => one.channels.length).map((one) => [one.person, one.name]);
        if (!options.length) return context.failed(t("desk.nobody"));
        return ask("escalate", { fields: [{ name: "to", label: t("desk.person"), options, required: true }], body: ({ to }) => ({ to: [to] }) });
      }),
    ];
  }

  return () => clearInterval(timer);
}

const minutes = () => ({
  name: "minutes", label: t("desk.how_long"), value: "60", required: true,
  options: [["15", t("shell.minutes", { n: 15 })], ["60", t("shell.minutes", { n: 60 })], ["240", t("shell.hours", { h: 4, m: "00" })], ["720", t("shell.hours", { h: 12, m: "00" })]],
});

function title(alarm) {
  const count = alarm.times > 1 ? ` ×${alarm.times}` : "";
  return `${alarm.title[language()]}${alarm.subject ? ` (${alarm.subject})` : ""}${count}`;
}

function members(alarm) {
  const named = alarm.members.slice(0, NAMED).join(", ");
  const rest = alarm.count - Math.min(NAMED, alarm.members.length);
  return rest > 0 ? `${named} ${t("desk.and_more", { n: rest })}` : named;
}

function who(alarm) {
  const said = [];
  if (alarm.acknowledged_at) said.push(t("desk.acknowledged_by", { by: alarm.acknowledged_by, at: when(alarm.acknowledged_at, "time"), why: alarm.comment }));
  if (alarm.shelved_until) said.push(t("desk.shelved_by", { by: alarm.shelved_by, why: alarm.shelved_because }));
  if (alarm.told) said.push(t("desk.told", { n: alarm.told }));
  return said.length ? h("p", { class: "note" }, said.join(" · ")) : null;
}

function summary(view) {
  if (view.looked_at === null) return t("desk.not_looked");
  const unseen = view.shown.filter((one) => one.state === "unacknowledged").length;
  return t("desk.summary", { n: view.shown.length, unseen, held: view.withheld, at: when(view.looked_at, "second") });
}

function past(found) {
  if (!found.length) return h("p", { class: "empty" }, t("desk.none_over"));
  return h("ul", { class: "past" }, found.map((one) => h("li", {},
    `${when(one.raised_at)} – ${when(one.returned_at, "time")} · ${term("desk.priority", one.priority)} · ${title(one)} · ${one.acknowledged_by || "–"}`)));
}
