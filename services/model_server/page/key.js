// The dialog that asks for a key.

import { find } from "/page/dom.js";

/** Ask; gives the key, or null where none was given. */
export function askForKey(why) {
  const dialog = find("key-dialog");
  const input = find("key");
  find("key-why").textContent = why;
  input.value = "";
  return new Promise((resolve) => {
    find("key-cancel").onclick = () => dialog.close("");
    find("key-form").onsubmit = () => {
      dialog.returnValue = "";
      const given = input.value.trim();
      input.value = "";
      resolve(given || null);
    };
    dialog.onclose = () => resolve(null);
    dialog.showModal();
    input.focus();
  });
}
