// Two finished runs, one less the other.

import { postJson } from "/page/api.js";
import { failed, find, make, put } from "/page/dom.js";
import { shortId, when } from "/page/evaluate.js";
import { showComparison } from "/page/results.js";

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
  const sides = finished.flatMap((run) => {
    const title = `${shortId(run)}, ${when(run)}`;
    const single = run.models.map((one) => ({
      title: `${one.name} (${title})`,
      field: { evaluation: run.id, model: one.name },
    }));
    const all = { title: `all ${run.models.length} checkpoints (${title})`, field: { evaluation: run.id } };
    return run.models.length > 1 ? [...single, all] : single;
  });
  const places = [find("baseline"), find("candidate")];
  for (const [n, select] of places.entries()) {
    const before = select.value;
    put(select, ...sides.map((side) => make("option", { value: JSON.stringify(side.field) }, side.title)));
    select.disabled = sides.length === 0;
    select.selectedIndex = Math.min(n, sides.length - 1);
    // What was chosen stays chosen when the list has grown.
    if ([...select.options].some((one) => one.value === before)) select.value = before;
  }
  find("compare-run").disabled = sides.length < 2;
  find("compare-status").textContent =
    sides.length < 2 ? "Two finished evaluations are needed; run one above." : "";
}

async function compare() {
  const [baseline, candidate] = ["baseline", "candidate"].map((id) => [JSON.parse(find(id).value)]);
  const status = find("compare-status");
  status.textContent = "Comparing…";
  put(find("comparison"));
  try {
    const found = await postJson("/v1/evaluations/compare", { baseline, candidate });
    put(find("comparison"), ...showComparison(found));
    status.textContent = `Compared ${found.pairs.length === 1 ? "one pair" : `${found.pairs.length} pairs`}.`;
  } catch (error) {
    put(find("comparison"), failed(error.message));
    status.textContent = "";
  }
}
