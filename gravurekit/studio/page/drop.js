// A place where a picture is dropped, or chosen by a button.
import { complain, make, say, upload } from "./common.js";

// `taken(picture, file)` gets what the server says of it: id, name, width, height, preview. It may be dropped anywhere in
// `area`: people drop the next one onto the picture that they see.
export function dropped(place, words, taken, area = place) {
  const input = make("input", { type: "file", accept: "image/*,.jp2,.avif,.tif,.tiff", class: "quiet", "aria-label": words });
  const label = make("label", { class: "choose" }, input, make("span", { text: words }));
  place.classList.add("drop");
  place.append(label);
  let arriving = 0;
  const take = async (file) => {
    if (!file) return;
    const mine = ++arriving;
    place.setAttribute("aria-busy", "true");
    say(`${file.name} …`);
    try {
      const picture = await upload(file);
      if (mine === arriving) { say(`${picture.name}: ${picture.width} × ${picture.height} px`); taken(picture, file); }
    } catch (error) {
      if (mine === arriving) { say(""); complain(`${file.name}: ${error.message}`); }
    } finally {
      if (mine === arriving) place.removeAttribute("aria-busy");
      input.value = "";  // the same file may be chosen again
    }
  };
  input.addEventListener("change", () => take(input.files[0]));
  area.addEventListener("dragover", (event) => { event.preventDefault(); place.classList.add("over-it"); });
  area.addEventListener("dragleave", () => place.classList.remove("over-it"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over-it");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
    else complain("What was dropped is no file: save the picture first, then drop its file here.");
  });
  return { take, rename: (text) => { label.lastChild.textContent = text; input.setAttribute("aria-label", text); } };
}

// whatever is dropped beside such a place doesn't make the browser leave the page
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => event.preventDefault());
