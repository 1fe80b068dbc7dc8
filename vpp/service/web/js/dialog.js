// Ask before something is done: who, why, and what else is needed. Focus goes in, stays in, and comes back.

import { Refused } from "./client.js";
import { fill, h } from "./dom.js";
import { t } from "./words.js";

const NAME = "vpp.by";
let count = 0;

/**
 * Ask, do, and close once it is done. `fields`: list of `{name, label, type, value, required, options, hint}`
 * before the two that every act has, `by` and `reason`; `act(values)` does it and may throw `Refused`, which
 * is shown while the dialog stays open. Gives what `act` gave, or null where it was cancelled.
 */
export function confirm({ title, text, fields = [], action, danger = false, act }) {
  const id = `dialog-${(count += 1)}`;
  const inputs = [...fields, ...who()].map((field) => labelled(id, field));
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const doIt = h("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
  const cancel = h("button", { type: "button", on: { click: () => dialog.close() } }, t("shell.cancel"));
  const form = h("form", { method: "dialog" },
    h("h2", { id }, title), text ? h("p", {}, text) : null,
    inputs.map((one) => one.element), fault, h("div", { class: "buttons" }, cancel, doIt));
  const dialog = h("dialog", { "aria-labelledby": id }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let given = null;
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(given);
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      doIt.disabled = true;
      const values = Object.fromEntries(inputs.map((one) => [one.name, one.input.value.trim()]));
      localStorage.setItem(NAME, values.by);
      try {
        given = (await act(values)) ?? {};
        dialog.close();
      } catch (error) {
        fill(fault, refusal(error));
        fault.hidden = false;
      }
      doIt.disabled = false;
    });
    dialog.showModal();
    inputs.find((one) => !one.input.value)?.input.focus();
  });
}

/** What a refusal says, and what to do: text for a person. */
export function refusal(error) {
  if (!(error instanceof Refused)) return String(error);
  if (error.status === 0) return t("shell.unreachable");
  return error.fix ? `${error.detail}. ${error.fix}.` : error.detail;
}

const who = () => [
  { name: "by", label: t("shell.by"), value: localStorage.getItem(NAME) ?? "", required: true, minlength: 2, maxlength: 120, autocomplete: "name" },
  { name: "reason", label: t("shell.reason"), required: true, minlength: 3, maxlength: 500 },
];

function labelled(dialog, { name, label, options, hint, ...rest }) {
  const id = `${dialog}-${name}`;
  const input = options
    ? h("select", { id, required: rest.required }, options.map(([value, text]) => h("option", { value, selected: value === rest.value }, text)))
    : h("input", { id, ...rest });
  const element = h("p", { class: "field" }, h("label", { for: id }, label), input, hint ? h("small", {}, hint) : null);
  return { name, input, element };
}
