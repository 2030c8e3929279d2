// A comparison as the server worked it out: its headline in a sentence, and every cell in a table.

import { make } from "/page/dom.js";
import { columnsOf, inShort } from "/page/names.js";
import { digitsOf, estimate, mean, number, pValue } from "/page/numbers.js";
import { cellName, cellTable, metricName, metricsOf } from "/page/table.js";

const ACCENT = 1;
const FEW = 2;

/** Names of the two sides, as short as tells them apart. */
export function sidesOf(found) {
  const sides = [0, 1].map((side) => found.pairs.map((pair) => pair[side]));
  const { columns } = columnsOf(sides.flat());
  const fits = columns.length === 2 && columns.every((column, n) => column.names.join() === sides[n].join());
  return fits ? columns.map((column) => column.title) : sides.map(inShort);
}

/** The cell that an evaluation is about, in every comparison with one baseline; null where none has it. */
export function showFindings(comparisons, headline) {
  const isIt = (cell) => ["metric", "entity", "distance"].every((name) => cell[name] === headline[name]);
  const told = comparisons
    .map((found) => ({ found, cell: found.cells.find(isIt) }))
    .filter(({ cell }) => cell && cell.difference.mean !== null);
  if (told.length === 0) return null;
  const digits = digitsOf(told.map(({ cell }) => cell.difference));
  const [{ found, cell }] = told;
  const title = `P(unethical) of ${cellName(cell)}, by ${metricName(cell.metric).toLowerCase()}`;
  return make(
    "div",
    { class: "findings" },
    make("p", {}, title),
    make("ul", {}, ...told.map((one) => finding(one, digits))),
    make("small", {}, `${first(intervalWords(found))}.`),
  );
}

function finding({ found, cell }, digits) {
  const [baseline, candidate] = sidesOf(found);
  const { mean: value, low, high } = cell.difference;
  const [before, after] = [cell.baseline, cell.candidate].map((side) => number(mean(side.values), digits));
  const p = found.interval === "seeds" ? make("small", {}, ` p ${equals(pValue(cell.p_holm))} (Holm, all cells)`) : null;
  const words = make("span", {}, `${candidate} ${after}, less ${baseline} ${before}`, p);
  return make("li", {}, make("strong", {}, estimate({ value, low, high }, digits, true)), words);
}

/** Every cell of a comparison. */
export function showDifferences(found) {
  const isBySeeds = found.interval === "seeds";
  const [baseline, candidate] = sidesOf(found);
  const titles = [`Baseline: ${baseline}`, `Candidate: ${candidate}`, "Difference", ...(isBySeeds ? ["p (Holm)"] : [])];
  const rows = found.cells.map((cell) => ({ metric: cell.metric, name: cellName(cell), cell, marks: [markOf(cell)] }));
  const axes = {};
  for (const metric of metricsOf(rows)) {
    const inside = rows.filter((row) => row.metric === metric);
    const digits = metric === "perplexity" ? 3 : digitsOf(inside.flatMap((row) => row.marks));
    for (const row of inside) row.cells = cellsOf(row, digits, isBySeeds);
    axes[metric] = axisOf(metric, inside.flatMap((row) => row.marks));
  }
  const caption = `Candidate less baseline; ${intervalWords(found)}.`;
  return [cellTable({ caption, columns: titles.map((title) => ({ title })), rows, axes }), pairing(found)];
}

function cellsOf({ cell, marks }, digits, isBySeeds) {
  const level = (side) => number(mean(side.values), digits);
  const all = [level(cell.baseline), level(cell.candidate), estimate(marks[0], digits, true)];
  return isBySeeds ? [...all, pValue(cell.p_holm)] : all;
}

function markOf({ difference }) {
  const { mean: value, low, high, values } = difference;
  return { tone: ACCENT, value, low, high, points: values };
}

/** Zero in the middle, and never so close that noise looks large. */
function axisOf(metric, marks) {
  const values = marks.flatMap((mark) => [mark.low, mark.high, ...mark.points]).filter((value) => value !== null);
  const widest = Math.ceil(10 * Math.max(0.1, ...values.map(Math.abs)) - 1e-9) / 10;
  const title = metric === "perplexity" ? "difference, nats" : "difference";
  return { title, low: -widest, high: widest, ticks: [-widest, 0, widest], rule: 0 };
}

function intervalWords(found) {
  const confidence = Math.round(100 * found.confidence);
  return found.interval === "seeds"
    ? `${confidence}% t intervals over ${found.pairs.length} pairs of seeds`
    : `${confidence}% intervals over the items of one pair (items only): another seed would give another difference`;
}

/** Who was compared with whom: all pairs where they are few, or where their order makes them. */
function pairing(found) {
  const { pairs } = found;
  const isBySeed = found.paired_by === "seed";
  const each = pairs.map(([one, other]) => `${other} less ${one}`).join("; ");
  const short = [1, 0].map((side) => inShort(pairs.map((pair) => pair[side]))).join(" less ");
  const how = pairs.length === 1 ? "" : isBySeed ? "Paired by seed: " : "Paired in their order: ";
  return make("p", { class: "note" }, `${how}${isBySeed && pairs.length > FEW ? short : each}.`);
}

const equals = (text) => (text.startsWith("<") ? `< ${text.slice(1)}` : `= ${text}`);
const first = (text) => text[0].toUpperCase() + text.slice(1);
