"use strict";
// The gallery: shows some of the page's pictures at a time, filters and sorts them. Whatever comes from the data becomes
// text or an address of a picture, never HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PER_PAGE = 60;
const STATE = { group: "", search: "", sort: "", turned: false, page: 1, facets: {} };
const byId = (id) => document.getElementById(id);

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") element.className = value;
    else if (key === "text") element.textContent = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const number = (value) => value.toLocaleString("en");
const GROUPS = DATA.groups.map(([name, dropped, total]) => ({ name, dropped, total }));
const ITEMS = DATA.items;
const PLACES = new Map();  // of kept pictures, by key
ITEMS.forEach((item, place) => { if (!GROUPS[item.group].dropped && !PLACES.has(item.key)) PLACES.set(item.key, place); });

// ---- what is shown ----

function words(item) {
  if (item.words === undefined) {
    const facts = Object.values(item.facts || {});
    const facets = DATA.facets.flatMap(([, said], n) => item.facets[n].map((word) => said[word][0]));
    item.words = [item.key, item.title, item.detail, item.twin, ...facts, ...facets].join("\n").toLowerCase();
  }
  return item.words;
}

function inGroup(item) {
  if (STATE.group === "") return true;
  if (STATE.group === "kept" || STATE.group === "dropped") return GROUPS[item.group].dropped === (STATE.group === "dropped");
  return item.group === Number(STATE.group);
}

function found() {
  const search = STATE.search.toLowerCase();
  const facets = Object.entries(STATE.facets).map(([name, word]) => [Number(name), Number(word)]);
  const list = ITEMS.filter((item) => inGroup(item)
    && facets.every(([name, word]) => item.facets[name].includes(word))
    && (!search || words(item).includes(search)));
  return STATE.sort === "" ? (STATE.turned ? list.reverse() : list) : sorted(list);
}

function sorted(list) {
  const value = {
    title: (item) => item.title || item.key,
    size: (item) => (item.size ? item.size[0] * item.size[1] : 0),
  }[STATE.sort] || ((item) => (item.figures || [])[Number(STATE.sort)]);
  const way = STATE.turned ? -1 : 1;
  const known = (item) => value(item) !== undefined && value(item) !== null;
  const compare = (one, other) => {
    const [a, b] = [value(one), value(other)];
    return way * (typeof a === "string" ? a.localeCompare(b) : a - b);
  };
  return [...list.filter(known).sort(compare), ...list.filter((item) => !known(item))];
}

let LIST = [];

function show(focus) {
  LIST = found();
  const pages = Math.max(1, Math.ceil(LIST.length / PER_PAGE));
  STATE.page = Math.min(Math.max(1, Math.floor(STATE.page) || 1), pages);
  const first = (STATE.page - 1) * PER_PAGE;
  const here = LIST.slice(first, first + PER_PAGE);
  byId("tiles").style.setProperty("--across", Math.max(1, ...here.map((item) => (item.shots || []).length)));
  byId("tiles").replaceChildren(...here.map(tile));
  byId("status").textContent = counted(first, here.length);
  byId("page").value = STATE.page;
  byId("page").max = pages;
  byId("pages").textContent = `of ${number(pages)}`;
  for (const id of ["first", "previous"]) byId(id).disabled = STATE.page === 1;
  for (const id of ["last", "next"]) byId(id).disabled = STATE.page === pages;
  for (const button of byId("chips").children) button.setAttribute("aria-pressed", button.value === STATE.group);
  const opens = document.querySelectorAll(".open");
  opens.forEach((open, n) => { open.tabIndex = n ? -1 : 0; });
  if (focus && opens.length) opens[0].focus();
  remember();
}

function counted(first, count) {
  if (!LIST.length) return "No picture fits.";
  const total = GROUPS.filter((group, n) => inGroup({ group: n })).reduce((sum, group) => sum + group.total, 0);
  const there = ITEMS.filter(inGroup).length;
  const rest = total > there ? `; of ${number(total)} pictures ${number(there)} are on this page, evenly spread` : "";
  return `${number(first + 1)} to ${number(first + count)} of ${number(LIST.length)}${rest}`;
}

