// Evaluations: ask for one, watch it, read it.

import { events, getJson, postJson } from "/page/api.js";
import { failed, find, make, put } from "/page/dom.js";
import { showResults } from "/page/results.js";

const RETRIES = 5;
const RETRY_MS = 1500;
const PAGE = 20;
const OPEN = ["queued", "running"];
let runs = [];
let shown = null;
let told = () => {};

/** Wire the form and the list; `onRuns` is told of the runs whenever they have changed. */
export function startEvaluating(onRuns) {
  told = onRuns;
  find("evaluate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  find("runs-refresh").addEventListener("click", () => refresh());
  find("runs-more").addEventListener("click", () => refresh(runs.at(-1).id));
}

/** Offer these models. */
export function offerEvaluated(models) {
  const first = find("model-1").value;
  const second = find("model-2").value;
  const boxes = models.map((one) => {
    const box = make("input", { type: "checkbox", value: one.id, name: "evaluated" });
    box.checked = one.id === first || one.id === second;
    return make("label", { class: "check" }, box, " ", one.id);
  });
  put(find("evaluate-models"), ...(boxes.length ? boxes : [make("p", { class: "note" }, "There is none yet.")]));
  find("evaluate-run").disabled = models.length === 0;
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

export const shortId = (run) => run.id.slice(5, 13);

async function submit() {
  const models = [...document.querySelectorAll("input[name=evaluated]:checked")].map((box) => box.value);
  const run = find("run");
  run.hidden = false;
  if (models.length === 0) {
    put(run, failed("Choose at least one checkpoint."));
    return;
  }
  shown?.abort();
  put(run, make("p", { class: "status", role: "status" }, "Asking…"));
  const button = find("evaluate-run");
  button.setAttribute("aria-disabled", "true");
  try {
    // The same key if the answer is lost and the request sent again, so that nothing is asked twice.
    const made = await postJson("/v1/evaluations", order(models), { headers: { "idempotency-key": randomKey() } });
    refresh();
    show(made);
  } catch (error) {
    put(run, failed(error.message));
  } finally {
    button.removeAttribute("aria-disabled");
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
    button.addEventListener("click", () => show(run));
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, button),
      make("td", { "data-label": "Asked for" }, when(run)),
      make("td", { "data-label": "State" }, make("span", { class: `badge ${run.status}` }, run.status)),
      make("td", { "data-label": "Checkpoints" }, make("span", {}, run.models.map((one) => one.name).join(", "))),
    );
  });
  const heads = ["Run", "Asked for", "State", "Checkpoints"].map((title) => make("th", { scope: "col" }, title));
  const table = make("table", { class: "cards" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  put(find("runs"), make("div", { class: "scroll" }, table));
}

/** Show a run, and follow it until it has ended or another one is shown. */
async function show(run) {
  shown?.abort();
  const mine = (shown = new AbortController());
  const view = new RunView(run);
  view.update(run);
  find("run").focus({ preventScroll: true });
  find("run").scrollIntoView({ block: "nearest" });
  let last = run;
  try {
    if (OPEN.includes(run.status)) last = await follow(run, view, mine.signal);
    if (mine.signal.aborted) return;
    view.update(last);
    const found = await getJson(`/v1/evaluations/${run.id}/results`, { signal: mine.signal });
    view.results(found.results);
  } catch (error) {
    if (!mine.signal.aborted) view.failed(error.message, () => show(run));
  }
  if (OPEN.includes(run.status) && !mine.signal.aborted) refresh();
}

/** The run once it has ended. A stream that breaks is taken up again a few times. */
async function follow(run, view, signal) {
  let last = run;
  for (let tries = 0; ; tries += 1) {
    try {
      for await (last of events(`/v1/evaluations/${run.id}/events`, { signal })) {
        view.update(last);
        tries = 0;
      }
      if (!OPEN.includes(last.status)) return last;
    } catch (error) {
      if (signal.aborted || tries >= RETRIES || (error.status >= 400 && error.status < 500)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

class RunView {
  constructor(run) {
    this.run = run;
    const id = `progress-${shortId(run)}`;
    this.bar = make("progress", { id, max: Math.max(1, run.progress.total) });
    this.label = make("label", { for: id });
    this.status = make("p", { class: "status", role: "status" });
    this.cancel = make("button", { type: "button" }, "Cancel this run");
    this.cancel.addEventListener("click", () => this.#cancel());
    this.body = make("div");
    this.progress = make("div", { class: "progress" }, this.label, this.bar, this.cancel);
    find("run").hidden = false;
    put(find("run"), make("h3", {}, `Run ${shortId(run)}`), this.progress, this.status, this.body);
  }

  update(run) {
    const { done, total } = run.progress;
    const isOpen = OPEN.includes(run.status);
    this.bar.value = done;
    this.label.textContent = `${done} of ${total} questions`;
    this.progress.hidden = !isOpen;
    // Spoken only when it changes in kind: every number would be too much to hear.
    const said = isOpen ? `${firstUpper(run.status)}…` : ended(run);
    if (this.status.textContent !== said) this.status.textContent = said;
  }

  results(results) {
    const nothing = make("p", { class: "note" }, "No checkpoint was finished, so there is no table.");
    put(this.body, ...(results.length ? showResults(results) : [nothing]));
  }

  failed(message, again) {
    put(this.body, failed(message, again));
  }

  async #cancel() {
    try {
      await getJson(`/v1/evaluations/${this.run.id}/cancel`, { method: "POST" });
    } catch (error) {
      this.failed(error.message, null);
    }
  }
}

function ended(run) {
  const names = run.models.map((one) => one.name).join(" and ");
  const reason = run.error ? ` ${run.error}` : "";
  return `${firstUpper(run.status)}: ${run.progress.done} of ${run.progress.total} questions to ${names}.${reason}`;
}

const firstUpper = (text) => text[0].toUpperCase() + text.slice(1);
