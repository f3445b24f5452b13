// Pictures judged by looking, with the keyboard. Each decision is saved at once, one after the other.
import { ask, byId, complain, keys, make, number, say } from "./common.js";
import * as viewer from "./review-viewer.js";
import { decided, drawn, nameOf, words } from "./review-card.js";

const ABOUT = {
  doubtful: "Kept and dropped pictures that lie near the cut that decides of them; the nearest ones first.",
  copies: "Each kept picture, and what was taken for its copies: large clusters first, then what is least sure. N says that one is no copy.",
  kept: "What the filter kept.",
  decided: "What was decided here so far.",
};
const NOTHING = {
  doubtful: "No picture lies near a cut: nothing is in doubt.",
  copies: "No picture was taken for a copy of another.",
  decided: "Nothing was decided so far.",
};
const PAGE = 60;  // pictures
const KEYS = { k: "keep", d: "drop", n: "apart", u: "undo" };
const DONE = { keep: "keep", drop: "drop", apart: "no copy", undo: "undone" };

const STATE = { view: "doubtful", page: 1, pages: 1, at: 0, overview: null };
let CARDS = [];  // of this page, in their order: what is known of each, its element, and whether it only leads a cluster
let SAVING = Promise.resolve();
let wired = false;

export async function show() {
  if (!wired) wire();
  wired = true;
  keys(pressed);
  const [, view, page] = location.hash.slice(1).split("/").map(decodeURIComponent);
  const wanted = { view, page: Number(page) || 1 };
  if (view && (view !== STATE.view || wanted.page !== STATE.page)) Object.assign(STATE, wanted, { at: 0 });
  await load();
}

export function hide() {
  keys(null);
  for (const id of ["review-viewer", "review-help"]) if (byId(id).open) byId(id).close();
}

function wire() {
  byId("review-again").addEventListener("click", () => attempt(load));
  byId("review-previous").addEventListener("click", () => turn(-1));
  byId("review-next").addEventListener("click", () => turn(1));
  byId("review-keys").addEventListener("click", () => byId("review-help").showModal());
  byId("review-help-close").addEventListener("click", () => byId("review-help").close());
  viewer.wire({ step, decide: (what) => decide(STATE.at, what), closed: () => focus(STATE.at) });
}

const attempt = async (job) => { try { await job(); } catch (error) { complain(error.message); } };

// ---- what is there ----

async function load() {
  say("The filtered folder is read …");
  overview(await ask("/api/review"));
  say("");
  if (!STATE.overview.views.length) return;
  if (!STATE.overview.views.some(({ id }) => id === STATE.view)) Object.assign(STATE, { view: "doubtful", page: 1 });
  await page(STATE.at);
}

function overview(found) {
  STATE.overview = found;
  byId("review-none").hidden = found.views.length > 0;
  byId("review-work").hidden = !found.views.length;
  byId("review-place").textContent = `${found.folder}/`;
  byId("review-faults").hidden = !found.faults.length;
  byId("review-faults").replaceChildren(...found.faults.map((fault) => make("li", { text: fault })));
  chips(found.views);
  const made = found.views.find(({ id }) => id === "decided")?.count;
  byId("review-todo").hidden = !found.pending && !made;
  byId("review-pending").textContent = found.pending ? `Saved in ${found.file}. To have it carried out:`
    : `${found.folder}/ is of all that is decided in ${found.file}.`;
  byId("review-command").hidden = !found.pending;
  byId("review-command").textContent = found.command;
}

// in their places, so that none loses the focus
function chips(views) {
  const there = [...byId("review-views").children];
  if (there.map((one) => one.dataset.view).join("\n") !== views.map(({ id }) => id).join("\n")) byId("review-views").replaceChildren(...views.map(chip));
  else views.forEach(({ count }, n) => { there[n].querySelector(".n").textContent = number(count); });
}

function chip({ id, name, count, dropped }) {
  const tone = dropped ? "out" : id === "kept" ? "in" : "";
  const made = make("button", { type: "button", class: tone, "aria-pressed": String(id === STATE.view), "data-view": id },
    `${name} `, make("span", { class: "n", text: number(count) }));
  made.addEventListener("click", () => attempt(async () => {
    Object.assign(STATE, { view: id, page: 1 });
    await page();
    byId("review-views").querySelector("[aria-pressed=true]").focus();
  }));
  return made;
}

