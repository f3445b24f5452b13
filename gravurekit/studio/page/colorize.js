// Colorize: a print in colour, again whenever somebody says something else of it.
import { ask, byId, complain, latest, make, say, soon, work } from "./common.js";
import { Compare } from "./compare.js";
import { controls } from "./controls.js";
import { dropped } from "./drop.js";
import { Hints } from "./hints.js";

let begun = false;
let picture = null, file = null, knobs = null, drop = null, compare = null, hints = null, about = null;
const likes = [];

export async function show() {
  if (begun) return;
  begun = true;
  compare = new Compare(byId("colour-compare"), "print");
  compare.captions("as it was", "coloured");
  compare.slider.value = 0;
  compare.slide();
  hints = new Hints(compare, byId("hints"), byId("hint-colour"), () => colour());
  drop = dropped(byId("colour-drop"), "Drop an engraving here, or choose one", (found, from) => {
    picture = found;
    file = from;
    drop.rename("Another engraving");
    hints.begin(found.width, found.height);
    compare.shape(found.width, found.height);
    colour();
  });
  dropped(byId("like-drop"), "Choose a picture", (found) => { likes.push(found); listLikes(); colour(); });
  const told = await ask("/api/colorize");
  byId("no-runs").hidden = told.runs.length > 0;
  byId("colour-run").replaceChildren(...told.runs.map((name) => make("option", { value: name, text: name })));
  byId("colour-run").disabled = !told.runs.length;
  byId("colour-kind").replaceChildren(...told.kinds.map((kind) => make("option", { value: kind, text: kind })));
  knobs = controls(byId("colour-knobs"), told.knobs, moved);
  if (told.runs.length) await meet();
}

export function hide() {}

// what the chosen network can be told
const meet = latest(async (signal) => {
  about = null;
  say("Loading the network …");
  about = await ask(`/api/colorize/${encodeURIComponent(byId("colour-run").value)}`, undefined, signal);
  const lacks = [about.palette ? "" : "a palette", about.hints ? "" : "hints"].filter(Boolean).join(" nor ");
  byId("run-about").textContent = `It learned from pictures of ${about.size[0]} × ${about.size[1]} px.`
    + (lacks ? ` It wasn't made to be told ${lacks}: its own colours are moved instead.` : "");
  byId("word-knob").hidden = !about.words.length;
  byId("word").replaceChildren(make("option", { value: "", text: "–" }), ...about.words.map((word) => make("option", { value: word, text: word })));
  say("");
  colour();
});

function asked() {
  const said = { ...knobs.values(), hint: hints.said() };
  if (byId("palette").value.trim()) said.palette = byId("palette").value.trim();
  if (byId("word").value) said.word = byId("word").value;
  if (said.photo) said.paper = "keep";
  return { upload: picture.id, run: byId("colour-run").value, knobs: said, likes: likes.map((like) => like.id) };
}

const moved = soon(() => colour(), 120);
const queued = (ahead) => { if (ahead) say(`Waiting: ${ahead} before this one`); };

const colour = latest(async (signal) => {
  if (!picture || !knobs || !about) return;
  byId("colour-drop").setAttribute("aria-busy", "true");
  try {
    const done = await work("/api/colorize", asked(), queued, signal);
    await compare.put(picture.preview, done.picture, signal);
    byId("colour-view").hidden = false;
    tell(done);
    say(`${picture.name} is coloured`);
  } catch (error) {
    if (error.status === 410 && file) { again(); return; }
    throw error;
  } finally {
    if (!signal.aborted) byId("colour-drop").removeAttribute("aria-busy");
  }
});

// what was dropped in is put away when there is no more room
function again() {
  likes.length = 0;
  listLikes();
  drop.take(file);
}

function tell(done) {
  byId("classes").hidden = done.classes.length < 2;
  byId("class-list").replaceChildren(...done.classes.map(([name, odds]) => make("li", {},
    make("bdi", { text: name }), make("meter", { min: 0, max: 1, value: odds, "aria-label": name }), make("span", { class: "n", text: `${Math.round(100 * odds)} %` }))));
  byId("colour-notes").replaceChildren(...done.notes.map((note) => make("li", { text: note })));
}

function listLikes() {
  byId("likes").replaceChildren(...likes.map((like, place) => {
    const away = make("button", { type: "button", text: "Remove", "aria-label": `Remove ${like.name}` });
    away.addEventListener("click", () => { likes.splice(place, 1); listLikes(); colour(); });
    return make("li", {}, make("img", { src: like.preview, alt: "" }), make("bdi", { text: like.name }), away);
  }));
}

async function save() {
  if (!picture) return;
  const button = byId("colour-save");
  button.disabled = true;
  say("Colouring the whole picture …");
  try {
    const done = await work("/api/colorize/file", { ...asked(), kind: byId("colour-kind").value }, queued);
    make("a", { href: done.file, download: done.name }).click();
    say(`${done.name} is ready`);
  } catch (error) {
    complain(error.message);
  } finally {
    button.disabled = false;
  }
}

byId("colour-run").addEventListener("change", meet);
byId("colour-save").addEventListener("click", save);
byId("palette").addEventListener("input", () => { byId("word").value = ""; slowly(); });
byId("word").addEventListener("change", () => { byId("palette").value = ""; colour(); });
byId("colour-rack").addEventListener("submit", (event) => event.preventDefault());
const slowly = soon(() => colour(), 500);  // half a word is no colour
