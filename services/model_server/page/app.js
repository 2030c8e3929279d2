// The page: what it is made of, and how it begins.

import { getJson, onKeyNeeded } from "/page/api.js";
import { offerModels, pickedNames, startAsking } from "/page/ask.js";
import { follow, offerChoices, startChoosing } from "/page/choose.js";
import { offerRuns, startComparing } from "/page/compare.js";
import { failed, find, make, put } from "/page/dom.js";
import { evaluate, refresh, startEvaluating } from "/page/evaluate.js";
import { askForKey } from "/page/key.js";

const UNKNOWN = ["name-1", "name-2", "evaluate-models", "runs"];

onKeyNeeded(askForKey);
startAsking(picked);
startChoosing();
startEvaluating(offerRuns);
startComparing();
find("models-refresh").addEventListener("click", begin);
find("evaluate-picked").addEventListener("click", () => evaluate(pickedNames()));
begin();

/** Look for checkpoints, and then for runs. */
async function begin() {
  const notice = find("notice");
  try {
    const { data } = await getJson("/v1/models");
    offerModels(data);
    offerChoices(data);
    picked(pickedNames());
    notice.hidden = data.length > 0;
    put(notice, data.length ? null : none());
    await refresh();
  } catch (error) {
    notice.hidden = false;
    put(notice, failed(error.message, begin));
    // What was found before is still good to have.
    for (const id of UNKNOWN.filter((one) => find(one).querySelector("[data-looking]"))) {
      put(find(id), make("span", { class: "note", "data-looking": true }, "Nothing is known yet."));
    }
  }
}

function picked(names) {
  follow(names);
  const button = find("evaluate-picked");
  button.textContent = names.length === 2 ? "Evaluate both and compare" : "Evaluate it";
  button.disabled = names.length === 0;
}

function none() {
  const button = make("button", { type: "button" }, "Look again");
  button.addEventListener("click", begin);
  return make("p", {}, "There is no checkpoint in the store yet; one appears here as soon as a run has sealed it. ", button);
}
