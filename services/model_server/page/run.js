// One evaluation: watch it, read it, compare what it asked.

import { events, getJson, postJson } from "/page/api.js";
import { showDifferences, showFindings, sidesOf } from "/page/comparison.js";
import { failed, find, make, put } from "/page/dom.js";
import { columnsOf, inShort } from "/page/names.js";
import { showLevels } from "/page/results.js";
import { showSamples } from "/page/samples.js";

const RETRIES = 5;
const RETRY_MS = 1500;
const IS_WIDE = window.matchMedia("(min-width: 681px)");
const OPEN = ["queued", "running"];
let shown = null;

export const shortId = (run) => run.id.slice(5, 13);

/** Show that something is being asked for, in place of the run that was shown. */
export function expectRun() {
  shown?.abort();
  find("run").hidden = false;
  put(find("run"), make("p", { class: "status", role: "status" }, "Asking…"));
  comeTo();
}

/** Show why there is no run. */
export function refuseRun(message) {
  find("run").hidden = false;
  put(find("run"), failed(message));
}

/** Show a run, and follow it until it has ended or another one is shown; `onEnd` is called when it ends. */
export async function showRun(run, onEnd) {
  shown?.abort();
  const mine = (shown = new AbortController());
  const { signal } = mine;
  const view = new RunView(run);
  view.update(run);
  comeTo();
  try {
    const last = OPEN.includes(run.status) ? await follow(run, view, signal) : run;
    if (signal.aborted) return;
    view.update(last);
    if (last !== run) onEnd();
    const { results } = await getJson(`/v1/evaluations/${run.id}/results`, { signal });
    const tasks = [...new Set(results.map((one) => one.task))];
    const parts = tasks.map((task) => taskParts(run, results.filter((one) => one.task === task), signal));
    view.results((await Promise.all(parts)).flat());
  } catch (error) {
    if (!signal.aborted) view.failed(error.message, () => showRun(run, onEnd));
  }
}

function comeTo() {
  find("run").focus({ preventScroll: true });
  find("run").scrollIntoView({ block: "start" });
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

/** Everything to say of one task: the first column is compared with each of the others. */
async function taskParts(run, units, signal) {
  const { columns } = columnsOf(units.map((unit) => unit.model.name));
  for (const column of columns) column.units = column.names.map((name) => units.find((unit) => unit.model.name === name));
  const [first, ...others] = columns;
  const side = (column) => column.names.map((model) => ({ evaluation: run.id, model, task: units[0].task }));
  const found = await Promise.all(
    others.map((other) =>
      postJson("/v1/evaluations/compare", { baseline: side(first), candidate: side(other) }, { signal }).catch((error) => error),
    ),
  );
  const refused = found.filter((one) => one instanceof Error).map((error) => failed(error.message));
  const compared = found.filter((one) => !(one instanceof Error));
  const { headline } = units[0].identity;
  return [
    showFindings(compared, headline),
    ...refused,
    ...showLevels(columns, found.map((one) => (one instanceof Error ? null : one))),
    ...compared.map((one) => differences(one, compared.length === 1 && IS_WIDE.matches)),
    ...showSamples(columns),
  ];
}

function differences(found, isOpen) {
  const [baseline, candidate] = sidesOf(found);
  const summary = make("summary", {}, `Difference in every cell: ${candidate} less ${baseline}`);
  return make("details", { open: isOpen }, summary, ...showDifferences(found));
}

class RunView {
  constructor(run) {
    this.run = run;
    this.began = null;
    const id = `progress-${shortId(run)}`;
    this.bar = make("progress", { id, max: Math.max(1, run.progress.total) });
    this.label = make("label", { for: id });
    this.status = make("p", { class: "status", role: "status" });
    this.cancel = make("button", { type: "button" }, "Cancel this run");
    this.cancel.addEventListener("click", () => this.#cancel());
    this.reason = make("div");
    this.body = make("div");
    this.progress = make("div", { class: "progress" }, this.label, this.bar, this.cancel);
    find("run").hidden = false;
    const about = make("p", { class: "note" }, inShort(run.models.map((one) => one.name)));
    put(find("run"), make("h3", {}, `Run ${shortId(run)}`), about, this.progress, this.status, this.reason, this.body);
  }

  update(run) {
    const { done, total } = run.progress;
    const isOpen = OPEN.includes(run.status);
    this.bar.value = done;
    this.label.textContent = `${questions(run)}${this.#left(done, total)}`;
    // A button that is hidden loses the focus, and whoever uses the keyboard their place.
    if (!isOpen && document.activeElement === this.cancel) find("run").focus({ preventScroll: true });
    this.progress.hidden = !isOpen;
    // Spoken only when it changes in kind: every number would be too much to hear.
    const said = firstUpper(run.status) + (isOpen ? "…" : `: ${questions(run)}.`);
    if (this.status.textContent !== said) this.status.textContent = said;
    put(this.reason, run.error ? failed(run.error) : null);
  }

  results(parts) {
    put(this.body, ...(parts.length ? parts : [make("p", { class: "note" }, "No checkpoint was finished, so there is no table.")]));
    // Where whoever asked still waits, what they waited for comes into view.
    if (document.activeElement === find("run")) comeTo();
  }

  failed(message, again = null) {
    put(this.body, failed(message, again));
  }

  /** How much time it needs yet, once there is something to tell it by. */
  #left(done, total) {
    const now = performance.now();
    if (this.began === null || done <= this.began.done) this.began = { at: now, done };
    const [seconds, share] = [(now - this.began.at) / 1000, done - this.began.done];
    return seconds < 2 || done === total ? "" : `, about ${inWords((seconds * (total - done)) / share)} left`;
  }

  async #cancel() {
    try {
      this.update(await getJson(`/v1/evaluations/${this.run.id}/cancel`, { method: "POST" }));
    } catch (error) {
      // Where it has ended meanwhile, what it came to is what counts.
      if (!this.progress.hidden) this.failed(error.message);
    }
  }
}

function questions({ progress }) {
  const [done, total] = [progress.done, progress.total].map((number) => number.toLocaleString("en"));
  return `${done} of ${total} questions`;
}

function inWords(seconds) {
  return seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}

const firstUpper = (text) => text[0].toUpperCase() + text.slice(1);
