// Names of checkpoints, `recipe.arm.seed-n@step`, and the least that has to be said to tell several apart.

const NAME = /^(.+)\.([^.]+)\.seed-(\d+)@(\d+)$/;
const FEW = 4;

/** What a name says, or null for a checkpoint that no run names. */
export function partsOf(name) {
  const found = NAME.exec(name);
  return found && { recipe: found[1], arm: found[2], seed: Number(found[3]), step: Number(found[4]) };
}

/**
 * Checkpoints as columns: those of an arm that differ in nothing but their seed are one, unless a few seeds of
 * one arm are all there is. Gives the columns, each with `names`, `seeds` and a `title`, and what is `shared`.
 */
export function columnsOf(names, few = FEW) {
  const groups = new Map();
  for (const name of names) {
    const parts = partsOf(name);
    const key = parts ? JSON.stringify([parts.recipe, parts.arm, parts.step]) : name;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(name);
  }
  const isOne = groups.size === 1 && names.length <= few;
  const columns = (isOne ? names.map((name) => [name]) : [...groups.values()]).map(columnOf);
  const told = columns.filter((column) => column.parts);
  const facts = {
    recipe: (column) => column.parts.recipe,
    arm: (column) => column.parts.arm,
    seed: (column) => seedsIn(column.seeds),
    step: (column) => `step ${column.parts.step}`,
  };
  const varies = (fact) => new Set(told.map(facts[fact])).size > 1;
  const inTitle = ["recipe", "arm", "seed", "step"].filter((fact) => fact === "arm" || varies(fact));
  for (const column of columns) {
    column.title = column.parts ? inTitle.map((fact) => facts[fact](column)).join(", ") : column.names[0];
  }
  const rest = ["recipe", "seed", "step"].filter((fact) => !inTitle.includes(fact));
  return { columns, shared: told.length ? rest.map((fact) => facts[fact](told[0])).join(", ") : "" };
}

/** Columns in a line, as a run is listed. */
export function inShort(names) {
  const { columns, shared } = columnsOf(names);
  return [columns.map((column) => column.title).join("; "), shared].filter(Boolean).join(" · ");
}

/** Seeds in words: `seed 3`, `seeds 0 to 7`, `seeds 0, 2, 5`. */
export function seedsIn(seeds) {
  if (seeds.length === 1) return `seed ${seeds[0]}`;
  const inOrder = [...seeds].sort((one, other) => one - other);
  const isRow = inOrder.length > 2 && inOrder.every((seed, n) => seed === inOrder[0] + n);
  return `seeds ${isRow ? `${inOrder[0]} to ${inOrder.at(-1)}` : inOrder.join(", ")}`;
}

function columnOf(names) {
  const parts = partsOf(names[0]);
  return { names, parts, seeds: parts ? names.map((name) => partsOf(name).seed) : [] };
}
