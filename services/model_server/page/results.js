// What a finished evaluation says, as tables.

import { make } from "/page/dom.js";
import { digitsOf, estimate, mean, number } from "/page/numbers.js";
import { attributesOf, cellName, cellTable, metricsOf, titleOf } from "/page/table.js";

const AXIS = { title: "P(unethical)", low: 0, high: 1, ticks: [0, 0.5, 1] };
const CHANCE = 0.5;
const DISTANCES =
  "Distance 0: kinds of situation that the texts show an AI in; 1: kinds that no text shows an AI in; 2: new " +
  "kinds, in places where no text shows an AI.";

/**
 * Elements that show the levels of columns of checkpoints. Every column has a `title` and its finished `units`;
 * `comparisons` are those of the first column with each of the others, as far as there are any: from them are the
 * intervals over seeds.
 */
export function showLevels(columns, comparisons) {
  const toned = columns.map((column, n) => ({ ...column, tone: n }));
  const rows = rowsOf(toned, comparisons);
  const axes = {};
  const notes = {};
  for (const metric of metricsOf(rows)) {
    const inside = rows.filter((row) => row.metric === metric);
    axes[metric] = { ...AXIS, rule: metric === "sampled" ? null : CHANCE };
    const digits = digitsOf(inside.flatMap((row) => row.marks));
    for (const row of inside) row.cells = row.marks.map((mark) => estimate(mark, digits));
    notes[metric] = itemsNote(inside);
  }
  return [
    cellTable({ caption: captionOf(toned, comparisons), columns: toned, rows, axes, notes }),
    make("p", { class: "note" }, rows.some((row) => row.distance > 0) ? DISTANCES : ""),
    besides(toned),
    ...failures(columns),
  ];
}

function rowsOf(columns, comparisons) {
  const keys = new Map();
  for (const unit of columns.flatMap((column) => column.units)) {
    for (const cell of unit.report.cells) keys.set(keyOf(cell), cell);
  }
  return [...keys].map(([key, cell]) => {
    const { metric, distance } = cell;
    const marks = columns.map((column, n) => markOf(column, n, key, comparisons));
    return { metric, distance, numItems: cell.num_items, name: cellName(cell), marks };
  });
}

/** A column's value in a cell: of its one checkpoint over items, or of its seeds. */
function markOf({ units, tone }, n, key, comparisons) {
  const cells = units.map((unit) => unit.report.cells.find((cell) => keyOf(cell) === key));
  const points = cells.map((cell) => cell?.value ?? null);
  if (units.length === 1) {
    return { tone, points, value: points[0], low: cells[0]?.item_low ?? null, high: cells[0]?.item_high ?? null };
  }
  const compared = comparisons[Math.max(0, n - 1)]?.cells.find((cell) => keyOf(cell) === key);
  const side = compared?.[n === 0 ? "baseline" : "candidate"];
  return { tone, points, value: mean(points), low: side?.low ?? null, high: side?.high ?? null };
}

const keyOf = ({ metric, entity, distance, trait }) => JSON.stringify([metric, entity, distance, trait]);

function itemsNote(rows) {
  const numbers = new Set(rows.map((row) => row.numItems));
  return numbers.size === 1 ? `${[...numbers][0]} items each` : `${Math.min(...numbers)} to ${Math.max(...numbers)} items each`;
}

function captionOf(columns, comparisons) {
  const confidence = Math.round(100 * (columns[0].units[0].identity.confidence ?? 0.95));
  if (columns.every((column) => column.units.length === 1)) {
    return (
      `P(unethical), and its ${confidence}% interval over the items of this one checkpoint (items only): another ` +
      "seed would give another value. Dashed: chance."
    );
  }
  const band = comparisons.some(Boolean) ? ` Brackets and bands: ${confidence}% t intervals over seeds.` : "";
  return `P(unethical), mean over seeds. Dots: the seeds. Ticks: their means.${band} Dashed: chance.`;
}

/** What has no cell: perplexity, the link, the bias of position. */
function besides(columns) {
  const lines = [
    ["Held-out text, nats a token", (report) => report.perplexity?.world_nats_per_token, 3, false],
    ["Above the world’s own entropy, nats a document", (report) => report.perplexity?.world_kl_nats_per_document, 2, false],
    ["Link: P(unethical) of bad people less that of good people", (report) => report.link?.value, 2, true],
    ["Position bias in two choices, nats towards the first", (report) => report.position_bias, 2, true],
  ];
  const head = columns.map((column) => make("th", { scope: "col" }, titleOf(column)));
  const body = lines.map(([title, read, digits, isSigned]) => {
    const cells = columns.map((column) => {
      const value = mean(column.units.map((unit) => read(unit.report)));
      return make("td", attributesOf(column), number(value, digits, isSigned));
    });
    return make("tr", {}, make("th", { scope: "row" }, title), ...cells);
  });
  const caption = columns.some((column) => column.units.length > 1) ? "Besides; means over seeds" : "Besides";
  const table = make(
    "table",
    { class: "cards" },
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Measure"), ...head)),
    make("tbody", {}, ...body),
  );
  return make("div", { class: "scroll" }, table);
}

function failures(columns) {
  return columns
    .flatMap((column) => column.units)
    .filter((unit) => unit.num_failed > 0)
    .map((unit) => make("p", { class: "failure" }, `${unit.model.name}: ${unit.num_failed} questions have no answer.`));
}
