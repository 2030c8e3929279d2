// Intervals drawn into the rows of a table. Places are in percent and letters in their own size, so that
// nothing is stretched at any width.

import { draw } from "/page/dom.js";

const LANE = 12;
const EDGE = 2;

/** A range that holds these values, widened to what must be on it. */
export function rangeOf(values, [low, high]) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return [Math.min(low, ...known), Math.max(high, ...known)];
}

/** One lane for each mark: a dot at `value`, a line from `low` to `high`. */
export function intervals(marks, range, rules) {
  const height = LANE * marks.length + 8;
  const svg = draw("svg", { class: "marks", height, width: "100%", "aria-hidden": "true", focusable: "false" });
  for (const rule of rules) {
    const x = place(rule, range);
    svg.append(draw("line", { class: "grid", x1: x, x2: x, y1: 0, y2: height }));
  }
  for (const [n, mark] of marks.entries()) {
    if (mark.value === null || mark.value === undefined) continue;
    const y = 4 + LANE * (n + 0.5);
    const group = draw("g", { class: `arm-${mark.tone}` });
    if (mark.low !== null && mark.high !== null) {
      const [x1, x2] = [place(mark.low, range), place(mark.high, range)];
      group.append(draw("line", { class: "span", x1, x2, y1: y, y2: y }));
    }
    group.append(draw("circle", { class: "dot", cx: place(mark.value, range), cy: y, r: 4.5 }));
    svg.append(group);
  }
  return svg;
}

/** The numbers over those lanes. */
export function scale(range, rules) {
  const svg = draw("svg", { class: "scale", height: 16, width: "100%", "aria-hidden": "true", focusable: "false" });
  for (const [n, rule] of rules.entries()) {
    const anchor = n === 0 ? "start" : n === rules.length - 1 ? "end" : "middle";
    svg.append(draw("text", { x: place(rule, range), y: 12, "text-anchor": anchor }, short(rule)));
  }
  return svg;
}

function place(value, [low, high]) {
  return `${(EDGE + ((100 - 2 * EDGE) * (value - low)) / (high - low)).toFixed(2)}%`;
}

function short(value) {
  return String(Number(value.toPrecision(2))).replace("-", "−");
}