function picture([caption, thumb], item, large) {
  const [src, width, height] = DATA.thumbs[thumb];
  const shot = make("span", { class: "shot" });
  if (height === undefined) shot.append(make("span", { class: "gone", text: src }));
  else {
    const alt = `${caption || "picture"}: ${item.title || item.key}`;
    shot.append(make("img", { src, width, height, alt, decoding: "async", loading: "lazy" }));
  }
  if (caption && !large) shot.append(make("span", { text: caption }));
  return shot;
}

function tile(item) {
  const open = make("button", { type: "button", class: "open", "aria-label": `Open ${item.title || item.key}` });
  const shots = item.shots || [];
  open.append(...(shots.length ? shots.map((shot) => picture(shot, item)) : [make("span", { class: "gone", text: "no picture" })]));
  open.addEventListener("click", () => view(LIST.indexOf(item)));
  const box = make("li", { class: "tile" }, open);
  if (item.title) box.append(make("p", { class: "title", dir: "auto", text: item.title }));
  const group = GROUPS[item.group];
  if (group.dropped || item.detail) box.append(make("p", { class: group.dropped ? "why" : "", text: item.detail || group.name }));
  const facets = item.facets.map((said, n) => said.map((word) => DATA.facets[n][1][word]).filter(([, , nameless]) => !nameless)
    .map(([word]) => word).join(", "));
  box.append(make("p", { class: "facts", text: [measure(item), ...facets.filter(Boolean)].filter(Boolean).join(" · ") }));
  box.append(make("p", { class: "facts" }, make("code", { text: item.key })));
  return box;
}

const measure = (item) => (item.size ? `${item.size[0]} × ${item.size[1]} px` : "");

// ---- what people choose by ----

function chips() {
  const add = (value, name, count, kind) => byId("chips").append(make("button",
    { type: "button", value, class: kind, "aria-pressed": "false" }, make("bdi", { text: `${name} ` }), make("span", { class: "n", text: number(count) })));
  const sum = (groups) => groups.reduce((all, group) => all + group.total, 0);
  if (GROUPS.length < 2) { byId("chips").hidden = true; return; }
  const dropped = GROUPS.filter((group) => group.dropped), kept = GROUPS.filter((group) => !group.dropped);
  add("", "all", sum(GROUPS), "");
  if (dropped.length) add("kept", "kept", sum(kept), "in");
  if (dropped.length > 1) add("dropped", "dropped", sum(dropped), "out");
  GROUPS.forEach((group, n) => { if (group.dropped || kept.length > 1) add(String(n), group.name, group.total, group.dropped ? "out" : ""); });
  byId("chips").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) { STATE.group = button.value; STATE.page = 1; show(); }
  });
}

function choice(label, options, chosen) {
  const select = make("select", {}, ...options.map(([value, text]) => make("option", { value, text })));
  select.addEventListener("change", () => { chosen(select.value); STATE.page = 1; show(); });
  byId("selects").insertBefore(make("label", { text: `${label} ` }, select), byId("selects").lastElementChild);
  return select;
}

const CHOICES = new Map();

function selects() {
  DATA.facets.forEach(([name, said], n) => {
    if (said.length < 2) return;
    const order = said.map((word, place) => [place, ...word]).sort((a, b) => b[2] - a[2] || a[1].localeCompare(b[1]));
    const options = [["", "all"], ...order.map(([place, word, count]) => [String(place), `${word} (${number(count)})`])];
    CHOICES.set(n, choice(name, options, (value) => { if (value === "") delete STATE.facets[n]; else STATE.facets[n] = value; }));
  });
  const figures = DATA.figures.map((name, n) => [String(n), name.replaceAll("_", " ")]);
  CHOICES.set("sort", choice("sort by", [["", "as it lies"], ["title", "title"], ["size", "pixels"], ...figures], (value) => { STATE.sort = value; }));
  const turn = make("button", { type: "button", id: "turn", "aria-pressed": "false", text: "Turn order" });
  turn.addEventListener("click", () => { STATE.turned = !STATE.turned; turn.setAttribute("aria-pressed", STATE.turned); show(); });
  byId("selects").insertBefore(turn, byId("selects").lastElementChild);
  let timer = 0;
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { STATE.search = byId("search").value; STATE.page = 1; show(); }, 120);
  });
}

function turnTo(page) { STATE.page = page; show(true); byId("status").scrollIntoView({ block: "start" }); }

