// One picture, opened: large, a copy beside the one that is kept instead, with all that is known of it.
import { ask, byId, complain, latest, make } from "./common.js";
import { Compare } from "./compare.js";
import { buttonsOf, choice, decided, nameOf, verdict } from "./review-card.js";

let DO = null;  // what the list does for us

export function wire(actions) {
  DO = actions;
  byId("review-close").addEventListener("click", () => byId("review-viewer").close());
  byId("review-before").addEventListener("click", () => DO.step(-1));
  byId("review-after").addEventListener("click", () => DO.step(1));
  byId("review-viewer").addEventListener("close", () => DO.closed());
}

export async function open(told) {
  byId("review-title").textContent = nameOf(told);
  tell(told);
  byId("review-facts").replaceChildren();
  byId("review-look").replaceChildren(single(told));
  if (!byId("review-viewer").open) byId("review-viewer").showModal();
  else byId("review-title").focus();
  await fill(told.key);
}

function tell(told) {
  const why = [told.detail, told.doubt].filter(Boolean).join("; ");
  const [kind, said] = choice(told);
  byId("review-said").replaceChildren(make("span", { class: `state ${told.dropped ? "out" : "in"}`, text: verdict(told) }),
    ...(why ? [` (${why})`] : []));
  const mark = decided(told) ? [make("div", { class: `mark is-${kind}` }, make("span", { text: `decided: ${said.slice(2)}` }), undo())] : [];
  byId("review-buttons").replaceChildren(...mark, buttonsOf(told, DO.decide));
}

function undo() {
  const button = make("button", { type: "button", text: "Undo" });
  button.addEventListener("click", () => DO.decide("undo"));
  return button;
}

const fill = latest(async (signal, key) => {
  const { card, twin, facts, figures } = await ask(`/api/review/facts/${encodeURIComponent(key)}`, undefined, signal);
  byId("review-facts").replaceChildren(list(facts),
    ...(figures.length ? [make("h3", { text: "Figures" }), list(figures.map(([name, value, about]) => [name, about ? `${value} · ${about}` : value]))] : []));
  if (twin && twin.picture && card.picture) await beside(card, twin, signal);
});

function single(told) {
  if (!told.picture) return make("p", { class: "gone", text: "Not shown: it doesn't lie in a folder that the settings name." });
  const image = make("img", { class: "alone", src: `${told.picture}/large`, alt: nameOf(told), width: told.size[0] || null, height: told.size[1] || null });
  image.addEventListener("error", () => ask(`${told.picture}/large`).catch((error) => {
    image.replaceWith(make("p", { class: "gone", text: error.message }));
    complain(error.message);
  }));
  return image;
}

async function beside(card, twin, signal) {
  const field = make("div"), compare = new Compare(field, nameOf(card));
  compare.shape(twin.size[0] || 1, twin.size[1] || 1);
  compare.captions(measured("kept", twin), measured("copy", card));
  await compare.put(`${twin.picture}/large`, `${card.picture}/large`, signal);
  if (signal.aborted) return;
  compare.slider.dataset.compare = "yes";
  byId("review-look").replaceChildren(field);
}

const measured = (name, told) => (told.size[0] ? `${name}, ${told.size[0]} × ${told.size[1]}` : name);

function list(facts) {
  return make("dl", {}, ...facts.flatMap(([name, text]) => [make("dt", { text: name }), make("dd", {}, linked(text))]));
}

function linked(text) {
  if (!/^https?:\/\/[^\s"<>\\/?#][^\s"<>\\]*$/i.test(text)) return make("bdi", { text });
  return make("a", { href: text, rel: "noopener noreferrer", target: "_blank", text });
}
