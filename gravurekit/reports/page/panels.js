"use strict";
// A slider through the steps of a training: one of its panels at a time.
const PANELS = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function show(place) {
  const panel = PANELS[place];
  byId("panel-step").textContent = panel.said;
  byId("panel-slider").setAttribute("aria-valuetext", panel.said);
  byId("panel-fault").textContent = panel.fault || "";
  byId("panel-image").hidden = !panel.src;
  if (!panel.src) return;
  const image = byId("panel-image");
  image.src = panel.src;
  image.width = panel.width;
  image.height = panel.height;
  image.alt = `What the network made of the same pictures at ${panel.said}: a row for each, columns as headed`;
}

if (PANELS.length) {
  byId("panel-slider").addEventListener("input", () => show(Number(byId("panel-slider").value)));
  show(PANELS.length - 1);
}
