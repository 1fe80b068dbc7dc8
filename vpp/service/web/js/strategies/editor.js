// A text with line numbers that is checked as it is written: each fault leads to its line.

import { paced, send } from "../client.js";
import { fill, h, say } from "../dom.js";
import { said, tongue } from "../said.js";
import { t } from "../words.js";

const CHECK_MS = 500;

/** Gives `{element, text, put, check, watch, destroy}`; `watch(callback(valid))`. */
export function editor(context) {
  const numbers = h("pre", { class: "lines", "aria-hidden": "true" });
  const area = h("textarea", { id: "strategy-text", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", rows: "24", "aria-describedby": "strategy-verdict" });
  const verdict = h("p", { id: "strategy-verdict", class: "note", role: "status" });
  const faults = h("ul", { class: "faults", hidden: true });
  const changes = h("ul", { class: "changes", hidden: true });
  const element = h("div", { class: "editor" },
    h("label", { for: "strategy-text" }, t("strategies.text")),
    h("div", { class: "pen" }, numbers, area), verdict, faults, changes);
  let watcher = () => {};
  let bad = new Set();
  let over = false;

  const check = paced(CHECK_MS, async () => {
    if (over || !area.value) return;
    const asked = area.value;
    const found = await send("POST", "/v1/strategies/validate", { text: asked });
    if (over || asked !== area.value) return check();
    show(found);
    return null;
  }, context.failed);

  function show(found) {
    say(verdict, found.valid ? (found.changes.length ? t("strategies.valid_changes", { n: found.changes.length }) : t("strategies.valid_same")) : t("strategies.invalid", { n: found.faults.length }));
    verdict.classList.toggle("bad", !found.valid);
    faults.hidden = found.valid;
    fill(faults, found.faults.map((one) => h("li", {},
      h("button", { type: "button", class: "quiet", on: { click: () => go(one) } }, t("strategies.line", { line: one.line, column: one.column })),
      h("span", { lang: "en" }, `${one.path ? `${one.path}: ` : ""}${one.what}`))));
    changes.hidden = found.changes.length === 0;
    fill(changes, found.changes.map((one) => h("li", { lang: tongue(one) }, said(one))));
    bad = new Set(found.faults.map((one) => one.line));
    count();
    watcher(found.valid);
  }

  function count() {
    const lines = area.value.split("\n").length;
    fill(numbers, Array.from({ length: lines }, (_, i) => h("span", { class: bad.has(i + 1) ? "bad" : null }, `${i + 1}\n`)));
  }

  function go({ line, column }) {
    const lines = area.value.split("\n");
    const at = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
    area.focus();
    area.setSelectionRange(at, at + Math.max(1, (lines[line - 1] ?? "").length - column + 1));
    area.scrollTop = Math.max(0, (line - 4) * (area.scrollHeight / lines.length));
  }

  area.addEventListener("scroll", () => (numbers.scrollTop = area.scrollTop));
  area.addEventListener("input", () => {
    count();
    check();
  });
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" || event.shiftKey || event.ctrlKey || event.altKey || area.dataset.leaves) return;
    event.preventDefault(); // two spaces as YAML has them; Escape first lets Tab leave
    area.setRangeText("  ", area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input"));
  });
  area.addEventListener("keyup", (event) => event.key === "Escape" && (area.dataset.leaves = "yes"));
  area.addEventListener("blur", () => delete area.dataset.leaves);

  return {
    element,
    text: () => area.value,
    put(text) {
      area.value = text;
      count();
      check();
    },
    check,
    watch: (callback) => (watcher = callback),
    destroy: () => (over = true),
  };
}
