// Numbers as the pipeline's report writes them: no leading zero, a real minus, intervals in brackets.

import { make } from "/page/dom.js";

const UNKNOWN = "–";
const isKnown = (value) => value !== null && value !== undefined;

/** A number, e.g. `.82`, `−.10` or `1.00`; what rounds to nothing has no sign. */
export function number(value, digits = 2, isSigned = false) {
  if (!isKnown(value)) return UNKNOWN;
  const text = Math.abs(value).toFixed(digits);
  const sign = Number(text) === 0 ? "" : value < 0 ? "−" : isSigned ? "+" : "";
  return sign + (digits ? text.replace(/^0\./, ".") : text);
}

/** A value, and its interval where it has one. */
export function estimate({ value, low, high }, digits = 2, isSigned = false) {
  const of = (one) => number(one, digits, isSigned);
  const between = isKnown(low) && isKnown(high) ? make("small", {}, ` [${of(low)}, ${of(high)}]`) : null;
  return make("span", { class: "estimate" }, of(value), between);
}

/** A p value; a very small one is only bounded. */
export const pValue = (value) => (isKnown(value) && value < 0.001 ? "<.001" : number(value, 3));

/** Digits for estimates like these: as many as the usual one of their intervals leaves meaning to. */
export function digitsOf(estimates) {
  const widths = estimates.filter((one) => isKnown(one.low) && isKnown(one.high)).map((one) => one.high - one.low);
  widths.sort((one, other) => one - other);
  return widths.length && widths[Math.floor(widths.length / 2)] < 0.02 ? 3 : 2;
}

export function mean(values) {
  const known = values.filter(isKnown);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}
