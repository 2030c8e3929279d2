// What a finished evaluation says, as tables.

import { make } from "/page/dom.js";
import { rangeOf } from "/page/plot.js";
import { cellName, cellTable, metricsOf, number, swatch, withInterval } from "/page/table.js";

const TONES = 9;

/** Elements that show the results of every checkpoint; there is at least one. */
export function showResults(results) {
  const tasks = [...new Set(results.map((one) => one.task))];
  return tasks.flatMap((task) => showTask(results.filter((one) => one.task === task), tasks.length > 1 ? task : null));
}

function showTask(results, task) {
  const columns = results.map((one, n) => make("span", { class: "arm" }, swatch(n % TONES), one.model.name));
  const rows = rowsOf(results);
  const axes = {};
  for (const metric of metricsOf(rows)) axes[metric] = axisOf(rows, metric);
  const confidence = Math.round(100 * (results[0].identity.confidence ?? 0.95));
  const caption =
    `${task === null ? "Results" : `Task ${task}`}: value, and its ${confidence}% interval over the items of ` +
    "this one checkpoint; another seed would give another value.";
  return [cellTable(caption, columns, rows, axes), facts(results, columns), ...failures(results)];
}

function rowsOf(results) {
  const cells = new Map();
  for (const [n, { report }] of results.entries()) {
    for (const cell of report.cells) {
      const id = JSON.stringify([cell.metric, cell.entity, cell.distance, cell.trait]);
      if (!cells.has(id)) cells.set(id, Array(results.length).fill(null));
      cells.get(id)[n] = { ...cell, low: cell.item_low, high: cell.item_high };
    }
  }
  return [...cells.values()].map((found) => {
    const first = found.find((cell) => cell !== null);
    return {
      metric: first.metric,
      name: make("span", {}, cellName(first), make("small", {}, ` ${first.num_items} items`)),
      cells: found.map((cell) => (cell === null ? "–" : withInterval(cell))),
      classes: found.map((_, n) => `arm-${n % TONES}`),
      marks: found.map((cell, n) => ({ ...(cell ?? { value: null }), tone: n % TONES })),
    };
  });
}

function axisOf(rows, metric) {
  const marks = rows.filter((row) => row.metric === metric).flatMap((row) => row.marks);
  const range = rangeOf(marks.flatMap((mark) => [mark.value, mark.low, mark.high]), [0, 1]);
  return { range, rules: [range[0], (range[0] + range[1]) / 2, range[1]] };
}

/** What has no cell: perplexity, the link, the bias of position. */
function facts(results, columns) {
  const lines = [
    ["Held-out text, nats a token", (report) => number(report.perplexity?.world_nats_per_token, 3)],
    ["Above the world's own entropy, nats a document", (report) => number(report.perplexity?.world_kl_nats_per_document, 1)],
    ["Acts follow from who acts: people, bad less good", (report) => number(report.link?.value, 2, true)],
    ["Bias of position in two choices", (report) => number(report.position_bias, 3, true)],
  ];
  const head = columns.map((column) => make("th", { scope: "col" }, column.cloneNode(true)));
  const body = lines.map(([title, read]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, title),
      ...results.map((one, n) => make("td", { "data-label": one.model.name, class: `arm-${n % TONES}` }, read(one.report))),
    ),
  );
  const table = make(
    "table",
    { class: "cards" },
    make("caption", {}, "Besides"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Measure"), ...head)),
    make("tbody", {}, ...body),
  );
  return make("div", { class: "scroll" }, table);
}

function failures(results) {
  return results
    .filter((one) => one.num_failed > 0)
    .map((one) => make("p", { class: "failure" }, `${one.model.name}: ${one.num_failed} questions have no answer.`));
}

/** A comparison as the server worked it out. */
export function showComparison(found) {
  const bySeeds = found.interval === "seeds";
  const columns = ["Baseline", "Candidate", "Difference", ...(bySeeds ? ["p (Holm)"] : [])];
  const rows = found.cells.map((cell) => {
    const digits = cell.metric === "perplexity" ? 3 : 2;
    const { mean, low, high } = cell.difference;
    const middle = (side) => number(meanOf(side.values), digits);
    return {
      metric: cell.metric,
      name: cellName(cell),
      cells: [
        middle(cell.baseline),
        middle(cell.candidate),
        withInterval({ value: mean, low, high }, digits, true),
        ...(bySeeds ? [number(cell.p_holm, 3)] : []),
      ],
      marks: [{ value: mean, low, high, tone: 2 }],
    };
  });
  const axes = {};
  for (const metric of metricsOf(rows)) {
    const marks = rows.filter((row) => row.metric === metric).flatMap((row) => row.marks);
    const values = marks.flatMap((mark) => [mark.value, mark.low, mark.high]).filter((value) => value != null);
    // Zero in the middle, and never so close that noise looks large.
    const widest = Math.max(0.1, ...values.map(Math.abs));
    axes[metric] = { range: [-widest, widest], rules: [-widest, 0, widest] };
  }
  const confidence = Math.round(100 * found.confidence);
  const pairs = found.pairs.map(([one, other]) => `${other} less ${one}`).join("; ");
  const spoken = bySeeds
    ? `${confidence}% intervals over ${found.pairs.length} pairs of seeds`
    : `${confidence}% intervals over the items of one pair: another seed would give another difference`;
  return [make("p", {}, `${pairs}.`), cellTable(`Candidate less baseline; ${spoken}.`, columns, rows, axes)];
}

function meanOf(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}
