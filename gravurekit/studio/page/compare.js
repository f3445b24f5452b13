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
    field.replaceChildren(this.frame, this.control);
    this.slider.addEventListener("input", () => this.slide());
    this.shape(1, 1);
    this.slide();
  }

  slide() {
    const value = Number(this.slider.value);
    this.frame.style.setProperty("--at", `${value}%`);
    this.slider.setAttribute("aria-valuetext", `${this.left.textContent} up to ${value} %, then ${this.right.textContent}`);
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
