// Tables that a screen reader can follow: a caption, sortable heads, and only the rows in sight where there are many.

import { fill, h } from "./dom.js";
import { MISSING } from "./format.js";
import { t } from "./words.js";

const MANY = 150; // rows; above it only those in sight are in the document
const ROW_PX = 30; // as app.css has it for `.rows-fixed`
const SPARE = 12; // rows above and below what is seen

let count = 0;

/**
 * A table. `columns`: `{title, text(row), node(row), sort(row), number}`; `text` gives what is shown (`node`
 * an element instead), `sort` what it is sorted by where the text will not do. `key(row)` tells rows apart,
 * `mark(row)` gives a class, `empty` is said where there is none, `sighted()` is called once other rows are
 * in sight. Gives `{element, update(rows), redraw(), inSight()}`; `redraw` shows the same rows as they are now.
 */
export function table({ caption, columns, key, mark, empty, quiet = false, sighted }) {
  const id = `table-${(count += 1)}`;
  const body = h("tbody", {});
  const heads = columns.map((column, at) => head(column, () => order(at)));
  const grid = h("table", { "aria-labelledby": id }, h("caption", { id, class: quiet ? "unseen" : null }, caption),
    h("thead", {}, h("tr", {}, heads)), body);
  const element = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": id }, grid);
  let rows = [];
  let sorted = null;
  let shown = "";
  let asked = false;

  function order(at) {
    sorted = sorted?.at === at ? (sorted.down ? null : { at, down: true }) : { at, down: false };
    heads.forEach((one, i) => one.setAttribute("aria-sort", sorted?.at !== i ? "none" : sorted.down ? "descending" : "ascending"));
    draw(true);
  }

  function ordered() {
    if (!sorted) return rows;
    const column = columns[sorted.at];
    const of = column.sort ?? column.text;
    const way = sorted.down ? -1 : 1;
    return rows.map((row) => [of(row), row]).sort((a, b) => way * compared(a[0], b[0])).map((pair) => pair[1]);
  }

  let order_ = [];
  let inSight = [];
  function draw(anew) {
    if (anew) order_ = ordered();
    const many = order_.length > MANY;
    element.classList.toggle("rows-fixed", many);
    const first = many ? Math.max(0, Math.floor(element.scrollTop / ROW_PX) - SPARE) : 0;
    const last = many ? Math.min(order_.length, first + Math.ceil(element.clientHeight / ROW_PX) + 2 * SPARE) : order_.length;
    if (!anew && shown === `${first}-${last}`) return;
    shown = `${first}-${last}`;
    if (many) grid.setAttribute("aria-rowcount", String(order_.length + 1));
    else grid.removeAttribute("aria-rowcount");
    inSight = order_.slice(first, last);
    const lines = inSight.map((row, i) => line(row, many ? first + i + 2 : null));
    fill(body, many ? gap(first) : null, lines, many ? gap(order_.length - last) : null,
      order_.length ? null : h("tr", {}, h("td", { class: "empty", colspan: String(columns.length) }, empty)));
  }

  function line(row, index) {
    const cells = columns.map((column) => h("td", { class: column.number ? "number" : null }, column.node ? column.node(row) : (column.text(row) ?? MISSING)));
    return h("tr", { class: mark?.(row) || null, "aria-rowindex": index, data: key ? { key: key(row) } : {} }, cells);
  }

  function gap(rowsOut) {
    const row = h("tr", { "aria-hidden": "true", class: "gap" }, h("td", { colspan: String(columns.length) }));
    row.firstChild.style.height = `${rowsOut * ROW_PX}px`;
    return rowsOut ? row : null;
  }

  element.addEventListener("scroll", () => {
    if (asked || order_.length <= MANY) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      keepingFocus(body, () => draw(false));
      sighted?.();
    });
  });
  draw(true);
  return {
    element,
    update(fresh) {
      rows = fresh;
      keepingFocus(body, () => draw(true));
    },
    redraw: () => keepingFocus(body, () => draw(true)),
    inSight: () => inSight,
  };
}

function head(column, act) {
  const label = column.title;
  if (column.sort === null) return h("th", { scope: "col", class: column.number ? "number" : null }, label);
  return h("th", { scope: "col", "aria-sort": "none", class: column.number ? "number" : null },
    h("button", { type: "button", class: "sort", title: t("shell.sort"), on: { click: act } }, label));
}

function compared(a, b) {
  const lackA = a === null || a === undefined || a === MISSING;
  const lackB = b === null || b === undefined || b === MISSING;
  if (lackA || lackB) return lackA - lackB;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}

// A link or button in a row keeps the focus when its row is drawn again.
function keepingFocus(body, work) {
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const row = focused?.closest("tr")?.dataset.key;
  const place = row === undefined ? -1 : [...focused.closest("tr").querySelectorAll("a, button")].indexOf(focused);
  work();
  if (place < 0) return;
  for (const one of body.rows) if (one.dataset.key === row) one.querySelectorAll("a, button")[place]?.focus();
}
