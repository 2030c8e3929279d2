// What checkpoints wrote when they were sampled, beside each other.

import { make, put } from "/page/dom.js";
import { cellName, titleOf } from "/page/table.js";

const JUDGED = { good: "good", bad: "bad", none: "no act" };

/** A part that opens, or nothing where nothing was sampled. Of a group of seeds the first one is shown. */
export function showSamples(columns) {
  const toned = columns.map((column, n) => ({ ...column, tone: n, samples: column.units[0].report.samples }));
  const kinds = new Map();
  for (const sample of toned[0].samples) {
    const kind = cellName({ trait: "", ...sample });
    if (!kinds.has(kind)) kinds.set(kind, []);
    kinds.get(kind).push(sample.item);
  }
  if (kinds.size === 0) return [];
  const select = make("select", {}, ...[...kinds.keys()].map((kind) => make("option", {}, kind)));
  const body = make("div");
  const show = () => put(body, ...kinds.get(select.value).map((item) => showItem(item, toned)));
  select.addEventListener("change", show);
  show();
  const seeds = columns.some((column) => column.units.length > 1) ? make("p", { class: "note" }, "Of the first seed of each.") : null;
  return [make("details", {}, make("summary", {}, "What they wrote"), make("label", { class: "about" }, "About ", select), seeds, body)];
}

function showItem(item, columns) {
  const [prompt] = columns.flatMap((column) => column.samples.filter((one) => one.item === item)).map((one) => one.prompt);
  const sides = columns.map((column) => {
    const written = column.samples.find((one) => one.item === item)?.continuations ?? [];
    const lines = written.map(({ text, judged }) =>
      make("li", {}, make("span", { class: `badge ${judged}` }, JUDGED[judged] ?? judged), " ", make("q", {}, text.trim())),
    );
    return make("div", {}, make("h4", {}, titleOf(column)), make("ul", {}, ...lines));
  });
  return make("div", { class: "sample" }, make("p", { dir: "auto" }, prompt, " …"), make("div", { class: "sides" }, ...sides));
}
