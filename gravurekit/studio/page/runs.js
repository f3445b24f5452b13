// The tab Runs: the trainings of the workspace. One of them is shown with its charts and panels, and moves by itself
// while people look: what hasn't changed isn't touched, so nothing flickers, and focus and scrolling stay as they are.
import { ask, byId, keys, make, number, say, soon } from "./common.js";

const WORDS = { running: "running", finished: "finished", unfinished: "not finished", spoilt: "spoilt",
  damaged: "damaged", newer: "of a newer gravurekit" };
const LISTED = new Set(["steps", "best step"]); // figures that the list says, and newer ones
const SLOWEST = 60; // seconds between two tries when there is no answer
const SETTLED = 90; // ms that the slider stands still until its panel is fetched
const NARROW = matchMedia("(max-width: 40rem)");

let rows = []; // the trainings, as they were listed
let chosen = ""; // the name of the one that is shown
let drawn = null; // what is shown of it
let hurt = ""; // why it can't be shown
let due = 0; // when it may be asked for again, by the page's clock
let open = false; // this tab is shown
let timer = 0;
let asking = 0; // the number of the question whose answer counts
let failed = 0; // questions without an answer, one after the other
let wanted = ""; // the address of the panel that is to be seen

export function show() {
  open = true;
  keys(pressed);
  wake();
}

export function hide() {
  open = false;
  clearTimeout(timer);
  asking += 1;
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : wake()));

// ---- asking ------------------------------------------------------------------------------------------------

function wake() {
  clearTimeout(timer);
  asking += 1;
  if (open && !document.hidden) look(asking);
}

async function look(mine) {
  let again;
  try {
    again = await looked(mine);
    failed = 0;
  } catch (error) {
    if (mine !== asking) return;
    failed += 1;
    again = Math.min(SLOWEST, 3 * 2 ** failed);
    byId("runs-waiting").hidden = true;
    trouble(`${error.message.replace(/[.?]?$/, (end) => end || ".")} What is shown may be old; it is asked for again by itself.`);
  }
  if (mine === asking && open && !document.hidden) timer = setTimeout(look, 1000 * again, mine);
}

// the seconds after which to look again
async function looked(mine) {
  const answer = await ask("/api/runs");
  if (mine !== asking) return 0;
  list(answer);
  const row = choose();
  const old = row && (!drawn || drawn.signature !== row.signature);
  if (old && performance.now() >= due) await fetchOne(row.name, mine);
  return answer.again;
}

async function fetchOne(name, mine) {
  const since = drawn ? `?since=${encodeURIComponent(drawn.signature)}` : "";
  let answer;
  try {
    answer = await ask(`/api/runs/${encodeURIComponent(name)}${since}`);
  } catch (error) {
    if (!error.status) throw error; // the studio is away
    if (mine !== asking) return;
    hurt = error.message;
    due = performance.now() + 1000 * SLOWEST;
    byId("runs-drawing").hidden = true;
    trouble(hurt);
    return;
  }
  if (mine !== asking) return;
  if (hurt) trouble(hurt = "");
  due = performance.now() + 1000 * answer.again;
  if (!answer.same) draw(answer);
}

