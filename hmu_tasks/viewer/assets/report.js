"use strict";
// The report's motions are part of the page.
(() => {
  const store = document.getElementById("motions"), root = document.querySelector(".viewer");
  const groups = store ? JSON.parse(store.textContent) : [];
  if (root && groups.length) motionViewer(root, groups);
})();
