// Colorize: a print in colour, again whenever somebody says something else of it.
import { ask, byId, complain, latest, make, say, soon, upload, work } from "./common.js";
import { Compare } from "./compare.js";
import { controls } from "./controls.js";
import { dropped } from "./drop.js";
import { Hints } from "./hints.js";

let picture = null, file = null, knobs = null, drop = null, compare = null, hints = null, about = null;
let seen = "";  // the id of the picture that is shown
const likes = [];

export async function show() {
  if (!compare) wire();
  const told = await ask("/api/colorize");
  if (!knobs) {
    byId("colour-kind").replaceChildren(...told.kinds.map((kind) => make("option", { value: kind, text: kind })));
    knobs = controls(byId("colour-knobs"), told.knobs, moved);
  }
  offer(told.runs);
  if (told.runs.length && !about) await meet();
}

// the runs that there are now: one may have been trained meanwhile
function offer(runs) {
  const field = byId("colour-run"), chosen = field.value;
  byId("no-runs").hidden = runs.length > 0;
  field.disabled = !runs.length;
  if ([...field.options].map((one) => one.value).join("\n") === runs.join("\n")) return;
  field.replaceChildren(...runs.map((name) => make("option", { value: name, text: name })));
  if (runs.includes(chosen)) field.value = chosen;
  else about = null;
}

function wire() {
  compare = new Compare(byId("colour-compare"), "print");
  compare.captions("as it was", "coloured");
  compare.slider.value = 0;
  compare.slide();
  hints = new Hints(compare, byId("hints"), byId("hint-colour"), () => colour());
  drop = dropped(byId("colour-drop"), "Drop an engraving here, or choose one", (found, from) => {
    picture = found;
    file = from;
    drop.rename("Another engraving");
    colour();
  }, byId("colour-drop").parentElement);
  dropped(byId("like-drop"), "Choose a picture", (found, from) => { likes.push({ ...found, file: from }); listLikes(); colour(); });
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
    if (seen !== picture.id) await begin(signal);
    const done = await work("/api/colorize", asked(), queued, signal);
    await compare.put(picture.preview, done.picture, signal);
    tell(done);
    say(`${picture.name} is coloured`);
  } catch (error) {
    if (error.status === 410) return again().then(colour);
    throw error;
  } finally {
    if (!signal.aborted) byId("colour-drop").removeAttribute("aria-busy");
  }
});

// Another picture: it is seen as it is until its colours are there, so that a click on it is a click on it
async function begin(signal) {
  const { id, preview, width, height } = picture;
  await compare.put(preview, preview, signal);
  if (signal.aborted) throw new DOMException("", "AbortError");
  seen = id;
  compare.shape(width, height);
  hints.begin(width, height);
  tell({ classes: [], notes: [] });
  byId("colour-view").hidden = false;
}

// What was dropped in is put away when there is no more room, and with a studio that ends; hints stay
async function again() {
  for (const like of likes) Object.assign(like, await upload(like.file));
  Object.assign(picture, await upload(file));
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
    away.addEventListener("click", () => {
      likes.splice(place, 1);
      listLikes();
      byId("like-drop").querySelector("input").focus();
      colour();
    });
    return make("li", {}, make("img", { src: like.preview, alt: "" }), make("bdi", { text: like.name }), away);
  }));
}

async function save() {
  if (!picture) return;
  const button = byId("colour-save");
  button.disabled = true;
  say("Colouring the whole picture …");
  try {
    const write = () => work("/api/colorize/file", { ...asked(), kind: byId("colour-kind").value }, queued);
    const done = await write().catch((error) => (error.status === 410 ? again().then(write) : Promise.reject(error)));
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
