// The page: what it is made of, and how it begins.

import { getJson, onKeyNeeded } from "/page/api.js";
import { offerModels, startAsking } from "/page/ask.js";
import { offerRuns, startComparing } from "/page/compare.js";
import { failed, find, make, put } from "/page/dom.js";
import { offerEvaluated, refresh, startEvaluating } from "/page/evaluate.js";
import { askForKey } from "/page/key.js";

onKeyNeeded(askForKey);
startAsking();
startEvaluating(offerRuns);
startComparing();
begin();

/** Look for checkpoints, and then for runs. */
async function begin() {
  const notice = find("notice");
  try {
    const { data } = await getJson("/v1/models");
    offerModels(data);
    offerEvaluated(data);
    notice.hidden = data.length > 0;
    put(notice, data.length ? null : none());
    await refresh();
  } catch (error) {
    notice.hidden = false;
    put(notice, failed(error.message, begin));
    put(find("evaluate-models"), make("p", { class: "note" }, "No checkpoints are known."));
    put(find("runs"), make("p", { class: "note" }, "No runs are known."));
  }
}

function none() {
  const button = make("button", { type: "button" }, "Look again");
  button.addEventListener("click", begin);
  return make("p", {}, "There is no checkpoint in the store yet; one appears here as soon as a run has sealed it. ", button);
}
