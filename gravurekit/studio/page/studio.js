// Which tab is shown: the one that the address names.
import { byId, complain, keys, say } from "./common.js";
import * as colorize from "./colorize.js";
import * as review from "./review.js";
import * as runs from "./runs.js";
import * as stylize from "./stylize.js";

const TABS = { review, stylize, colorize, runs };
const NAME = document.title;
const scrolled = {};  // px, of the tabs that were left
let shown = "";

function show() {
  const wanted = location.hash.slice(1).split("/")[0];
  if (wanted === "main" && shown) return;  // only a jump on the page
  const name = wanted in TABS ? wanted : "review";
  if (name === shown) {  // another place in it
    TABS[name].show();
    return;
  }
  if (shown) {
    TABS[shown].hide();
    scrolled[shown] = scrollY;
  }
  shown = name;
  keys(null);
  say("");
  for (const id of Object.keys(TABS)) {
    byId(`tab-${id}`).hidden = id !== name;
    if (id === name) byId(`to-${id}`).setAttribute("aria-current", "page");
    else byId(`to-${id}`).removeAttribute("aria-current");
  }
  document.title = `${byId(`to-${name}`).textContent} · ${NAME}`;
  Promise.resolve(TABS[name].show()).then(() => { if (name === shown && scrolled[name]) scrollTo({ top: scrolled[name], behavior: "instant" }); })
    .catch((error) => complain(error.message));
}

addEventListener("hashchange", show);
show();
document.body.dataset.ready = "yes";
