// Ask one or two checkpoints the same thing, side by side.

import { events, wasStopped } from "/page/api.js";
import { failed, find, make, put } from "/page/dom.js";
import { columnsOf, partsOf } from "/page/names.js";
import { Picker } from "/page/pick.js";
import { swatch } from "/page/table.js";
import { TokenText } from "/page/tokens.js";

const END = "<|endoftext|>";
const ALTERNATIVES = 6;
let stopper = null;
let pickers = [];

/** Wire the form; `onPick` is told the names whenever others are picked. Models come later. */
export function startAsking(onPick) {
  const tell = () => onPick(pickedNames());
  pickers = [new Picker(1, { isOptional: false, onPick: tell }), new Picker(2, { isOptional: true, onPick: tell })];
  find("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  find("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask-form").requestSubmit(find("send"));
  });
  find("examples").addEventListener("click", (event) => {
    const text = event.target.dataset.prompt;
    if (text === undefined) return;
    find("prompt").value = text;
    find("prompt").focus();
  });
  find("stop").addEventListener("click", () => stopper?.abort());
}

/** Offer these models. */
export function offerModels(models) {
  const names = new Set(models.map((one) => one.id));
  const before = pickers.map((picker) => picker.name);
  const first = names.has(before[0]) ? before[0] : (models[0]?.id ?? "");
  const beside = besideOf(models);
  const isNew = before[0] === "";
  pickers[0].offer(models, first);
  pickers[1].offer(models, isNew ? beside : names.has(before[1]) ? before[1] : "");
  find("send").disabled = models.length === 0;
}

/** The first checkpoint of another arm with the first one's seed, or "". */
function besideOf(models) {
  const [first, ...others] = models.map((one) => ({ id: one.id, ...partsOf(one.id) }));
  return others.find((one) => one.arm !== undefined && one.arm !== first.arm && one.seed === first.seed)?.id ?? "";
}

/** One or two names, the first one first. */
export const pickedNames = () => [...new Set(pickers.map((picker) => picker.name).filter(Boolean))];

async function ask() {
  if (stopper) return;
  const body = settings();
  const { columns } = columnsOf(pickedNames());
  const answers = columns.map((column, n) => new Answer(column, n, body.prompt));
  put(find("answers"), ...answers.map((one) => one.node));
  find("legend").hidden = false;
  stopper = new AbortController();
  busy(true);
  find("answers").scrollIntoView({ block: "nearest" });
  await Promise.all(answers.map((one) => one.run(body, stopper.signal)));
  stopper = null;
  busy(false);
}

function busy(is) {
  const stop = find("stop");
  // A button that is switched off loses the focus, and whoever uses the keyboard their place.
  if (!is && document.activeElement === stop) find("prompt").focus();
  stop.disabled = !is;
  find("send").setAttribute("aria-disabled", String(is));
}

function settings() {
  const written = find("prompt").value;
  const body = {
    prompt: find("begin").checked && !written.startsWith(END) ? END + written : written,
    max_tokens: find("max-tokens").valueAsNumber,
    temperature: find("temperature").valueAsNumber,
    logprobs: ALTERNATIVES,
    stream: true,
  };
  if (find("seed").value !== "") body.seed = find("seed").valueAsNumber;
  if (find("control").value !== "") body.control = find("control").value;
  return body;
}

class Answer {
  constructor(column, tone, prompt) {
    [this.name] = column.names;
    this.picker = pickers[tone];
    this.text = new TokenText(column.title);
    this.status = make("p", { class: "status", role: "status" });
    this.status.textContent = this.picker.isLoaded(this.name) ? "Waiting…" : "Loading the weights…";
    this.weights = make("small", {}, this.name);
    this.problem = make("div");
    const asked = make("span", { class: "prompt" }, prompt.replace(END, ""));
    this.page = make("p", { class: "text", dir: "auto" }, asked, this.text.list);
    this.node = make(
      "article",
      { class: "answer", "aria-label": `Answer of ${this.name}` },
      make("h3", {}, swatch(tone), column.title),
      this.page,
      this.problem,
      this.status,
      this.text.strip,
      this.weights,
    );
  }

  /** Ask, and write what comes. Never throws: what goes wrong is shown. */
  async run(body, signal) {
    const began = performance.now();
    this.page.scrollTop = this.page.scrollHeight;
    let finish = null;
    const said = (end) => {
      const { length } = this.text.tokens;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      return `${length} ${length === 1 ? "token" : "tokens"} in ${seconds} s; ${end}`;
    };
    try {
      for await (const piece of events("/v1/completions", { body: { ...body, model: this.name }, signal })) {
        if (finish === null && this.text.tokens.length === 0) this.#began(piece);
        for (const choice of piece.choices) {
          if (choice.logprobs) this.#write(choice);
          finish = choice.finish_reason ?? finish;
        }
      }
      this.status.textContent = said(finish === "stop" ? "it ended by itself." : "the limit was reached.");
    } catch (error) {
      if (!wasStopped(error)) put(this.problem, failed(error.message));
      this.status.textContent = wasStopped(error) ? said("stopped.") : "";
      if (this.text.tokens.length === 0) this.text.strip.hidden = true;
    }
  }

  #write({ text, logprobs }) {
    const { page } = this;
    const isAtEnd = page.scrollTop + page.clientHeight >= page.scrollHeight - 4;
    this.text.add(text, logprobs);
    // Who reads at the end goes on reading there; who went back is left in peace.
    if (isAtEnd) page.scrollTop = page.scrollHeight;
  }

  #began(piece) {
    this.weights.textContent = `${piece.model}, weights ${piece.system_fingerprint}`;
    this.status.textContent = "Writing…";
    this.picker?.use(this.name);
  }
}
