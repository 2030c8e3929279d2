// Ask one or two checkpoints the same thing, side by side.

import { events, wasStopped } from "/page/api.js";
import { failed, find, make, put } from "/page/dom.js";
import { TokenText } from "/page/tokens.js";

const END = "<|endoftext|>";
const ALTERNATIVES = 6;
let stopper = null;

/** Wire the form; `models` come later. */
export function startAsking() {
  find("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  find("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask-form").requestSubmit(find("send"));
  });
  find("stop").addEventListener("click", () => stopper?.abort());
}

/** Offer these models. */
export function offerModels(models) {
  const [first, second] = [find("model-1"), find("model-2")];
  put(first, ...models.map(option));
  put(second, make("option", { value: "" }, "none"), ...models.map(option));
  const other = models.find((one) => one.arm !== models[0]?.arm && one.seed === models[0]?.seed);
  second.value = other?.id ?? "";
  for (const one of [first, second, find("send")]) one.disabled = models.length === 0;
}

function option(model) {
  const marks = [model.default ? "default" : "", model.loaded ? "" : "not loaded"].filter(Boolean);
  return make("option", { value: model.id }, model.id + (marks.length ? ` (${marks.join(", ")})` : ""));
}

async function ask() {
  if (stopper) return;
  const names = [...new Set([find("model-1").value, find("model-2").value].filter(Boolean))];
  const body = settings();
  const answers = names.map((name) => new Answer(name, body.prompt));
  put(find("answers"), ...answers.map((one) => one.node));
  find("legend").hidden = false;
  stopper = new AbortController();
  busy(true);
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
  constructor(name, prompt) {
    this.name = name;
    this.text = new TokenText(name);
    this.status = make("p", { class: "status", role: "status" }, "Waiting…");
    this.weights = make("small", {});
    this.problem = make("div");
    this.node = make(
      "article",
      { class: "answer", "aria-label": `Answer of ${name}` },
      make("h3", {}, name),
      make("p", { class: "text" }, make("span", { class: "prompt" }, prompt.replace(END, "")), this.text.list),
      this.problem,
      this.status,
      this.text.strip,
      this.weights,
    );
  }

  /** Ask, and write what comes. Never throws: what goes wrong is shown. */
  async run(body, signal) {
    const began = performance.now();
    const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
    let finish = null;
    const said = (end) => `${this.text.tokens.length} tokens in ${seconds()}; ${end}`;
    try {
      for await (const piece of events("/v1/completions", { body: { ...body, model: this.name }, signal })) {
        if (this.weights.textContent === "") this.#began(piece);
        for (const choice of piece.choices) {
          if (choice.logprobs) this.text.add(choice.text, choice.logprobs);
          finish = choice.finish_reason ?? finish;
        }
      }
      this.status.textContent = said(finish === "stop" ? "it ended by itself." : "the limit was reached.");
    } catch (error) {
      if (!wasStopped(error)) put(this.problem, failed(error.message));
      this.status.textContent = wasStopped(error) ? said("stopped.") : "";
    }
  }

  #began(piece) {
    this.weights.textContent = `${piece.model}, weights ${piece.system_fingerprint}`;
    this.status.textContent = "Writing…";
  }
}
