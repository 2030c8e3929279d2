// Evaluations: ask for one, and list them.

import { getJson, postJson } from "/page/api.js";
import { MOST, chosenNames } from "/page/choose.js";
import { failed, find, make, put } from "/page/dom.js";
import { inShort } from "/page/names.js";
import { expectRun, refuseRun, shortId, showRun } from "/page/run.js";

const PAGE = 20;
let runs = [];
let told = () => {};
let isAsking = false;

/** Wire the form and the list; `onRuns` is told of the runs whenever they have changed. */
export function startEvaluating(onRuns) {
  told = onRuns;
  find("evaluate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    evaluate(chosenNames());
  });
  find("runs-refresh").addEventListener("click", () => refresh());
  find("runs-more").addEventListener("click", () => refresh(runs.at(-1).id));
}

/** Read the list of runs again, or go on with it after an id. */
export async function refresh(after = null) {
  try {
    const page = await getJson(`/v1/evaluations?limit=${PAGE}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
    runs = after ? [...runs, ...page.data] : page.data;
    find("runs-more").hidden = page.next === null;
    list();
  } catch (error) {
    put(find("runs"), failed(error.message, () => refresh(after)));
    runs = [];
  }
  told(runs);
}

/** When a run was asked for, in the reader's own time. */
export function when(run) {
  return new Date(1000 * run.created).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** Evaluate these checkpoints as the form says. */
export async function evaluate(models) {
  if (isAsking || !find("evaluate-form").reportValidity()) return;
  if (models.length === 0 || models.length > MOST) {
    refuseRun(models.length ? `One run takes ${MOST} checkpoints at most; ${models.length} are chosen.` : "Choose at least one checkpoint.");
    return;
  }
  isAsking = true;
  expectRun();
  try {
    // The same key if the answer is lost and the request sent again, so that nothing is asked twice.
    const made = await postJson("/v1/evaluations", order(models), { headers: { "idempotency-key": randomKey() } });
    refresh();
    showRun(made, refresh);
  } catch (error) {
    refuseRun(error.message);
  } finally {
    isAsking = false;
  }
}

function order(models) {
  const settings = { sampling: { per_item: find("samples").valueAsNumber } };
  const control = find("evaluate-control").value;
  if (control !== "") settings.control = control;
  const task = {
    name: "world",
    items_per_cell: find("items").valueAsNumber,
    perplexity_documents: find("documents").valueAsNumber,
  };
  return { models, tasks: [task], settings };
}

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function list() {
  if (runs.length === 0) {
    put(find("runs"), make("p", { class: "note" }, "None yet. Choose checkpoints above and run one."));
    return;
  }
  const rows = runs.map((run) => {
    const button = make("button", { type: "button", class: "link", "aria-label": `Show run ${shortId(run)}` }, shortId(run));
    button.addEventListener("click", () => showRun(run, refresh));
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, button),
      make("td", { "data-label": "Asked for" }, when(run)),
      make("td", { "data-label": "State" }, make("span", { class: `badge ${run.status}` }, run.status)),
      make("td", { "data-label": "Checkpoints" }, make("span", {}, inShort(run.models.map((one) => one.name)))),
    );
  });
  const heads = ["Run", "Asked for", "State", "Checkpoints"].map((title) => make("th", { scope: "col" }, title));
  const table = make("table", { class: "cards" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  put(find("runs"), make("div", { class: "scroll" }, table));
}