// ---- a page of it ----

async function page(at = 0) {
  const wanted = `${STATE.view} ${STATE.page}`;
  await SAVING;  // else what was just decided might not be known yet
  const found = await ask(`/api/review/cards?${new URLSearchParams({ view: STATE.view, page: STATE.page })}`);
  if (wanted !== `${STATE.view} ${STATE.page}`) return;  // another one was asked for meanwhile
  Object.assign(STATE, { page: found.page, pages: found.pages });
  history.replaceState(null, "", `#review/${encodeURIComponent(STATE.view)}/${STATE.page}`);
  const view = STATE.overview.views.find(({ id }) => id === STATE.view);
  for (const one of byId("review-views").children) one.setAttribute("aria-pressed", String(one.dataset.view === STATE.view));
  byId("review-name").textContent = view.name;
  byId("review-about").textContent = ABOUT[STATE.view] || `Dropped: ${view.name}.`;
  Object.assign(STATE, { total: found.total, decided: found.decided });
  status();
  byId("review-pages").textContent = `page ${number(found.page)} of ${number(found.pages)}`;
  byId("review-previous").disabled = found.page <= 1;
  byId("review-next").disabled = found.page >= found.pages;
  CARDS = [];
  byId("review-cards").replaceChildren(...found.groups.map(group),
    ...(found.total ? [] : [make("p", { class: "nothing", text: NOTHING[STATE.view] || "None is left." })]));
  byId("review-cards").className = STATE.view === "copies" ? "clusters" : "";
  byId("review-cards").dataset.view = STATE.view;
  STATE.at = CARDS.length ? Math.min(at < 0 ? CARDS.length - 1 : at, CARDS.length - 1) : 0;
  CARDS.forEach((card, place) => rove(card, place === STATE.at));
}

function status() {
  const first = PAGE * (STATE.page - 1) + 1, last = Math.min(first + PAGE - 1, STATE.total);
  byId("review-status").textContent = !STATE.total ? "None."
    : `${number(first)} to ${number(last)} of ${number(STATE.total)}, ${number(STATE.decided)} decided`;
}

function group({ kept_key: key, lead, size, cards }) {
  const list = make("ul", { class: "cards" }, ...(lead ? [item(lead, true)] : []), ...cards.map((card) => item(card, false)));
  if (!key) return list;
  const here = cards.length < size ? `${number(cards.length)} of ${number(size)} copies` : size === 1 ? "1 copy" : `${number(size)} copies`;
  const head = lead ? here : `${here} of a picture of an earlier folder`;
  return make("section", { class: "cluster", "aria-label": `${here} of ${lead ? nameOf(lead) : key}` }, make("h3", { class: "n", text: head }), list);
}

function item(told, leads) {
  const place = CARDS.length, element = make("li");
  CARDS.push({ told, leads, element });
  draw(place);
  return element;
}

function draw(place) {
  const { told, leads, element } = CARDS[place];
  const inside = element.contains(document.activeElement);
  const card = drawn(told, leads, { open: () => open(place), decide: (what) => decide(place, what) });
  card.addEventListener("focusin", () => select(place));
  element.replaceChildren(card);
  rove(CARDS[place], place === STATE.at);
  if (inside) card.focus();
}

// Tab goes to one card, and within it to its buttons; arrows go to the others
function rove(card, here) {
  if (!card) return;
  card.element.firstChild.tabIndex = here ? 0 : -1;
  for (const button of card.element.querySelectorAll(".choices button, .mark button")) button.tabIndex = here ? 0 : -1;
}

// ---- going about ----

function select(place) {
  rove(CARDS[STATE.at], false);
  STATE.at = place;
  rove(CARDS[place], true);
}

function focus(place) {
  const card = CARDS[place];
  if (!card) return;
  card.element.firstChild.focus();
  card.element.scrollIntoView({ block: "nearest" });
}

async function turn(by, at = 0) {
  if (STATE.page + by < 1 || STATE.page + by > STATE.pages) return;
  STATE.page += by;
  await attempt(async () => {
    await page(at);
    focus(STATE.at);
  });
}

