// One picture, opened: all that is known of it, and two of its layers (or it and its twin) with a slider between them.
let OPENED = -1;

function view(place) {
  const item = LIST[place];
  if (item === undefined) return;
  OPENED = place;
  byId("viewer-title").textContent = item.title || item.key;
  byId("before").disabled = place === 0;
  byId("after").disabled = place === LIST.length - 1;
  layers(item);
  byId("told").replaceChildren(...told(item));
  if (!byId("viewer").open) byId("viewer").showModal();
  slide(50);
}

// ---- the slider ----

const LARGER = 3;  // times as large as it is a small picture is shown at most
let PAIR = [];

function layers(item) {
  PAIR = (item.views && item.views.length ? item.views : item.shots || []).filter(([, thumb]) => DATA.thumbs[thumb].length > 1);
  const options = () => PAIR.map(([caption], n) => make("option", { value: n, text: caption || "picture" }));
  byId("left").replaceChildren(...options());
  byId("right").replaceChildren(...options());
  byId("left").value = 0;
  byId("right").value = Math.max(0, PAIR.length - 1);
  byId("compare").hidden = PAIR.length < 2;
  byId("pair").classList.toggle("single", PAIR.length < 2);
  pair(item);
}

function pair(item) {
  if (!PAIR.length) {
    const fault = (item.shots || []).map(([, thumb]) => DATA.thumbs[thumb][0])[0] || "no picture";
    byId("pair").replaceChildren(make("span", { class: "gone", text: fault }));
    return;
  }
  const shown = PAIR.length < 2 ? [0] : [Number(byId("left").value), Number(byId("right").value)];
  const sizes = shown.map((n) => DATA.thumbs[PAIR[n][1]]);
  const [, width, height] = sizes.reduce((one, other) => (other[1] > one[1] ? other : one));  // the frame of both
  const image = (n, kind) => {
    const [caption, thumb] = PAIR[n];
    const alt = `${caption || "picture"}: ${item.title || item.key}`;
    const made = make("img", { src: DATA.thumbs[thumb][0], class: kind, alt, draggable: "false" });
    made.style.width = `min(100%, ${LARGER * width}px, calc(70dvh * ${width / height}))`;
    made.style.aspectRatio = `${width} / ${height}`;
    return made;
  };
  const images = shown.map((n, place) => image(n, place ? "over" : "under"));
  byId("pair").replaceChildren(...images, ...(images.length > 1 ? [make("span", { class: "edge", "aria-hidden": "true" })] : []));
}

// from the left edge of the picture, in percent; the picture may be narrower than its frame
function slide(value) {
  byId("slider").value = value;
  byId("pair").style.setProperty("--at", `${value}%`);
  const [under, over, edge] = byId("pair").children;
  if (!edge) return;
  const frame = byId("pair").getBoundingClientRect(), box = over.getBoundingClientRect();
  edge.style.marginLeft = `${box.left - frame.left + (box.width * value) / 100 - 1}px`;
}

function drag(event) {
  if (PAIR.length < 2 || !(event.buttons & 1)) return;
  const box = byId("pair").querySelector(".over").getBoundingClientRect();
  slide(Math.round(Math.min(100, Math.max(0, (100 * (event.clientX - box.left)) / box.width))));
}

// ---- what is known ----

function told(item) {
  const group = GROUPS[item.group], parts = [];
  const verdict = group.dropped ? `Dropped: ${group.name}` : "";
  if (verdict) parts.push(make("p", { class: "why", text: verdict + (item.detail ? ` (${item.detail})` : "") }));
  if (item.twin) parts.push(twin(item));
  if (DATA.decides) {
    const line = JSON.stringify({ key: item.key, keep: group.dropped });
    parts.push(make("p", { class: "note", text: `To ${group.dropped ? "keep" : "drop"} it, a line for filter --decisions: ` },
      make("code", { class: "decide", text: line })));
    if (item.twin && group.name === "duplicate") {
      parts.push(make("p", { class: "note", text: "If it is another picture than that one: " },
        make("code", { class: "decide", text: JSON.stringify({ key: item.key, not_copy_of: item.twin }) })));
    }
  }
  const facts = [["key", item.key], ["size", measure(item)],
    ...DATA.facets.map(([name, words], n) => [name, item.facets[n].filter((word) => !words[word][2] || name === "licence")
      .map((word) => words[word][0]).join(", ")]),
    ...Object.entries(item.facts || {})];
  parts.push(list(facts.filter(([, text]) => text)));
  const figures = (item.figures || []).map((value, n) => [DATA.figures[n].replaceAll("_", " "), value, DATA.cuts[DATA.figures[n]]])
    .filter(([, value]) => value !== null);
  if (figures.length) parts.push(make("h3", { text: "Figures" }), list(figures.map(([name, value, cut]) => [name, String(value) + (cut ? ` · ${cut}` : "")])));
  return parts;
}

function twin(item) {
  const line = make("p", { text: "Kept instead: " });
  const place = PLACES.get(item.twin);
  if (place === undefined) line.append(make("code", { text: item.twin }));
  else {
    const jump = make("button", { type: "button", text: item.twin });
    jump.addEventListener("click", () => { Object.assign(STATE, { group: "", search: item.twin, facets: {}, page: 1 }); byId("search").value = item.twin;
      CHOICES.forEach((select) => { select.value = ""; }); STATE.sort = ""; byId("viewer").close(); show(true); });
    line.append(jump);
  }
  return line;
}

function list(facts) {
  return make("dl", {}, ...facts.flatMap(([name, text]) => [make("dt", { text: name }), make("dd", {}, linked(text))]));
}

function linked(text) {
  if (!/^https?:\/\/[^\s"<>\\/?#][^\s"<>\\]*$/i.test(text)) return make("bdi", { text });
  return make("a", { href: text, rel: "noopener noreferrer", text });
}

function viewer() {
  byId("close").addEventListener("click", () => byId("viewer").close());
  byId("before").addEventListener("click", () => view(OPENED - 1));
  byId("after").addEventListener("click", () => view(OPENED + 1));
  byId("slider").addEventListener("input", () => slide(Number(byId("slider").value)));
  for (const id of ["left", "right"]) byId(id).addEventListener("change", () => { pair(LIST[OPENED]); slide(Number(byId("slider").value)); });
  byId("pair").addEventListener("pointerdown", drag);
  byId("pair").addEventListener("pointermove", drag);
  byId("viewer").addEventListener("keydown", (event) => {
    if (event.target.closest("input, select")) return;
    if (event.key === "ArrowLeft") view(OPENED - 1);
    if (event.key === "ArrowRight") view(OPENED + 1);
  });
  byId("viewer").addEventListener("close", back);
  addEventListener("resize", () => { if (byId("viewer").open) slide(Number(byId("slider").value)); });
}

// to the tile of the picture that was looked at last, on whichever page that is
function back() {
  const page = Math.floor(OPENED / PER_PAGE) + 1;
  if (page !== STATE.page) { STATE.page = page; show(); }
  const open = document.querySelectorAll(".open")[OPENED % PER_PAGE];
  if (open) { document.querySelectorAll(".open").forEach((other) => { other.tabIndex = -1; }); open.tabIndex = 0; open.focus(); }
}

viewer();
recall();
show();
