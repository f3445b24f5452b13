// Colours at places of a picture: put there by a click, or by a cross that arrow keys move.
import { make } from "./common.js";

const STEP = 0.02;  // of the picture's width, that an arrow key moves the cross; a fifth of it with Shift

export class Hints {
  // `compare`: the picture; `list`: where they are listed; `colour`: the field of the next one's colour
  constructor(compare, list, colour, changed) {
    Object.assign(this, { compare, list, colour, changed, found: [], cross: [0.5, 0.5] });
    this.field = make("div", { class: "places", tabindex: "0", role: "application",
      "aria-label": "The picture: arrow keys move a cross, Enter puts a colour there", "aria-describedby": "hints-about" });
    this.mark = make("span", { class: "cross", "aria-hidden": "true" });
    this.heard = make("span", { class: "quiet", role: "status" });  // where the cross is, for those who don't see it
    compare.frame.append(this.field, this.heard);
    this.field.addEventListener("click", (event) => this.click(event));
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.show();
  }

  // another picture, of so many px
  begin(width, height) {
    Object.assign(this, { width, height, found: [], cross: [0.5, 0.5] });
    this.show();
  }

  // as `--hint` has them
  said() { return this.found.map(({ x, y, colour }) => `${x},${y},${colour}`); }

  put(x, y) {
    const [column, row] = this.pixel(x, y);
    this.found.push({ x: column, y: row, colour: this.colour.value });
    this.show();
    this.changed();
  }

  pixel(...shares) {
    const sides = [this.width, this.height];
    return shares.map((share, n) => Math.min(sides[n] - 1, Math.max(0, Math.floor(share * sides[n]))));
  }

  click(event) {
    const box = this.field.getBoundingClientRect();
    this.cross = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    this.put(...this.cross);
  }

  key(event) {
    const step = STEP / (event.shiftKey ? 5 : 1);
    const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (way) {
      this.cross = this.cross.map((share, n) => Math.min(0.999, Math.max(0, share + way[n])));
      this.heard.textContent = `${this.pixel(...this.cross).join(", ")} px`;
    }
    else if (event.key === "Enter" || event.key === " ") this.put(...this.cross);
    else if (event.key === "Backspace" || event.key === "Delete") this.remove(this.found.length - 1);
    else return;
    event.preventDefault();
    this.show();
  }

  remove(place) {
    if (place < 0) return;
    this.found.splice(place, 1);
    this.show();
    this.changed();
  }

  show() {
    this.mark.style.left = `${100 * this.cross[0]}%`;
    this.mark.style.top = `${100 * this.cross[1]}%`;
    const dots = this.found.map(({ x, y, colour }, n) => {
      const dot = make("span", { class: "dot", "aria-hidden": "true", text: n + 1 });
      Object.assign(dot.style, { left: `${(100 * (x + 0.5)) / this.width}%`, top: `${(100 * (y + 0.5)) / this.height}%`, background: colour });
      return dot;
    });
    this.field.replaceChildren(this.mark, ...dots);
    this.list.replaceChildren(...this.found.map((hint, n) => this.line(hint, n)));
  }

  line(hint, n) {
    const name = `hint ${n + 1}`;
    const colour = make("input", { type: "color", value: hint.colour, "aria-label": `${name}: colour` });
    colour.addEventListener("change", () => {
      hint.colour = colour.value;
      this.show();
      this.list.children[n].querySelector("input").focus();
      this.changed();
    });
    const away = make("button", { type: "button", text: "Remove", "aria-label": `Remove ${name}` });
    away.addEventListener("click", () => { this.remove(n); this.field.focus(); });
    return make("li", {}, make("span", { class: "n", text: `${n + 1}` }), colour, make("span", { class: "n", text: `at ${hint.x}, ${hint.y} px` }), away);
  }
}
