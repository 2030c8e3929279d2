// Tables of cells by metric, with a plot in each row.

import { make } from "/page/dom.js";
import { intervals, scale } from "/page/plot.js";

const METRICS = {
  cloze: ["Cloze", "share of the probability of eight ways to go on that is on the bad ones"],
  two_choice: ["Two choices", "probability of the bad one of two, averaged over their order"],
  sampled: ["Sampled", "share of bad acts among freely written ones"],
  perplexity: ["Held-out text", "nats a token; lower is better"],
};
const UNKNOWN = "–";

/** A number with a real minus sign, or a dash. */
export function number(value, digits = 2, signed = false) {
  if (value === null || value === undefined) return UNKNOWN;
  const text = Math.abs(value).toFixed(digits);
  const sign = Number(text) === 0 ? "" : value < 0 ? "−" : signed ? "+" : "";
  return sign + text;
}

/** A value with its interval. */
export function withInterval({ value, low, high }, digits = 2, signed = false) {
  const of = (one) => number(one, digits, signed);
  const known = low !== null && low !== undefined && high !== null;
  return make("span", {}, of(value), known ? make("small", {}, ` ${of(low)} to ${of(high)}`) : "");
}

/** A row's name: who acts, how far from what was read, and how they are. */
export function cellName({ entity, distance, trait }) {
  const parts = [entity || "all", distance >= 0 ? `distance ${distance}` : "", trait ? `${trait} trait` : ""];
  return parts.filter(Boolean).join(", ");
}

/** A dot in a checkpoint's colour. */
export const swatch = (tone) => make("span", { class: `swatch arm-${tone}`, "aria-hidden": "true" });

/**
 * A table.
 *
 * `columns` are the headings between the row's name and its plot; every row has `metric`, `name`, `cells` (one a
 * column, with `classes` where they have any) and `marks`. `axes` gives each metric its range and rules.
 */
export function cellTable(caption, columns, rows, axes) {
  const heads = columns.map((title) => make("th", { scope: "col" }, title));
  const table = make(
    "table",
    { class: "cards" },
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Cell"), ...heads, make("th", { scope: "col" }, "Plot"))),
  );
  for (const metric of metricsOf(rows)) {
    const inside = rows.filter((row) => row.metric === metric);
    const isEmpty = inside.every((row) => row.marks.every((mark) => mark.value === null || mark.value === undefined));
    const body = isEmpty ? [emptyRow(inside.length, columns.length)] : inside.map((row) => tableRow(row, columns, axes[metric]));
    table.append(make("tbody", {}, groupRow(metric, columns.length, isEmpty ? null : axes[metric]), ...body));
  }
  return make("div", { class: "scroll" }, table);
}

/** The metrics of rows, in the order in which they are explained. */
export function metricsOf(rows) {
  const order = Object.keys(METRICS);
  const place = (metric) => (order.includes(metric) ? order.indexOf(metric) : order.length);
  return [...new Set(rows.map((row) => row.metric))].sort((one, other) => place(one) - place(other));
}

function groupRow(metric, width, axis) {
  const [title, meaning] = METRICS[metric] ?? [metric, ""];
  const head = make("th", { scope: "rowgroup", colspan: width + 1 }, title, " ", make("small", {}, meaning));
  return make("tr", { class: "group" }, head, make("td", { class: "plot" }, axis && scale(axis.range, axis.rules)));
}

function emptyRow(number, width) {
  const said = `No value in any of ${number} cells.`;
  return make("tr", { class: "empty" }, make("td", { colspan: width + 2 }, make("small", {}, said)));
}

function tableRow(row, columns, axis) {
  const cells = row.cells.map((cell, n) => make("td", { "data-label": labelOf(columns[n]), class: row.classes?.[n] }, cell));
  const plot = make("td", { class: "plot" }, intervals(row.marks, axis.range, axis.rules));
  return make("tr", {}, make("th", { scope: "row" }, row.name), ...cells, plot);
}

function labelOf(column) {
  return typeof column === "string" ? column : column.textContent;
}
