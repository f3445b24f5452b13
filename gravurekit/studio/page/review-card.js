// A picture to be judged, as it stands among others.
import { ask, make } from "./common.js";

const CHOICES = [["keep", "Keep", "K"], ["drop", "Drop", "D"], ["apart", "No copy", "N"]];

export const words = (reason) => reason.replaceAll("-", " ") || "dropped";
export const nameOf = (told) => told.title || told.label || told.key;
export const decided = (told) => told.keep !== null || told.apart.length > 0;

// what became of it in the last run
export function verdict(told) {
  if (!told.dropped) return told.twin ? "kept by hand" : "kept";
  return told.reason === "duplicate" ? "dropped: a copy" : `dropped: ${words(told.reason)}`;
}

// what people have decided: a word, and the colour that goes with it
export function choice(told) {
  if (told.keep === true) return ["keep", "✓ keep"];
  if (told.keep === false) return ["drop", "✕ drop"];
  return told.apart.length ? ["apart", "≠ no copy"] : ["", ""];
}

export function drawn(told, leads, { open, decide }) {
  const [kind, said] = choice(told);
  const label = [nameOf(told), verdict(told), told.doubt, said ? `decided: ${said.slice(2)}` : "not decided"].filter(Boolean).join(", ");
  const why = told.doubt || told.detail;
  return make("div", { class: `card ${told.dropped ? "out" : "in"}${leads ? " leads" : ""}${kind ? ` is-${kind}` : ""}`, role: "group",
    tabindex: "-1", "aria-label": label, "data-key": told.key },
    look(told, open, said && make("span", { class: "stamp", text: said })),
    make("p", { class: "state", text: verdict(told) }),
    make("p", { class: "title", text: nameOf(told), title: nameOf(told) }),
    ...(why ? [make("p", { class: "note why-doubt", text: why, title: why })] : []),
    said ? made(said, told, decide) : buttonsOf(told, decide));
}

function look(told, open, stamp) {
  const button = make("button", { type: "button", class: "look", tabindex: "-1", "aria-label": `Open ${nameOf(told)}` });
  button.addEventListener("click", open);
  button.append(told.picture ? picture(told) : make("span", { class: "gone", text: "not shown: it lies elsewhere" }), ...(stamp ? [stamp] : []));
  return button;
}

function picture(told) {
  const [width, height] = told.size;
  const image = make("img", { src: `${told.picture}/small`, alt: "", loading: "lazy", decoding: "async", draggable: "false",
    width: width || null, height: height || null });
  image.addEventListener("error", async () => {
    let said = "not shown";
    try { await ask(`${told.picture}/small`); } catch (error) { said = error.message; }
    image.replaceWith(make("span", { class: "gone", text: said }));
  });
  return image;
}

function made(said, told, decide) {
  const undo = make("button", { type: "button", text: "Undo", "aria-keyshortcuts": "U" });
  undo.addEventListener("click", () => decide("undo"));
  return make("div", { class: "mark" }, make("span", { text: said.slice(2) }), undo);
}

export function buttonsOf(told, decide) {
  const able = CHOICES.filter(([what]) => told.decidable && (what !== "apart" || told.copy));
  return make("div", { class: "choices" }, ...able.map(([what, name, key]) => {
    const button = make("button", { type: "button", "aria-keyshortcuts": key, class: `to-${what}` }, name);
    button.addEventListener("click", () => decide(what));
    return button;
  }));
}
