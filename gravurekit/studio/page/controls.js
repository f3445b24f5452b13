// Controls for Settings, made from what the server says of each knob: a slider, two, a box, a list.
import { make } from "./common.js";

const shown = (value) => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4))));

// The controls of `knobs` in `field`; `changed()` whenever one moves. Returns { values(), set(values) }.
export function controls(field, knobs, changed) {
  const made = knobs.map((knob) => [knob.name, KINDS[knob.kind](knob, changed)]);
  field.replaceChildren(...made.map(([, control]) => control.element));
  return {
    values: () => Object.fromEntries(made.map(([name, control]) => [name, control.value()])),
    set: (values) => made.forEach(([name, control]) => { if (name in values) control.set(values[name]); }),
  };
}

function row(knob, id, ...children) {
  const about = make("p", { class: "note", id: `${id}-about`, text: knob.help });
  return make("div", { class: "knob" }, ...children, about);
}

let count = 0;
const named = (knob) => `knob-${knob.name}-${++count}`;

function slider(knob, id, value, name) {
  return make("input", { type: "range", id, min: knob.low, max: Math.max(knob.high, value), step: knob.step, value,
    "aria-label": name, "aria-describedby": `${id.replace(/-(low|high)$/, "")}-about` });
}

// A slider stands at the nearest of its steps; what it was set to stays as it is until somebody moves it.
function held(input, value) {
  input.value = value;
  input.exact = value;
}

const exact = (input) => input.exact ?? Number(input.value);

// two thumbs on one track: from which value to which
function range(knob, changed) {
  const id = named(knob);
  const low = slider(knob, `${id}-low`, knob.default[0], `${knob.title}, from`);
  const high = slider(knob, `${id}-high`, knob.default[1], `${knob.title}, to`);
  const output = make("output", { class: "n" });
  const track = make("div", { class: "double" }, low, high);
  const tell = () => {
    const [a, b] = [exact(low), exact(high)];
    output.textContent = a === b ? shown(a) : `${shown(a)} – ${shown(b)}`;
    const share = (value) => (100 * (value - knob.low)) / (knob.high - knob.low);
    track.style.setProperty("--from", `${share(a)}%`);
    track.style.setProperty("--to", `${share(b)}%`);
    low.style.zIndex = share(a) > 50 ? 2 : 1;  // so that either can be taken where both lie on one another
  };
  const move = (moved, other) => {
    held(moved, Number(moved.value));
    if (exact(low) > exact(high)) held(other, exact(moved));
    tell();
    changed();
  };
  low.addEventListener("input", () => move(low, high));
  high.addEventListener("input", () => move(high, low));
  const set = ([a, b]) => { held(low, a); held(high, b); tell(); };
  set(knob.default);
  const head = make("div", { class: "head-of-knob" }, make("span", { text: knob.title }), output);
  return {
    element: row(knob, id, head, track),
    value: () => [exact(low), exact(high)],
    set,
  };
}

function single(knob, changed) {
  const id = named(knob);
  const input = slider(knob, id, knob.default, knob.title);
  input.removeAttribute("aria-label");
  const output = make("output", { class: "n", for: id });
  const tell = () => { output.textContent = shown(exact(input)); };
  input.addEventListener("input", () => { held(input, Number(input.value)); tell(); changed(); });
  held(input, knob.default);
  tell();
  const head = make("div", { class: "head-of-knob" }, make("label", { for: id, text: knob.title }), output);
  return {
    element: row(knob, id, head, input),
    value: () => exact(input),
    set: (value) => { input.max = Math.max(Number(input.max), value); held(input, value); tell(); },
  };
}

function flag(knob, changed) {
  const id = named(knob);
  const input = make("input", { type: "checkbox", id, "aria-describedby": `${id}-about` });
  input.checked = knob.default;
  input.addEventListener("change", changed);
  const label = make("label", { class: "check" }, input, make("span", { text: knob.title }));
  return { element: row(knob, id, label), value: () => input.checked, set: (value) => { input.checked = value; } };
}

function choice(knob, changed) {
  const id = named(knob);
  const input = make("select", { id, "aria-describedby": `${id}-about` },
    ...knob.choices.map((word) => make("option", { value: word, text: word })));
  input.value = knob.default;
  input.addEventListener("change", changed);
  const head = make("div", { class: "head-of-knob" }, make("label", { for: id, text: knob.title }), input);
  return { element: row(knob, id, head), value: () => input.value, set: (value) => { input.value = value; } };
}

function text(knob, changed) {
  const id = named(knob);
  const input = make("input", { type: "text", id, "aria-describedby": `${id}-about`, value: knob.default || "" });
  input.addEventListener("input", changed);
  const head = make("div", { class: "head-of-knob" }, make("label", { for: id, text: knob.title }), input);
  return { element: row(knob, id, head), value: () => input.value, set: (value) => { input.value = value; } };
}

const KINDS = { range, number: single, whole: single, flag, choice, text };
