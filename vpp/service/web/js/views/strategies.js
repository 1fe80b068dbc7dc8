// View 6: the strategy file in an editor, what it would do before it does, the shadow run, and every version.

import { read, send } from "../client.js";
import { confirm } from "../dialog.js";
import { fill, h, say } from "../dom.js";
import { when } from "../format.js";
import { sheet } from "../sheet.js";
import { editor } from "../strategies/editor.js";
import { history } from "../strategies/history.js";
import { preview } from "../strategies/preview.js";
import { shadow } from "../strategies/shadow.js";
import { table } from "../table.js";
import { t, term } from "../words.js";

sheet("strategies");

let draft = null; // what was written when the view was left, and the version that it was made from

function mount(root, context) {
  let held = null; // the version of the file that the text in the editor was made from
  const state = h("p", { class: "note", role: "status" });
  const moved = h("p", { class: "fault", role: "alert", hidden: true });
  const faults = h("ul", { class: "faults", hidden: true });
  const running = table({
    caption: t("strategies.running"), empty: t("strategies.none"), key: (one) => one.name,
    columns: [
      { title: t("strategies.name"), text: (one) => one.name },
      { title: t("strategies.use"), text: (one) => one.use },
      { title: t("strategies.priority"), text: (one) => (one.priority === null ? null : String(one.priority)), sort: (one) => one.priority, number: true },
      { title: t("strategies.scope"), text: (one) => one.scope },
      { title: t("strategies.schedule"), text: (one) => one.schedule },
    ],
  });
  const pen = editor(context);
  const seen = preview(context);
  const button = (key, act, look) => h("button", { type: "button", class: look, on: { click: () => Promise.resolve(act()).catch(context.failed) } }, t(`strategies.${key}`));
  const apply = button("apply", () => put(), "primary");
  root.append(
    h("section", { class: "card" }, state, moved, faults, running.element),
    h("section", { class: "card" }, h("h3", {}, t("strategies.editor")), pen.element,
      h("div", { class: "buttons" }, button("reset", () => reset()), button("run_shadow", () => try_()), button("preview", () => seen.begin(pen.text())), apply)),
    seen.element);
  const shadows = shadow(root, context);
  const versions = history(root, context, { held: () => held, changed: () => again() });
  pen.watch((valid) => (apply.disabled = !valid));

  let newest = null;
  const again = context.follow(["strategies", "plan"], 2000, async () => {
    newest = await read("/v1/strategies");
    if (held === null) draft ? resume() : reset();
    running.update(newest.strategies);
    say(state, told(newest));
    const elsewhere = held !== newest.file.version;
    moved.hidden = !elsewhere;
    if (elsewhere) say(moved, t("strategies.moved"));
    faults.hidden = newest.file.state !== "broken";
    fill(faults, newest.file.state === "broken" ? [h("li", {}, t("strategies.broken")), newest.file.faults.map((one) => h("li", { lang: "en" }, place(one)))] : null);
    await Promise.all([shadows.update(), versions.update(newest)]);
  });

  function reset() {
    held = newest.file.version;
    moved.hidden = true;
    pen.put(newest.file.text);
  }

  function resume() {
    held = draft.held;
    pen.put(draft.text);
  }

  function put() {
    return confirm({
      title: t("strategies.apply"), text: t("strategies.apply_text", { at: when(newest.next_plan_at, "time") }), action: t("strategies.apply"),
      act: ({ by, reason }) => send("PUT", "/v1/strategies", { text: pen.text(), by, reason, based_on: held }),
    }).then((made) => {
      if (!made) return null;
      held = made.version;
      pen.check();
      return again();
    });
  }

  function try_() {
    return confirm({
      title: t("strategies.run_shadow"), text: t("strategies.shadow_text"), action: t("strategies.run_shadow"),
      act: ({ by, reason }) => send("POST", "/v1/strategies/shadow", { text: pen.text(), by, reason }),
    }).then((made) => made && again());
  }

  return () => {
    if (newest) draft = pen.text() === newest.file.text ? null : { text: pen.text(), held };
    pen.destroy();
    seen.destroy();
  };
}

const place = (one) => `${one.line}:${one.column} ${one.path ? `${one.path}: ` : ""}${one.what}`;

function told(view) {
  const live = view.live;
  const said = [live
    ? t("strategies.live", { version: live.version, origin: term("strategies.origin", live.origin), by: live.by, at: when(live.live_from ?? live.accepted_at) })
    : t("strategies.live_soon", { version: view.live_version })];
  if (view.waiting) said.push(t("strategies.waiting", { version: view.waiting.version, by: view.waiting.by, at: when(view.next_plan_at, "time") }));
  if (view.file.path) said.push(t("strategies.path", { path: view.file.path }));
  return said.join(" · ");
}

export default { title: "strategies.title", mount };