function pager() {
  const pages = () => Math.max(1, Math.ceil(LIST.length / PER_PAGE));
  byId("first").addEventListener("click", () => turnTo(1));
  byId("previous").addEventListener("click", () => turnTo(STATE.page - 1));
  byId("next").addEventListener("click", () => turnTo(STATE.page + 1));
  byId("last").addEventListener("click", () => turnTo(pages()));
  byId("page").addEventListener("change", () => turnTo(Number(byId("page").value)));
}

// ---- keys ----

function across() {
  const opens = [...document.querySelectorAll(".open")];
  return opens.filter((open) => open.getBoundingClientRect().top === opens[0].getBoundingClientRect().top).length;
}

function step(key, place, count) {
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across(), ArrowDown: across(), Home: -place, End: count - 1 - place }[key];
  return by === undefined ? place : Math.min(Math.max(0, place + by), count - 1);
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("viewer").open) return;
  const typing = event.target.closest("input, select, textarea");
  if (!typing && event.key === "/") { byId("search").focus(); event.preventDefault(); return; }
  if (!typing && event.key === "]" && !byId("next").disabled) { turnTo(STATE.page + 1); return; }
  if (!typing && event.key === "[" && !byId("previous").disabled) { turnTo(STATE.page - 1); return; }
  const opens = [...document.querySelectorAll(".open")];
  const place = opens.indexOf(event.target);
  if (place < 0) return;
  const next = step(event.key, place, opens.length);
  if (next === place) return;
  opens[place].tabIndex = -1;
  opens[next].tabIndex = 0;
  opens[next].focus();
  event.preventDefault();
}

// ---- where one was, in the address ----

const PARTS = ["figures", "pictures"];  // links that lead to a part of the page, and say nothing of the gallery
const numberOf = (name, word) => [...DATA.facets[name][1].keys()].find((n) => DATA.facets[name][1][n][0] === word);

function remember() {
  const now = new URLSearchParams();
  if (STATE.group !== "") now.set("group", GROUPS[STATE.group] ? GROUPS[STATE.group].name : STATE.group);
  if (STATE.search) now.set("search", STATE.search);
  if (STATE.sort !== "") now.set("sort", DATA.figures[STATE.sort] || STATE.sort);
  for (const [name, word] of Object.entries(STATE.facets)) now.set(DATA.facets[name][0], DATA.facets[name][1][word][0]);
  if (STATE.turned) now.set("turned", "1");
  if (STATE.page > 1) now.set("page", STATE.page);
  if (String(now) || !PARTS.includes(location.hash.slice(1))) history.replaceState(null, "", `#${now}`);
}

function recall() {
  const then = new URLSearchParams(location.hash.slice(1));
  const number = GROUPS.findIndex((group) => group.name === then.get("group"));
  const group = ["kept", "dropped"].includes(then.get("group")) ? then.get("group") : String(number < 0 ? "" : number);
  STATE.group = [...byId("chips").children].some((chip) => chip.value === group) ? group : "";
  STATE.search = byId("search").value = then.get("search") || "";
  STATE.turned = then.get("turned") === "1";
  byId("turn").setAttribute("aria-pressed", STATE.turned);
  STATE.page = Number(then.get("page")) || 1;
  const figure = DATA.figures.indexOf(then.get("sort"));
  STATE.sort = figure < 0 ? (["title", "size"].includes(then.get("sort")) ? then.get("sort") : "") : String(figure);
  STATE.facets = {};
  for (const [name, select] of CHOICES) {
    if (name === "sort") { select.value = STATE.sort; continue; }
    const word = numberOf(name, then.get(DATA.facets[name][0]));
    if (word !== undefined) STATE.facets[name] = String(word);
    select.value = word === undefined ? "" : String(word);
  }
}

// a link to a part of the page doesn't forget where one was
function parts() {
  for (const link of document.querySelectorAll(".ways a")) {
    link.addEventListener("click", (event) => { event.preventDefault(); byId(link.hash.slice(1)).scrollIntoView(); });
  }
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    (document.querySelector(".open") || byId("search")).focus();
  });
  addEventListener("hashchange", () => { if (!PARTS.includes(location.hash.slice(1))) { recall(); show(); } });
}

chips();
selects();
parts();
pager();
document.addEventListener("keydown", keys);
