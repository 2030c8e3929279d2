// Pick one checkpoint among many: its arm, its seed, its step.

import { find, make, put } from "/page/dom.js";
import { partsOf } from "/page/names.js";

export class Picker {
  /** The fields whose ids end in `number`; `onPick` is told whenever another checkpoint is picked. */
  constructor(number, { isOptional, onPick }) {
    this.isOptional = isOptional;
    this.fields = ["arm", "step", "training-seed"].map((name) => find(`${name}-${number}`));
    [this.arm, this.step, this.seed] = this.fields;
    this.note = find(`name-${number}`);
    this.models = [];
    this.used = new Set();
    this.arm.addEventListener("change", () => this.#fill(onPick));
    this.seed.addEventListener("change", () => this.#fill(onPick));
    this.step.addEventListener("change", () => this.#tell(onPick));
  }

  /** The name of the checkpoint, or "" for none. */
  get name() {
    const [first] = this.#inside();
    return (partsOf(first?.id ?? "") ? this.step.value : first?.id) ?? "";
  }

  /** Offer these models, and pick one by its name; "" picks none. */
  offer(models, name) {
    this.models = models;
    const recipes = new Map();
    for (const { id } of models) {
      const parts = partsOf(id);
      const recipe = parts?.recipe ?? "";
      if (!recipes.has(recipe)) recipes.set(recipe, new Map());
      recipes.get(recipe).set(armOf(id), parts?.arm ?? id);
    }
    const groups = [...recipes].map(([recipe, arms]) => {
      const options = [...arms].map(([value, title]) => make("option", { value }, title));
      return recipes.size === 1 ? options : [make("optgroup", { label: recipe || "in no run" }, ...options)];
    });
    put(this.arm, ...(this.isOptional ? [make("option", { value: "" }, "none")] : []), ...groups.flat());
    this.arm.disabled = models.length === 0;
    this.arm.value = name ? armOf(name) : this.isOptional ? "" : this.arm.value;
    this.#fill(() => {}, partsOf(name));
  }

  /** Remember that a checkpoint has answered: it is loaded. */
  use(name) {
    this.used.add(name);
    this.#tell(() => {});
  }

  isLoaded(name) {
    return this.used.has(name) || this.models.some((one) => one.id === name && one.loaded);
  }

  #inside() {
    return this.models.filter((one) => armOf(one.id) === this.arm.value);
  }

  /** Offer the arm's seeds and the seed's steps; what was picked stays picked where it is there. */
  #fill(onPick, wanted = null) {
    const all = this.#inside().map((one) => ({ id: one.id, ...partsOf(one.id) }));
    const hasParts = all[0]?.step !== undefined;
    const wasLast = this.step.selectedIndex <= 0;
    const [seedBefore, stepBefore] = [Number(this.seed.value), partsOf(this.step.value)?.step];
    const seeds = hasParts ? [...new Set(all.map((one) => one.seed))].sort((one, other) => one - other) : [];
    put(this.seed, ...seeds.map((seed) => make("option", { value: seed }, seed)));
    const seed = [wanted?.seed, seedBefore, seeds[0]].find((one) => seeds.includes(one));
    if (seed !== undefined) this.seed.value = String(seed);
    const steps = all.filter((one) => hasParts && one.seed === seed).sort((one, other) => other.step - one.step);
    put(this.step, ...steps.map((one) => make("option", { value: one.id }, one.step)));
    const step = wanted?.step ?? (wasLast ? null : stepBefore);
    const found = steps.find((one) => one.step === step);
    if (found) this.step.value = found.id;
    for (const field of [this.seed, this.step]) {
      field.disabled = !hasParts;
      field.parentElement.hidden = all.length > 0 && !hasParts;
    }
    this.#tell(onPick);
  }

  #tell(onPick) {
    const { name } = this;
    const model = this.models.find((one) => one.id === name);
    const marks = [
      model?.default ? "the default" : "",
      this.step.selectedIndex > 0 ? "not its last step" : "",
      this.isLoaded(name) ? "" : "loads when it is asked",
    ];
    const said = marks.filter(Boolean).join("; ");
    put(this.note, ...(model ? [make("code", {}, name), said ? ` (${said})` : ""] : [this.isOptional && this.models.length ? "Only one is asked." : ""]));
    onPick();
  }
}

function armOf(name) {
  const parts = partsOf(name);
  return parts ? `${parts.recipe}.${parts.arm}` : name;
}
