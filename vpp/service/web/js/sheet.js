// Styles that one view alone needs: asked for once, when it is first opened.

import { h } from "./dom.js";

const asked = new Set();

/** Have `css/NAME.css`. */
export function sheet(name) {
  if (asked.has(name)) return;
  asked.add(name);
  document.head.append(h("link", { rel: "stylesheet", href: `/static/css/${name}.css` }));
}