function trouble(text) {
  write(byId("runs-trouble"), text);
  byId("runs-trouble").hidden = !text;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// ---- the list ----------------------------------------------------------------------------------------------

function list(answer) {
  rows = answer.runs;
  byId("runs-waiting").hidden = true;
  byId("runs-none").hidden = rows.length > 0;
  byId("runs-both").hidden = !rows.length;
  write(byId("runs-folder"), answer.folder);
  const there = new Map([...byId("runs-list").children].map((item) => [item.dataset.name, item]));
  const focused = document.activeElement;
  rows.forEach((row, place) => {
    row.said = told(row, answer.now);
    const item = there.get(row.name) || listed(row.name);
    there.delete(row.name);
    const here = byId("runs-list").children[place];
    if (here !== item) byId("runs-list").insertBefore(item, here || null);
    badge(item.querySelector(".runs-badge"), row.condition);
    write(item.querySelector(".n"), row.said);
  });
  there.forEach((item) => item.remove());
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function listed(name) {
  const link = make("a", { href: `#runs/${encodeURIComponent(name)}` }, make("bdi", { text: name, class: "runs-called" }),
    " ", make("span", { class: "runs-badge" }), make("span", { class: "n" }));
  return make("li", { "data-name": name }, link);
}

function badge(node, condition) {
  node.dataset.condition = condition;
  write(node, WORDS[condition]);
}

function told(row, now) {
  const parts = [row.steps ? `step ${number(row.step)} of ${number(row.steps)}` : `step ${number(row.step)}`];
  if (row.best) parts.push(`best ${row.best[1]} at ${number(row.best[0])}`);
  if (row.moved) parts.push(ago(now - row.moved));
  return parts.join(" · ");
}

function ago(seconds) {
  if (seconds < 60) return "just now";
  const words = new Intl.RelativeTimeFormat("en");
  for (const [unit, size, most] of [["minute", 60, 3600], ["hour", 3600, 86400 * 2], ["day", 86400, Infinity]]) {
    if (seconds < most) return words.format(-Math.floor(seconds / size), unit);
  }
  return "";
}

// The training that the address names, or the one that is shown already, or the newest; undefined if there is none
function choose() {
  const named = inAddress();
  const name = named || (rows.some((row) => row.name === chosen) ? chosen : rows[0]?.name || "");
  const row = rows.find((found) => found.name === name);
  if (name !== chosen) {
    if (chosen && NARROW.matches) byId("runs-one").scrollIntoView();
    [chosen, drawn, hurt, due] = [name, null, "", 0];
  }
  for (const link of byId("runs-list").querySelectorAll("a")) {
    if (link.parentNode.dataset.name === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  trouble(named && !row && rows.length ? `There is no training called ${named}.` : hurt);
  byId("runs-one").hidden = !row;
  if (row) head(row);
  return row;
}

function inAddress() {
  try {
    return decodeURIComponent(location.hash.slice("#runs/".length));
  } catch {
    return "";
  }
}

// ---- the one that is shown ---------------------------------------------------------------------------------

function head(row) {
  write(byId("runs-name"), row.name);
  badge(byId("runs-badge"), row.condition);
  write(byId("runs-said"), row.said);
  byId("runs-bar").hidden = row.condition !== "running" || !row.steps;
  byId("runs-bar").firstElementChild.style.width = `${Math.min(100, (100 * row.step) / (row.steps || 1))}%`;
  byId("runs-drawing").hidden = Boolean(drawn || hurt);
  byId("runs-shown").hidden = !drawn;
}

function draw(answer) {
  const before = drawn;
  drawn = answer;
  byId("runs-drawing").hidden = true;
  byId("runs-shown").hidden = false;
  faults();
  pairs(byId("runs-figures"), answer.headline.filter(([name]) => !LISTED.has(name)));
  pairs(byId("runs-knobs"), answer.knobs);
  byId("runs-knobs").parentNode.hidden = byId("runs-to-knobs").hidden = !answer.knobs.length;
  charts();
  panels(before);
  const news = [];
  if (before && answer.validated && answer.validated !== before.validated) news.push(answer.validated);
  if (before && answer.condition !== before.condition) news.push(WORDS[answer.condition]);
  if (news.length) say(`${chosen}: ${news.join(", ")}`);
}

function faults() {
  const place = byId("runs-faults");
  place.hidden = !drawn.faults.length;
  write(byId("runs-wrong"), drawn.wrong ? "Something is wrong with this training, or it isn't finished" : "To know");
  items(place.querySelector("ul"), drawn.faults, () => make("li", {}, make("bdi")), (item, fault) => write(item.firstChild, fault));
}

function pairs(place, found) {
  const made = () => make("div", {}, make("dt", {}, make("bdi")), make("dd", {}, make("bdi")));
  items(place, found, made, (item, [name, value]) => {
    write(item.firstChild.firstChild, name);
    write(item.lastChild.firstChild, value);
  });
}

// As many children as there are things, each filled with one
function items(place, things, made, fill) {
  while (place.children.length > things.length) place.lastElementChild.remove();
  while (place.children.length < things.length) place.append(made());
  things.forEach((thing, number) => fill(place.children[number], thing));
}

function charts() {
  byId("runs-no-curves").hidden = drawn.charts.length > 0;
  const made = () => make("figure", { class: "chart" }, make("h4"), make("p", { class: "note" }), make("div"));
  items(byId("runs-charts"), drawn.charts, made, (item, chart) => {
    const [title, about, place] = item.children;
    write(title, chart.title);
    write(about, chart.about);
    about.hidden = !chart.about;
    if (item.svg === chart.svg) return;
    item.svg = chart.svg;
    place.replaceChildren(picture(chart.svg));
  });
  scrolling();
}

// The drawing, made by our server of numbers and of words that it has escaped; the page's policy runs nothing in it
function picture(svg) {
  const found = document.adoptNode(new DOMParser().parseFromString(svg, "text/html").body.firstElementChild);
  found.querySelectorAll("style").forEach((style) => style.remove()); // they would hold for the whole page
  return found;
}

// Where charts are wider than the screen, each is scrolled, by keys as well
function scrolling() {
  for (const item of byId("runs-charts").children) {
    if (NARROW.matches) item.tabIndex = 0;
    else item.removeAttribute("tabindex");
  }
}

NARROW.addEventListener("change", scrolling);

// ---- panels ------------------------------------------------------------------------------------------------

const slider = byId("runs-slider");
const load = soon(fetchPanel, SETTLED);

function panels(before) {
  const found = drawn.panels;
  byId("runs-panels").hidden = byId("runs-to-panels").hidden = !found.length;
  write(byId("runs-rows"), drawn.rows.length ? `Whose pictures they show: ${drawn.rows.join("; ")}` : "");
  if (!found.length) return;
  const old = before ? before.panels : [];
  const place = Number(slider.value);
  const step = place < old.length - 1 ? old[place].step : Infinity; // at the end one stays at the end
  slider.max = found.length - 1;
  const next = found.findIndex((sheet) => sheet.step >= step);
  slider.value = next < 0 ? found.length - 1 : next;
  turned();
  fetchPanel();
}

// What is said of the panel at which the slider stands
function turned() {
  const { said } = drawn.panels[Number(slider.value)];
  write(byId("runs-step"), said);
  slider.setAttribute("aria-valuetext", said);
}

async function fetchPanel() {
  const sheet = drawn.panels[Number(slider.value)];
  const address = `/api/runs/${encodeURIComponent(chosen)}/panels/${sheet.step}?made=${sheet.made}`;
  if (address === wanted) return;
  wanted = address;
  const image = make("img", { src: address, alt: `What the network made of the same pictures at ${sheet.said}: a row for each, columns as headed` });
  let fault = "";
  try {
    await image.decode(); // whole before it takes the place of the one before
  } catch {
    fault = await ask(address).then(() => "", (error) => error.message) || "this panel can't be shown";
  }
  if (address !== wanted) return;
  if (fault) wanted = "";
  write(byId("runs-fault"), fault);
  byId("runs-alone").href = address;
  byId("runs-alone").hidden = byId("runs-panel").hidden = Boolean(fault);
  byId("runs-panel").replaceChildren(...(fault ? [] : [image]));
}

slider.addEventListener("input", () => {
  turned();
  load();
});

function pressed(event) {
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!way || !drawn || drawn.panels.length < 2 || event.target.closest?.(".chart, .runs-panel")) return;
  event.preventDefault();
  slider.value = Number(slider.value) + way;
  turned();
  load();
}

for (const button of document.querySelectorAll(".runs-ways button")) {
  button.addEventListener("click", () => {
    byId(button.dataset.to).scrollIntoView();
    byId(button.dataset.to).focus({ preventScroll: true });
  });
}
