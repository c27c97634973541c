"use strict";
// Where the report covers several models: show one of them at a time, or all. Without script all are shown.
(() => {
  const buttons = [...document.querySelectorAll("[data-show]")];
  if (!buttons.length) return;
  document.querySelector(".tabs").hidden = false;
  const show = (model) => {
    for (const block of document.querySelectorAll("[data-model]")) block.hidden = model !== "" && block.dataset.model !== model;
    if (document.querySelector('.prompts button[hidden][aria-pressed="true"]')) document.querySelector(".prompts button:not([hidden])").click();
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.show === model));
  };
  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.show));
  window.addEventListener("beforeprint", () => show(""));
  show(buttons[0].dataset.show);
})();
