// Stylize: a picture is drawn, again whenever a slider moves.
import { ask, byId, complain, latest, make, say, soon, work } from "./common.js";
import { Compare } from "./compare.js";
import { controls } from "./controls.js";
import { dropped } from "./drop.js";

let STYLES = null;
let picture = null, file = null, knobs = null, layers = null, drop = null, compare = null;

export async function show() {
  if (!compare) wire();
  if (STYLES) return;
  const told = await ask("/api/styles");
  if (STYLES) return;  // the tab was shown twice meanwhile
  STYLES = told.styles;
  byId("draw-style").replaceChildren(...STYLES.map((style) =>
    make("option", { value: style.name, text: style.name, disabled: Boolean(style.not_here) })));
  byId("draw-away").textContent = STYLES.map((style) => style.not_here).filter(Boolean).join(" ");
  byId("draw-style").value = told.chosen;
  choose();
}

function wire() {
  compare = new Compare(byId("draw-compare"), "drawing");
  drop = dropped(byId("draw-drop"), "Drop a photograph here, or choose one", (found, from) => {
    picture = found;
    file = from;
    drop.rename("Another photograph");
    draw();
  }, byId("draw-drop").parentElement);
}

export function hide() {}

const style = () => STYLES.find((one) => one.name === byId("draw-style").value);

function choose(preset = "") {
  const chosen = style();
  byId("draw-about").textContent = chosen.help;
  byId("draw-preset").replaceChildren(make("option", { value: "", text: "none" }),
    ...Object.keys(chosen.presets).map((name) => make("option", { value: name, text: name })));
  byId("draw-preset").value = preset;
  knobs = controls(byId("draw-knobs"), chosen.knobs, () => {
    byId("draw-preset").value = "";  // it isn't what the preset says any more
    moved();
  });
  settle();
}

// the knobs as the preset has them, or as they are by default
function settle() {
  const chosen = style(), preset = chosen.presets[byId("draw-preset").value];
  knobs.set(preset || Object.fromEntries(chosen.knobs.map((knob) => [knob.name, knob.default])));
  draw();
}

const moved = soon(() => draw(), 30);

const draw = latest(async (signal) => {
  if (!picture || !knobs) return;
  const asked = { upload: picture.id, style: style().name, knobs: knobs.values(), seed: Math.trunc(Number(byId("draw-seed").value)) || 0 };
  byId("draw-drop").setAttribute("aria-busy", "true");
  try {
    const done = await work("/api/stylize", asked, queued, signal);
    layers = done.layers;
    compare.shape(done.width, done.height);
    await put(signal);
    byId("draw-view").hidden = false;
    say(`${picture.name}, drawn at ${done.width} × ${done.height} px`);
  } catch (error) {
    if (error.status === 410 && file) { drop.take(file); return; }  // it was put away: once more, then
    throw error;
  } finally {
    if (!signal.aborted) byId("draw-drop").removeAttribute("aria-busy");
  }
});

const queued = (ahead) => { if (ahead) say(`Waiting: ${ahead} before this one`); };

async function put(signal) {
  if (!layers) return;
  const [left, right] = [byId("draw-left").value, byId("draw-right").value];
  compare.captions(left, right);
  await compare.put(layers[left], layers[right], signal);
}

async function save(event) {
  event.preventDefault();
  const name = byId("draw-name").value.trim();
  const asked = { name, style: style().name, knobs: knobs.values() };
  try {
    let kept;
    try {
      kept = await ask("/api/presets", asked);
    } catch (error) {
      if (error.status !== 409 || !confirm(`Replace the preset ${name}?`)) throw error;
      kept = await ask("/api/presets", { ...asked, replace: true });
    }
    style().presets[name] = asked.knobs;
    choose(name);
    byId("draw-command").textContent = kept.command;
    byId("draw-kept").hidden = false;
    say(`Saved: ${kept.path}`);
  } catch (error) {
    complain(error.message);
  }
}

byId("draw-style").addEventListener("change", () => choose());
byId("draw-preset").addEventListener("change", settle);
byId("draw-seed").addEventListener("input", moved);
byId("draw-again").addEventListener("click", () => { byId("draw-seed").value = Number(byId("draw-seed").value) + 1; draw(); });
byId("draw-rack").addEventListener("submit", save);
for (const id of ["draw-left", "draw-right"]) byId(id).addEventListener("change", () => put().catch((error) => complain(error.message)));
byId("draw-large").addEventListener("click", () => {
  const large = byId("draw-large").textContent === "At 1:1";
  compare.enlarge(large);
  byId("draw-large").textContent = large ? "To fit" : "At 1:1";
});
