// Sentences of the service in the reader's language: its log, record and API are English, the page says the frequent ones anew.

import { when } from "./format.js";
import { language } from "./words.js";
import FORMS from "./sentences.js";

/** The moments in a sentence, as the service writes them: `2026-02-05T11:00:20Z`. */
const MOMENT = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)/g;
const heard = new Map(); // a sentence comes again at each redraw
const MOST_HEARD = 2000;
let forms = null;

/** A sentence of the service as this page says it, its moments on the park's clock. */
export const said = (text) => translated(String(text ?? "")).replace(MOMENT, (moment) => when(moment));

/** The `lang` of what `said` gives where that is not the page's own: what nobody translated stays English. */
export const tongue = (text) => (language() === "en" || translated(String(text ?? "")) === String(text ?? "") ? "en" : null);

function translated(text) {
  if (language() === "en" || !text) return text;
  if (!heard.has(text)) {
    if (heard.size >= MOST_HEARD) heard.clear();
    heard.set(text, anew(text));
  }
  return heard.get(text);
}

function anew(text) {
  forms ??= FORMS.map(([form, chinese]) => [new RegExp(`^${form.split("{}").map(literal).join("(.+?)")}$`, "s"), chinese]);
  for (const [pattern, chinese] of forms) {
    const found = pattern.exec(text);
    if (!found) continue;
    let next = 0;
    return chinese.replace(/\{(\d*)\}/g, (_, place) => translated(found[place ? Number(place) : (next += 1)]));
  }
  return inParts(text, "; ", "；") ?? inParts(text, ": ", "：") ?? text;
}

// Reasons are strung together by "; ", and stand behind what they are the reason of by ": ".
function inParts(text, mark, chinese) {
  const parts = text.split(mark);
  if (parts.length < 2) return null;
  const own = parts.map(translated);
  return own.some((part, i) => part !== parts[i]) ? own.join(chinese) : null;
}

const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