// to the next or the one before, on the next page or the one before if there is none here
async function step(by) {
  if (STATE.at + by in CARDS) select(STATE.at + by);
  else await turn(by, by < 0 ? -1 : 0);
  if (byId("review-viewer").open) await viewer.open(CARDS[STATE.at].told);
  else focus(STATE.at);
}

// the card of the next row that stands nearest
function row(by) {
  const box = (place) => CARDS[place].element.getBoundingClientRect();
  const here = box(STATE.at), middle = here.left + here.width / 2;
  const beyond = CARDS.map((_, place) => place).filter((place) => by * (box(place).top - here.top) > here.height / 2);
  if (!beyond.length) return;
  const next = beyond.reduce((least, place) => Math.min(least, by * box(place).top), Infinity);
  const away = (place) => Math.abs(box(place).left + box(place).width / 2 - middle);
  focus(beyond.filter((place) => by * box(place).top < next + here.height / 2).reduce((one, other) => (away(other) < away(one) ? other : one)));
}

async function toUndecided() {
  const open = (place) => !CARDS[place].leads && CARDS[place].told.decidable && !decided(CARDS[place].told);
  const places = CARDS.map((_, place) => place).filter(open);
  const next = places.find((place) => place > STATE.at), go = byId("review-viewer").open ? select : focus;
  if (next === undefined && STATE.page < STATE.pages) {
    await turn(1);
    const first = CARDS.findIndex((_, place) => open(place));
    if (first > 0) go(first);
  } else if (places.length) go(next ?? places[0]);
  if (byId("review-viewer").open) await viewer.open(CARDS[STATE.at].told);
}

function open(place) {
  focus(place);
  attempt(() => viewer.open(CARDS[place].told));
}

// ---- deciding ----

function refusal(told, what) {
  if (what === "apart" && !told.twin) return "It isn't taken for a copy of any other picture.";
  if (what === "apart" && !told.copy) return "It has the very pixels of the other one: they can't be set apart.";
  if (what !== "undo" && !told.decidable) return `It is ${words(told.reason)}: no decision brings it back.`;
  return "";
}

function decide(place, what) {
  const card = CARDS[place], before = card.told, refused = refusal(before, what);
  if (refused || (what === "undo" && !decided(before))) return say(refused || "Nothing was decided of it.");
  put(card, { ...before, keep: what === "keep" ? true : what === "drop" ? false : null, apart: what === "apart" ? [before.twin] : [] });
  SAVING = SAVING.then(() => save(card, before, what));
  if (what !== "undo") attempt(toUndecided);
  else if (byId("review-viewer").open) attempt(() => viewer.open(card.told));
}

// what is known of a card now
function put(card, told) {
  const change = Number(decided(told)) - Number(decided(card.told)), place = CARDS.indexOf(card);
  card.told = told;
  if (place < 0) return;  // its page isn't shown any more
  if (!card.leads) STATE.decided += change;
  status();
  draw(place);
}

async function save(card, before, what) {
  try {
    const answer = await ask("/api/review/decisions", { key: before.key, decision: what });
    put(card, answer.card);
    overview(answer.overview);
    say(`${nameOf(before)}: ${DONE[what]}. Saved in ${answer.overview.file}.`);
  } catch (error) {
    put(card, before);
    complain(`Not saved: ${error.message}`);
  }
}

// ---- keys ----

function pressed(event) {
  if (byId("review-help").open || byId("review-work").hidden) return;
  const opened = byId("review-viewer").open, inside = opened || byId("review-cards").contains(document.activeElement);
  const action = actions(event, opened, inside);
  if (!action) return;
  event.preventDefault();
  action();
}

function actions(event, opened, inside) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "?") return () => byId("review-help").showModal();
  if (!CARDS.length) return null;
  if (key in KEYS && inside && !event.repeat) return () => decide(STATE.at, KEYS[key]);
  if (key === "[" || key === "]") return opened ? null : () => turn(key === "[" ? -1 : 1);
  if (key === "ArrowLeft" || key === "ArrowRight") {
    if (!inside) return event.target === document.body ? () => focus(STATE.at) : null;
    return () => attempt(() => step(key === "ArrowLeft" ? -1 : 1));
  }
  if ((key === "ArrowUp" || key === "ArrowDown") && inside && !opened) return () => row(key === "ArrowUp" ? -1 : 1);
  if (key === "Enter" && event.target.classList?.contains("card")) return () => open(STATE.at);
  return null;
}

