"use strict";
// Copies the statement beside a button; the button stays hidden where the browser cannot copy.
(() => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const text = button.parentElement.querySelector("[data-statement]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      const selection = getSelection(), range = document.createRange();
      range.selectNodeContents(text);
      selection.removeAllRanges();
      selection.addRange(range);
      let copied = false;
      try {
        await navigator.clipboard.writeText(text.textContent);
        copied = true;
      } catch {
        copied = document.execCommand("copy");  // pages from disk may have no clipboard
      }
      button.textContent = copied ? "Copied" : "Selected: press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2500);
    });
  }
})();
