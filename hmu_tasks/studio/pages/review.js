"use strict";
// The review: shows blind pairs one after another and sends what the reviewer answers.
(() => {
  const [settings] = JSON.parse(document.getElementById("settings").textContent);
  const form = document.querySelector("[data-form]"), status = document.querySelector("[data-status]");
  const root = document.querySelector(".viewer"), prompt = document.querySelector("[data-prompt]");
  const reviewer = document.querySelector("[data-reviewer]"), count = document.querySelector("[data-count]");
  const progress = document.querySelector("[data-progress]");
  const KEYS = {
    1: ["violent0", "yes"], 2: ["violent0", "no"], 3: ["violent1", "yes"], 4: ["violent1", "no"],
    q: ["follows0", "yes"], w: ["follows0", "no"], e: ["follows1", "yes"], r: ["follows1", "no"],
    a: ["better", "left"], s: ["better", "same"], b: ["better", "right"],
  };
  let viewer = null, shown = null, answered = new Set(), skipped = new Set(), ahead = new Map(), saving = false;

  const say = (text, bad = false) => { status.textContent = text; status.classList.toggle("bad", bad); };

  async function ask(address, body) {
    const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    let answer;
    try { answer = await fetch(address, options); } catch { throw new Error("The server does not answer; is it still running?"); }
    const found = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(found.error || `The server answered ${answer.status}.`);
    return found;
  }

  // The next pair is asked for while this one is judged.
  function load(number) {
    if (!ahead.has(number)) {
      const asked = ask(`api/review/${number}`);
      asked.catch(() => ahead.delete(number));
      ahead.set(number, asked);
    }
    return ahead.get(number);
  }

  const open = () => Array.from({ length: settings.pairs }, (_, i) => i + 1).filter((n) => !answered.has(n));
  function next() {
    const left = open();
    return left.find((n) => !skipped.has(n)) ?? left[0] ?? null;
  }

  function tell() {
    count.textContent = `${answered.size} of ${settings.pairs} pairs judged`;
    progress.max = settings.pairs;
    progress.value = answered.size;
  }

  async function show() {
    tell();
    const number = next();
    if (number === null) {
      form.hidden = true;
      root.hidden = true;
      prompt.textContent = "All pairs are judged. Thank you.";
      document.body.dataset.shown = "done";
      say("Run `make repro`: report and model card then hold what was answered.");
      return;
    }
    say("Generating…");
    try {
      const found = await load(number);
      shown = number;
      prompt.textContent = found.prompt;
      root.hidden = false;
      if (viewer) viewer.show(found); else viewer = motionViewer(root, [found]);
      form.reset();
      form.hidden = false;
      document.body.dataset.shown = String(number);
      say("");
      const later = open().find((n) => n !== number && !skipped.has(n));
      if (later) load(later).catch(() => {});
    } catch (error) { say(error.message, true); }
  }

  async function save() {
    if (saving || form.hidden) return;
    if (!reviewer.value.trim()) { say("Write your name first; it stands beside your answers.", true); reviewer.focus(); return; }
    if (!form.reportValidity()) return;
    const yes = (name) => [0, 1].map((side) => form.elements[`${name}${side}`].value === "yes");
    saving = true;
    try {
      const found = await ask("api/review", {
        pair: shown, reviewer: reviewer.value.trim(), violent: yes("violent"), follows: yes("follows"),
        better: form.elements.better.value, comment: form.elements.comment.value,
      });
      answered = new Set(found.answered);
      skipped.delete(shown);
      await show();
    } catch (error) { say(error.message, true); } finally { saving = false; }
  }

  async function start() {
    tell();
    if (reviewer.value.trim()) {
      try { answered = new Set((await ask("api/review/answered", { reviewer: reviewer.value.trim() })).answered); }
      catch (error) { say(error.message, true); return; }
    }
    skipped.clear();
    await show();
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); save(); });
  form.querySelector("[data-skip]").addEventListener("click", () => { skipped.add(shown); show(); });
  reviewer.addEventListener("change", () => {
    try { localStorage.setItem("reviewer", reviewer.value.trim()); } catch { /* no storage: typed again next time */ }
    start();
  });
  addEventListener("keydown", (event) => {
    if (form.hidden || event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input[type="text"], textarea, select')) return;
    if (event.key === "Enter" && !event.target.matches("button, a")) { event.preventDefault(); save(); return; }
    const chosen = KEYS[event.key.toLowerCase()];
    if (!chosen) return;
    for (const one of form.elements[chosen[0]]) one.checked = one.value === chosen[1];
    event.preventDefault();
  });

  let before = null;
  try { before = localStorage.getItem("reviewer"); } catch { /* no storage */ }
  reviewer.value = before || settings.user;
  start();
})();
