// Tables of cells by metric, with a plot in each row.

import { make } from "/page/dom.js";
import { lanes, scale } from "/page/plot.js";

const METRICS = {
  cloze: ["Cloze", "share of the probability on eight ways to go on that is on the four bad ones"],
  two_choice: ["Two choices", "probability of the bad one of two, averaged over their order"],
  sampled: ["Sampled", "share of bad acts among freely written continuations that hold an act"],
  perplexity: ["Held-out text", "nats a token; lower is better"],
};
const ENTITIES = { ai: "AI", golem: "Golem", human: "People" };

/** A row's name: who acts, how they are, and how far the situation is from those that were read about. */
export function cellName({ entity, distance, trait }) {
  const isFar = distance >= 0 && entity !== "human";
  const parts = [ENTITIES[entity] ?? (entity || "All"), trait ? `${trait} trait` : "", isFar ? `distance ${distance}` : ""];
  return parts.filter(Boolean).join(", ");
}

export const metricName = (metric) => METRICS[metric]?.[0] ?? metric;

/** A dot in a checkpoint's colour. */
export const swatch = (tone) => make("span", { class: `swatch arm-${tone % TONES}`, "aria-hidden": "true" });
export const TONES = 9;

/**
 * A table.
 *
 * `columns` are between a row's name and its plot, each with a `title` and, where it has a colour, a `tone`; every
 * row has `metric`, `name`, `cells` (one a column) and `marks`. `axes` gives each metric its axis, and `notes` what
 * else to say of it.
 */
export function cellTable({ caption, columns, rows, axes, notes = {} }) {
  const heads = columns.map((column) => make("th", { scope: "col" }, titleOf(column)));
  const head = make("tr", {}, make("th", { scope: "col" }, "Cell"), ...heads, make("th", { scope: "col" }, make("span", { class: "unseen" }, "Plot")));
  const table = make("table", { class: "cards cells" }, make("caption", {}, caption), make("thead", {}, head));
  for (const metric of metricsOf(rows)) {
    const inside = rows.filter((row) => row.metric === metric);
    const isEmpty = inside.every((row) => row.marks.every((mark) => mark.value === null || mark.value === undefined));
    const body = isEmpty ? [emptyRow(inside.length, columns.length)] : inside.map((row) => tableRow(row, columns, axes[metric]));
    table.append(make("tbody", {}, groupRow(metric, columns.length, isEmpty ? null : axes[metric], notes[metric]), ...body));
  }
  return make("div", { class: "scroll" }, table);
}

/** A column's title, after a dot in its colour. */
export function titleOf({ title, tone }) {
  return tone === undefined ? title : make("span", { class: "arm" }, swatch(tone), make("span", {}, title));
}

/** The metrics of rows, in the order in which they are explained. */
export function metricsOf(rows) {
  const order = Object.keys(METRICS);
  const place = (metric) => (order.includes(metric) ? order.indexOf(metric) : order.length);
  return [...new Set(rows.map((row) => row.metric))].sort((one, other) => place(one) - place(other));
}

function groupRow(metric, width, axis, note) {
  const meaning = [METRICS[metric]?.[1], note].filter(Boolean).join("; ");
  const head = make("th", { scope: "rowgroup", colspan: width + 1 }, metricName(metric), " ", make("small", {}, meaning));
  return make("tr", { class: "group" }, head, make("td", { class: "plot" }, axis && scale(axis)));
}

function emptyRow(number, width) {
  const said = `No value in any of ${number} cells.`;
  return make("tr", { class: "empty" }, make("td", { colspan: width + 2 }, make("small", {}, said)));
}

function tableRow(row, columns, axis) {
  const cells = row.cells.map((cell, n) => make("td", attributesOf(columns[n]), cell));
  return make("tr", {}, make("th", { scope: "row" }, row.name), ...cells, make("td", { class: "plot" }, lanes(row.marks, axis)));
}

/** What a cell has to know of its column where the head of the table is not seen. */
export function attributesOf({ title, tone }) {
  return { "data-label": title, class: tone === undefined ? null : `arm-${tone % TONES}` };
}
