// Which tab is shown: the one that the address names.
import { byId, complain, keys, say } from "./common.js";
import * as colorize from "./colorize.js";
import * as review from "./review.js";
import * as runs from "./runs.js";
import * as stylize from "./stylize.js";

const TABS = { review, stylize, colorize, runs };
let shown = "";

function show() {
  const wanted = location.hash.slice(1).split("/")[0];
  if (wanted === "main") return;
  const name = wanted in TABS ? wanted : "review";
  if (name === shown) return;
  if (shown) TABS[shown].hide();
  shown = name;
  keys(null);
  say("");
  for (const id of Object.keys(TABS)) {
    byId(`tab-${id}`).hidden = id !== name;
    if (id === name) byId(`to-${id}`).setAttribute("aria-current", "page");
    else byId(`to-${id}`).removeAttribute("aria-current");
  }
  Promise.resolve(TABS[name].show()).catch((error) => complain(error.message));
}

addEventListener("hashchange", show);
show();
document.body.dataset.ready = "yes";
