// Elements, tables, and figures that carry a chart, its legend and its table.

/** An element; `children` are nodes, texts or null. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A table from {caption, head, rows}; the first cell of a row names it, cells that are numbers as text align right. */
export function table({caption, head, rows, textColumns = [0]}) {
  const side = (column) => (textColumns.includes(column) ? "text" : null);
  const cells = (row) => row.map((cell, column) =>
    column === 0 ? el("th", {scope: "row", class: side(0)}, cell) : el("td", {class: side(column)}, cell));
  return el("table", {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, head.map((cell, column) => el("th", {scope: "col", class: side(column)}, cell)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, cells(row)))));
}

/** A box that a keyboard can scroll. */
export function scrollable(name, content) {
  return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": name}, content);
}

/** A closed fold whose content is made when it is first opened: tables of large models have thousands of cells. */
export function fold(summary, make) {
  const details = el("details", {}, el("summary", {}, summary));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(make());
  });
  return details;
}

/** Swatches with their names; a swatch's class gives its colour and shape, or it is an element. */
export function legend(entries) {
  return el("ul", {class: "legend"}, entries.map(([swatch, name]) =>
    el("li", {}, typeof swatch === "string" ? el("span", {class: `swatch ${swatch}`, "aria-hidden": "true"}) : swatch, name)));
}

/** A piece of a line, for a legend. */
export function lineSwatch(colour, dashes) {
  const make = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const swatch = make("svg", {width: 30, height: 10, "aria-hidden": "true", class: "line-swatch"});
  swatch.append(make("path", {d: "M0 5H28", "stroke-width": 2.5, "stroke-dasharray": dashes, style: `stroke: ${colour}`}));
  return swatch;
}

/** Draws into `holder` at its width, again whenever the width changes. */
function drawInto(holder, draw) {
  let drawn = 0;
  new ResizeObserver(() => {
    const width = Math.floor(holder.clientWidth);
    if (width === drawn || width === 0) return;
    drawn = width;
    const chart = draw(width);
    // The holder's label says what the picture shows; its parts would be read out one by one.
    chart.setAttribute("aria-hidden", "true");
    holder.replaceChildren(chart);
  }).observe(holder);
}

/**
 * A chart with all that belongs to it. `label` says in words what it shows; `panels` are [title, draw] where there are
 * several pictures side by side, else `draw(width)` makes the one. `tables` makes what the fold below holds.
 */
export function figure({id, title, note, label, draw, panels, key, tables, tableName, isWide = false}) {
  const holder = (name, make) => {
    const element = el("div", {class: "chart", role: "img", "aria-label": name});
    drawInto(element, make);
    return element;
  };
  const pictures = panels
    ? el("div", {class: "panels"}, panels.map(([name, make]) => el("div", {}, el("h3", {}, name), holder(`${name}: ${label}`, make))))
    : holder(label, draw);
  const heading = `${id}-title`;
  return el("figure", {id, class: isWide ? "card wide" : "card", "aria-labelledby": heading},
    el("h2", {id: heading}, title), note ? el("p", {class: "note"}, note) : null, key ?? null, pictures,
    fold(`Table: ${tableName ?? title[0].toLowerCase() + title.slice(1)}`, () =>
      scrollable(`Table: ${tableName ?? title}`, tables().map(table))));
}
