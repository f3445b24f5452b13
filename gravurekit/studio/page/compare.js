// Two pictures of one size with a line between them that a slider moves.
import { make } from "./common.js";

export class Compare {
  // `field`: an empty element; `name`: what is seen, for those who don't see it
  constructor(field, name) {
    this.name = name;
    this.under = make("img", { class: "under", alt: "", draggable: "false" });
    this.over = make("img", { class: "over", alt: "", draggable: "false" });
    this.edge = make("span", { class: "edge", "aria-hidden": "true" });
    this.frame = make("div", { class: "pair" }, this.under, this.over, this.edge);
    this.slider = make("input", { type: "range", min: "0", max: "100", value: "50", "aria-label": `${name}: before and after` });
    this.left = make("span", { class: "n" });
    this.right = make("span", { class: "n" });
    this.control = make("div", { class: "slide" }, this.left, this.slider, this.right);
    this.window = make("div", { class: "window" }, this.frame);  // what is larger than the screen is scrolled in it
    field.replaceChildren(this.window, this.control);
    for (const type of ["pointerdown", "pointermove"]) this.frame.addEventListener(type, (event) => this.drag(event));
    this.slider.addEventListener("input", () => this.slide());
    this.shape(1, 1);
    this.slide();
  }

  slide() {
    const value = Number(this.slider.value);
    this.frame.style.setProperty("--at", `${value}%`);
    this.slider.setAttribute("aria-valuetext", `${this.left.textContent} up to ${value} %, then ${this.right.textContent}`);
  }

  // the line follows a finger or a pressed mouse; where a click means something else there is a field above
  drag(event) {
    if (!(event.buttons & 1) || event.target.closest(".places")) return;
    if (event.pointerType === "touch" && this.window.hasAttribute("tabindex")) return;  // the finger scrolls
    if (event.type === "pointerdown") this.frame.setPointerCapture(event.pointerId);
    const box = this.frame.getBoundingClientRect();
    this.slider.value = (100 * (event.clientX - box.left)) / box.width;
    this.slide();
  }

  // one px of the pictures is one of the screen, and what doesn't fit is scrolled, by keys as well; or all of it is seen
  enlarge(large) {
    this.window.parentElement.classList.toggle("large", large);
    if (large) for (const [key, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", `${this.name}, at 1:1`]]) this.window.setAttribute(key, value);
    else for (const key of ["tabindex", "role", "aria-label"]) this.window.removeAttribute(key);
  }

  // of the pictures, px
  shape(width, height) {
    this.width = width;
    this.height = height;
    this.frame.style.aspectRatio = `${width} / ${height}`;
    this.frame.style.setProperty("--shape", width / height);
  }

  captions(left, right) {
    this.left.textContent = left;
    this.right.textContent = right;
    this.under.alt = `${this.name}: ${left}`;
    this.over.alt = `${this.name}: ${right}`;
    this.slide();
  }

  // Both at once, when both are there, so that nothing flickers
  async put(under, over, signal) {
    await Promise.all([loaded(under), loaded(over)]);
    if (signal?.aborted) return;
    if (this.under.getAttribute("src") !== under) this.under.src = under;
    if (this.over.getAttribute("src") !== over) this.over.src = over;
  }
}

async function loaded(address) {
  const image = new Image();
  image.src = address;
  try { await image.decode(); } catch { throw new Error("a picture didn't arrive: try again"); }
}
