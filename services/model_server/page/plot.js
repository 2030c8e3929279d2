// Intervals drawn into the rows of a table. Places are in percent and letters in their own size, so that
// nothing is stretched at any width.

import { draw } from "/page/dom.js";
import { number } from "/page/numbers.js";

const LANE = 17;
const LEAST = 34;
const EDGE = 3;
const isKnown = (value) => value !== null && value !== undefined;

/**
 * One lane for each mark: a dot at each of its `points`, a band from `low` to `high`, and a tick at `value` where
 * there are several points. `axis` has `low`, `high`, `ticks`, and a dashed line at `rule` if there is one.
 */
export function lanes(marks, axis) {
  const height = Math.max(LEAST, LANE * marks.length + 6);
  const top = (height - LANE * marks.length) / 2;
  const svg = draw("svg", { class: "marks", height, width: "100%", "aria-hidden": "true", focusable: "false" });
  for (const tick of axis.ticks) svg.append(upright("grid", place(tick, axis), 0, height));
  if (isKnown(axis.rule)) svg.append(upright("rule", place(axis.rule, axis), 0, height));
  for (const [n, mark] of marks.entries()) {
    if (isKnown(mark.value)) svg.append(lane(mark, top + LANE * (n + 0.5), axis));
  }
  return svg;
}

function lane({ tone, value, low, high, points }, y, axis) {
  const group = draw("g", { class: `arm-${tone}` });
  if (isKnown(low) && isKnown(high)) {
    const [from, to] = [place(low, axis), place(high, axis)];
    group.append(draw("rect", { class: "band", x: percent(from), width: percent(to - from), y: y - 5, height: 10, rx: 2 }));
  }
  const isOne = points.length === 1;
  if (!isOne) group.append(upright("tick", place(value, axis), y - 7, y + 7));
  for (const [n, point] of points.entries()) {
    if (!isKnown(point)) continue;
    // Seeds that are alike would hide each other on one line.
    const cy = isOne ? y : y + 3.5 * ((n % 3) - 1);
    group.append(draw("circle", { class: "dot", cx: percent(place(point, axis)), cy, r: isOne ? 4 : 2.8 }));
  }
  return group;
}

/** What is over those lanes: the axis's title, and the numbers of its ticks. */
export function scale(axis) {
  const svg = draw("svg", { class: "scale", height: 36, width: "100%", "aria-hidden": "true", focusable: "false" });
  svg.append(draw("text", { class: "title", x: "50%", y: 13, "text-anchor": "middle" }, axis.title));
  for (const [n, tick] of axis.ticks.entries()) {
    const anchor = n === 0 ? "start" : n === axis.ticks.length - 1 ? "end" : "middle";
    const nudge = anchor === "middle" ? 0 : EDGE * (anchor === "end" ? 1 : -1);
    svg.append(draw("text", { x: percent(place(tick, axis) + nudge), y: 31, "text-anchor": anchor }, short(tick)));
  }
  return svg;
}

function upright(kind, x, y1, y2) {
  return draw("line", { class: kind, x1: percent(x), x2: percent(x), y1, y2 });
}

function place(value, { low, high }) {
  return EDGE + ((100 - 2 * EDGE) * (value - low)) / (high - low);
}

const percent = (value) => `${value.toFixed(2)}%`;

function short(value) {
  const digits = [0, 1, 2, 3].find((one) => Math.abs(value - Number(value.toFixed(one))) < 1e-9) ?? 3;
  return number(value, digits);
}
