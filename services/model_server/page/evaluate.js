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
/** What was asked for last without an answer, which may have arrived all the same, and its key. */
let unanswered = null;

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
    put(find("runs"), runs.length ? table() : make("p", { class: "note" }, "None yet. Choose checkpoints above and run one."));
    told(runs);
  } catch (error) {
    // What was found before is still good to have.
    put(find("runs"), failed(error.message, () => refresh(after)), runs.length ? table() : null);
  }
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
    const made = await submit(order(models));
    refresh();
    showRun(made, refresh);
  } catch (error) {
    refuseRun(error.message);
  } finally {
    isAsking = false;
  }
}

/** If an answer is lost and the same asked for again, it has the same key, so that nothing is done twice. */
async function submit(body) {
  const asked = JSON.stringify(body);
  if (unanswered?.asked !== asked) unanswered = { asked, key: randomKey() };
  const made = await postJson("/v1/evaluations", body, { headers: { "idempotency-key": unanswered.key } });
  unanswered = null;
  return made;
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

function table() {
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
  const inside = [make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)];
  return make("div", { class: "scroll" }, make("table", { class: "cards" }, ...inside));
}
