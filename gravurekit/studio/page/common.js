// What the tabs have in common. Words from elsewhere become text here, never HTML.
export const byId = (id) => document.getElementById(id);

export function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") element.className = value;
    else if (key === "text") element.textContent = value;
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export const number = (value) => value.toLocaleString("en");

// ---- what is said ----

export function say(text) {
  byId("said").textContent = text;
  byId("complaint").hidden = true;
}

export function complain(text) {
  byId("said").textContent = "";
  byId("complaint").textContent = text;
  byId("complaint").hidden = false;
}

// ---- asking the server ----

const MARK = { "X-Gravurekit": "studio" };
const AWAY = "the studio doesn't answer: is `gravurekit studio` still running?";

async function reached(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(AWAY);
  }
}

async function failed(response) {
  let said = `the studio answered ${response.status}`;
  try { said = (await response.json()).error || said; } catch { /* no JSON: the status has to do */ }
  const error = new Error(said);
  error.status = response.status;
  return error;
}

// JSON of a GET, or of a POST if there is something to send
export async function ask(path, body, signal) {
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body),
    headers: { ...MARK, "Content-Type": "application/json" } };
  const response = await reached(path, { ...sent, signal });
  if (!response.ok) throw await failed(response);
  return response.json();
}

// what comes of work that may have to wait; `ahead` hears how many are before it
export async function work(path, body, ahead, signal) {
  const response = await reached(path, { method: "POST", body: JSON.stringify(body), signal,
    headers: { ...MARK, "Content-Type": "application/json" } });
  if (!response.ok) throw await failed(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let piece;
    try { piece = await reader.read(); } catch (error) { throw error.name === "AbortError" ? error : new Error(AWAY); }
    rest += piece.value || "";
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const told = JSON.parse(line);
      if (told.done) return told.done;
      if (told.error) throw Object.assign(new Error(told.error), { status: told.status });
      ahead(told.ahead);
    }
    if (piece.done) throw new Error(AWAY);
  }
}

// a file's bytes; what the server makes of them
export async function upload(file) {
  const most = Number(document.body.dataset.upload);
  try { await file.slice(0, 1).arrayBuffer(); } catch { throw new Error("it can't be read: folders aren't taken, only pictures"); }
  if (file.size > most * 1e6) throw new Error(`${file.name} has ${Math.ceil(file.size / 1e6)} MB: at most ${most} MB are taken here`);
  const response = await reached("/api/uploads", { method: "POST", body: file,
    headers: { ...MARK, "Content-Type": "application/octet-stream", "X-Name": encodeURIComponent(file.name) } });
  if (!response.ok) throw await failed(response);
  return response.json();
}

// ---- one thing after the other ----

// Of calls that come while one is under way only the last is done: a slider says a hundred things, and the last counts.
// `job(...)` is given a signal that tells when what it does isn't wanted any more.
export function latest(job) {
  let running = null;
  return async (...words) => {
    if (running) running.abort();
    const mine = running = new AbortController();
    try {
      return await job(mine.signal, ...words);
    } catch (error) {
      if (error.name !== "AbortError") complain(error.message);
      return undefined;
    } finally {
      if (running === mine) running = null;
    }
  };
}

export function soon(job, delay) {
  let timer = 0;
  return (...words) => { clearTimeout(timer); timer = setTimeout(() => job(...words), delay); };
}

// ---- keys of the tab that is shown ----

let heard = null;

// Calls `handler(event)` for keys that no field wants for itself; null: nobody listens
export function keys(handler) { heard = handler; }

addEventListener("keydown", (event) => {
  const slider = event.target.type === "range" && event.key.length === 1;  // it wants no letters
  const own = !slider && event.target.closest?.("input, select, textarea, [contenteditable], dialog [data-keys]");
  if (heard && !own && !event.ctrlKey && !event.metaKey && !event.altKey) heard(event);
});
