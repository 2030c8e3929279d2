// Choose many checkpoints: a grid of arms by seeds, at one step.

import { find, make, put } from "/page/dom.js";
import { partsOf } from "/page/names.js";

const LAST = "last";
export const MOST = 32;
let models = [];
let chosen = new Set();
let isTouched = false;

/** Wire the grid. */
export function startChoosing() {
  find("evaluate-step").addEventListener("change", changeStep);
  find("evaluate-models").addEventListener("change", (event) => {
    isTouched = true;
    const boxes = event.target.dataset.all ? boxesOf(event.target.dataset.all) : [event.target];
    for (const box of boxes) {
      box.checked = event.target.checked;
      if (box.checked) chosen.add(box.value);
      else chosen.delete(box.value);
    }
    tell();
  });
}

/** Offer these models; those that are chosen and still there stay chosen. */
export function offerChoices(offered) {
  models = offered.map(({ id }) => ({ id, ...partsOf(id) }));
  const step = find("evaluate-step");
  const before = step.value;
  const steps = [...new Set(models.flatMap((one) => one.step ?? []))].sort((one, other) => other - one);
  put(step, make("option", { value: LAST }, "the last of each"), ...steps.map((one) => make("option", {}, one)));
  step.disabled = steps.length === 0;
  if (steps.includes(Number(before))) step.value = before;
  chosen = new Set(models.map((one) => one.id).filter((id) => chosen.has(id)));
  show();
}

/** Choose these, until someone has chosen by hand. */
export function follow(names) {
  if (isTouched) return;
  chosen = new Set(shownModels().map((one) => one.id).filter((id) => names.includes(id)));
  show();
}

/** The names that are chosen, in the order of the grid. */
export const chosenNames = () => [...find("evaluate-models").querySelectorAll("input[value]:checked")].map((box) => box.value);

function changeStep() {
  const places = new Set(models.filter((one) => chosen.has(one.id)).map(placeOf));
  chosen = new Set(shownModels().filter((one) => places.has(placeOf(one))).map((one) => one.id));
  show();
}

/** Those at the step that is shown, and all that have none. */
function shownModels() {
  const step = find("evaluate-step").value;
  const last = new Map();
  for (const one of models) last.set(placeOf(one), Math.max(one.step, last.get(placeOf(one)) ?? 0));
  const wanted = (one) => (step === LAST ? last.get(placeOf(one)) : Number(step));
  return models.filter((one) => one.step === undefined || one.step === wanted(one));
}

const placeOf = (one) => (one.step === undefined ? one.id : `${one.recipe}.${one.arm}.${one.seed}`);

function show() {
  const shown = shownModels();
  const inRuns = shown.filter((one) => one.step !== undefined);
  const others = shown.filter((one) => one.step === undefined);
  const isBare = shown.length === 0;
  put(
    find("evaluate-models"),
    inRuns.length ? make("div", { class: "scroll" }, grid(inRuns)) : null,
    ...others.map((one) => make("label", { class: "check" }, checkbox(one.id), " ", one.id)),
    isBare ? make("p", { class: "note" }, "There is none yet.") : null,
  );
  tell();
}

function grid(inRuns) {
  const recipes = new Set(inRuns.map((one) => one.recipe));
  const seeds = [...new Set(inRuns.map((one) => one.seed))].sort((one, other) => one - other);
  const arms = new Map();
  for (const one of inRuns) {
    const title = recipes.size > 1 ? `${one.recipe}, ${one.arm}` : one.arm;
    if (!arms.has(title)) arms.set(title, new Map());
    arms.get(title).set(one.seed, one.id);
  }
  const heads = seeds.map((seed) => make("th", { scope: "col" }, whole(`seed-${seed}`, `Seed ${seed} of all arms`, `${seed}`)));
  const rows = [...arms].map(([title, bySeed], row) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, whole(`arm-${row}`, `All seeds of ${title}`, title)),
      ...seeds.map((seed) => {
        const id = bySeed.get(seed);
        const groups = `arm-${row} seed-${seed}`;
        return make("td", {}, id ? make("label", {}, checkbox(id, `${title}, seed ${seed}`, groups)) : null);
      }),
    ),
  );
  const head = make("tr", {}, make("td", { class: "corner" }, "Seed"), ...heads);
  return make("table", { class: "grid" }, make("thead", {}, head), make("tbody", {}, ...rows));
}

function checkbox(value, label = null, groups = null) {
  const box = make("input", { type: "checkbox", value, "aria-label": label, "data-groups": groups });
  box.checked = chosen.has(value);
  return box;
}

/** A box that stands for a whole row or column. */
function whole(group, label, title) {
  return make("label", {}, make("input", { type: "checkbox", "aria-label": label, "data-all": group }), " ", title);
}

const boxesOf = (group) => [...find("evaluate-models").querySelectorAll(`[data-groups~="${group}"]`)];

function tell() {
  for (const box of find("evaluate-models").querySelectorAll("[data-all]")) {
    const inside = boxesOf(box.dataset.all);
    const number = inside.filter((one) => one.checked).length;
    box.checked = number === inside.length;
    box.indeterminate = number > 0 && number < inside.length;
  }
  const { length } = chosenNames();
  const said = length === 1 ? "1 checkpoint is chosen." : `${length} checkpoints are chosen.`;
  find("chosen").textContent = length > MOST ? `${said} One run takes ${MOST} at most.` : said;
  find("evaluate-run").disabled = models.length === 0;
}
