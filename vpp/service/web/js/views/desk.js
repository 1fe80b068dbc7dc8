// View 7: what needs a person, what people wrote down, who did what, and the kill switch.

import { alarms } from "../desk/alarms.js";
import { audit } from "../desk/audit.js";
import { events } from "../desk/events.js";
import { log } from "../desk/log.js";
import { stops } from "../desk/stops.js";
import { h } from "../dom.js";
import { sheet } from "../sheet.js";
import { t } from "../words.js";

const PARTS = { alarms, stops, log, events, audit };
sheet("desk");

function mount(root, context) {
  const chosen = context.params[0] in PARTS ? context.params[0] : "alarms";
  const tabs = h("nav", { class: "parts", "aria-label": t("desk.parts") },
    Object.keys(PARTS).map((name) => h("a", {
      href: name === "alarms" ? "#/desk" : `#/desk/${name}`, "aria-current": name === chosen ? "page" : null,
    }, t(`desk.part_${name}`))));
  const part = h("div", { class: "part" });
  root.append(tabs, part);
  return PARTS[chosen](part, context);
}

export default { title: "desk.title", mount };
