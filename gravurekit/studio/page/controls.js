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

// two thumbs on one track: from which value to which
function range(knob, changed) {
  const id = named(knob);
  const low = slider(knob, `${id}-low`, knob.default[0], `${knob.title}, from`);
  const high = slider(knob, `${id}-high`, knob.default[1], `${knob.title}, to`);
  const output = make("output", { class: "n" });
  const track = make("div", { class: "double" }, low, high);
  const tell = () => {
    const [a, b] = [Number(low.value), Number(high.value)];
    output.textContent = a === b ? shown(a) : `${shown(a)} – ${shown(b)}`;
    const share = (value) => (100 * (value - knob.low)) / (knob.high - knob.low);
    track.style.setProperty("--from", `${share(a)}%`);
    track.style.setProperty("--to", `${share(b)}%`);
    low.style.zIndex = share(a) > 50 ? 2 : 1;  // so that either can be taken where both lie on one another
  };
  low.addEventListener("input", () => { if (Number(low.value) > Number(high.value)) high.value = low.value; tell(); changed(); });
  high.addEventListener("input", () => { if (Number(high.value) < Number(low.value)) low.value = high.value; tell(); changed(); });
  tell();
  const head = make("div", { class: "head-of-knob" }, make("span", { text: knob.title }), output);
  return {
    element: row(knob, id, head, track),
    value: () => [Number(low.value), Number(high.value)],
    set: ([a, b]) => { low.value = a; high.value = b; tell(); },
  };
}

function single(knob, changed) {
  const id = named(knob);
  const input = slider(knob, id, knob.default, knob.title);
  input.removeAttribute("aria-label");
  const output = make("output", { class: "n", for: id });
  const tell = () => { output.textContent = shown(Number(input.value)); };
  input.addEventListener("input", () => { tell(); changed(); });
  tell();
  const head = make("div", { class: "head-of-knob" }, make("label", { for: id, text: knob.title }), output);
  return {
    element: row(knob, id, head, input),
    value: () => Number(input.value),
    set: (value) => { input.max = Math.max(Number(input.max), value); input.value = value; tell(); },
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
