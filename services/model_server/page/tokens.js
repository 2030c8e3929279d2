// A text of tokens. The first is picked, and others by pointing at them or by the arrow keys; the strip below
// tells how probable the picked one was, and what else could have stood there.

import { make, put } from "/page/dom.js";
import { number } from "/page/numbers.js";

const SPECIAL = /^<\|.*\|>$/;
let lastId = 0;

export class TokenText {
  constructor(name) {
    this.id = `text-${(lastId += 1)}`;
    this.list = make("span", {
      class: "tokens",
      role: "listbox",
      tabindex: "0",
      "aria-label": `Tokens of ${name}; the arrow keys go from one to the next`,
    });
    this.strip = make("div", { class: "strip" });
    this.tokens = [];
    this.letters = [];
    this.picked = null;
    this.list.addEventListener("pointerover", (event) => this.#pickAt(event));
    this.list.addEventListener("click", (event) => this.#pickAt(event));
    this.list.addEventListener("focus", () => this.pick(this.picked ?? 0));
    this.list.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Append what a piece of a stream brings: its text, and its tokens with where each begins in the text. */
  add(text, logprobs) {
    // Offsets count characters, and a character may be two units of a JavaScript string.
    this.letters.push(...text);
    const from = Math.max(0, this.tokens.length - 1);
    for (const [n, token] of logprobs.tokens.entries()) {
      const number = this.tokens.length;
      const node = make("span", { class: "token", role: "option", id: `${this.id}-${number}`, "data-n": number });
      const others = Object.entries(logprobs.top_logprobs[n] ?? {}).sort((one, other) => other[1] - one[1]);
      this.tokens.push({ token, logprob: logprobs.token_logprobs[n], start: logprobs.text_offset[n], others, node });
      this.list.append(node);
    }
    this.tokens.slice(from).forEach((one, n) => this.#write(one, this.tokens[from + n + 1]));
    if (this.picked === null) this.pick(0);
  }

  /** Show a token's strip. */
  pick(number) {
    const found = this.tokens[number];
    if (!found) return;
    if (this.picked !== null) this.tokens[this.picked].node.removeAttribute("aria-selected");
    this.picked = number;
    found.node.setAttribute("aria-selected", "true");
    this.list.setAttribute("aria-activedescendant", found.node.id);
    // Several tokens can be written alike, pieces of characters above all: the probability tells which it was.
    const isIt = ([text, logprob]) => text === found.token && logprob === found.logprob;
    const others = found.others.some(isIt) ? found.others : [...found.others, [found.token, found.logprob]];
    const rows = others.map((one) => bar(...one, isIt(one)));
    put(
      this.strip,
      make("p", {}, make("code", {}, visible(found.token)), ` ${percent(found.logprob)} `, beside(found)),
      make("ol", {}, ...rows),
    );
  }

  #write(one, next) {
    const text = this.letters.slice(one.start, next ? next.start : this.letters.length).join("");
    // A piece of a character has no text of its own, and neither has the end of a document.
    one.node.textContent = text || (SPECIAL.test(one.token) ? "∎" : "·");
    one.node.className = `token ${shade(one.logprob)}`;
    const others = one.others.filter(([other]) => other !== one.token).slice(0, 3);
    const told = others.map(([other, logprob]) => `${visible(other)} ${percent(logprob)}`).join(", ");
    one.node.setAttribute("aria-label", `${visible(one.token)}, ${percent(one.logprob)}; else ${told}`);
  }

  #pickAt(event) {
    const node = event.target.closest(".token");
    if (node) this.pick(Number(node.dataset.n));
  }

  #move(event) {
    const last = this.tokens.length - 1;
    const now = this.picked ?? 0;
    const goals = { ArrowRight: now + 1, ArrowDown: now + 1, ArrowLeft: now - 1, ArrowUp: now - 1, Home: 0, End: last };
    if (!(event.key in goals)) return;
    event.preventDefault();
    this.pick(Math.min(last, Math.max(0, goals[event.key])));
    this.tokens[this.picked]?.node.scrollIntoView({ block: "nearest" });
  }
}

/** A text whose spaces and line ends can be seen. */
export function visible(text) {
  return text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replace(/^ | $/g, "␣") || "∅";
}

function percent(logprob) {
  const share = 100 * Math.exp(logprob);
  if (share < 0.01) return "<0.01%";
  return `${share < 10 ? share.toPrecision(2) : share.toFixed(share > 99.5 && share < 100 ? 1 : 0)}%`;
}

function shade(logprob) {
  const share = Math.exp(logprob);
  return share >= 0.5 ? "likely" : share >= 0.2 ? "fair" : share >= 0.05 ? "unlikely" : "rare";
}

function beside({ logprob, others }) {
  const best = others[0]?.[1] ?? logprob;
  const rank = best > logprob ? `likeliest ${percent(best)}` : "the likeliest";
  return make("small", {}, `${number(logprob, 2)} nats; ${rank}`);
}

function bar(text, logprob, isChosen) {
  const fill = make("span", { class: "fill" });
  fill.style.setProperty("--share", Math.exp(logprob).toFixed(4));
  return make(
    "li",
    { class: isChosen ? "chosen" : null },
    make("code", {}, visible(text)),
    make("span", { class: "bar", "aria-hidden": "true" }, fill),
    make("span", { class: "number" }, percent(logprob)),
  );
}
