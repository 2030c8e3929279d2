// Two finished runs, or two groups of seeds in them, one less the other.

import { postJson } from "/page/api.js";
import { showDifferences, showFindings } from "/page/comparison.js";
import { failed, find, make, put } from "/page/dom.js";
import { when } from "/page/evaluate.js";
import { columnsOf, partsOf } from "/page/names.js";
import { shortId } from "/page/run.js";

const PLACES = ["baseline", "candidate"];
let shown = null;
/** The cell that the pipeline's evaluate stage asks about, and this page too. */
const HEADLINE = { metric: "cloze", entity: "ai", distance: 0 };

/** Wire the form. */
export function startComparing() {
  find("compare-form").addEventListener("submit", (event) => {
    event.preventDefault();
    compare();
  });
}

/** Offer the finished ones of these runs. */
export function offerRuns(runs) {
  const finished = runs.filter((run) => run.status === "completed");
  for (const [n, select] of PLACES.map(find).entries()) {
    const before = select.value;
    put(select, ...finished.map(groupOf));
    select.disabled = finished.length === 0;
    // At first the first two sides of the newest run that has two.
    const [first, second] = [...select.options];
    const pair = [...select.children].find((group) => group.children.length > 1)?.children ?? [first, second];
    if (pair[n]) select.value = pair[n].value;
    // What was chosen stays chosen when the list has grown.
    if ([...select.options].some((one) => one.value === before)) select.value = before;
  }
  const isEnough = find(PLACES[0]).options.length > 1;
  find("compare-run").disabled = !isEnough;
  find("compare-status").textContent = isEnough ? "" : "Two finished evaluations are needed; run one above.";
}

/** What can be a side of a comparison in one run: its groups of seeds, and each checkpoint of them. */
function groupOf(run) {
  const { columns, shared } = columnsOf(run.models.map((one) => one.name), 0);
  const option = (title, names) => {
    const value = JSON.stringify(names.map((model) => ({ evaluation: run.id, model })));
    return make("option", { value }, `${title} (${shortId(run)})`);
  };
  const seeds = columns.filter((column) => column.names.length > 1);
  const options = [
    ...columns.map(({ title, names }) => option(names.length > 1 ? `${title}, ${names.length} seeds` : title, names)),
    ...seeds.flatMap(({ title, names }) => names.map((name) => option(`${title}, seed ${partsOf(name).seed}`, [name]))),
  ];
  const label = [`Run ${shortId(run)}`, when(run), shared].filter(Boolean).join(" · ");
  return make("optgroup", { label }, ...options);
}

/** Compare what is chosen; one that still waits for its answer gives way. */
async function compare() {
  shown?.abort();
  const { signal } = (shown = new AbortController());
  const [baseline, candidate] = PLACES.map((id) => JSON.parse(find(id).value));
  const status = find("compare-status");
  status.textContent = "Comparing…";
  put(find("comparison"));
  try {
    const found = await postJson("/v1/evaluations/compare", { baseline, candidate }, { signal });
    put(find("comparison"), showFindings([found], HEADLINE), ...showDifferences(found));
    status.textContent = `Compared ${found.pairs.length === 1 ? "one pair" : `${found.pairs.length} pairs`}.`;
  } catch (error) {
    if (signal.aborted) return;
    put(find("comparison"), failed(error.message));
    status.textContent = "";
  }
}
