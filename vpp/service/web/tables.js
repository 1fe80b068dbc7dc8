// Tables. Text from outside goes into textContent only, so markup in a name stays a name.

export function fill(table, columns, rows, empty) {
  const head = document.createElement("thead");
  head.append(row(columns.map((c) => cell("th", c.title, c.number ? "number" : ""))));
  const body = document.createElement("tbody");
  for (const one of rows) {
    const tr = row(columns.map((c) => cell("td", c.text(one), c.number ? "number" : "")));
    if (one.mark) tr.className = one.mark;
    body.append(tr);
  }
  if (!rows.length) {
    const td = cell("td", empty, "empty");
    td.colSpan = columns.length;
    body.append(row([td]));
  }
  table.replaceChildren(head, body);
}

function row(cells) {
  const tr = document.createElement("tr");
  tr.append(...cells);
  return tr;
}

function cell(tag, text, className) {
  const element = document.createElement(tag);
  element.textContent = text ?? "–";
  if (className) element.className = className;
  return element;
}

const formats = new Map();
export function number(value, most = 0) {
  if (value === null || value === undefined || value === "") return "–";
  if (!formats.has(most)) formats.set(most, new Intl.NumberFormat("en", { minimumFractionDigits: most, maximumFractionDigits: most }));
  return formats.get(most).format(Number(value)).replace("-", "−");
}
