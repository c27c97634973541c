"use strict";
// The demo: asks the server for motions and shows them; the address holds prompt, models, length and seed.
(() => {
  const form = document.querySelector("[data-form]"), status = document.querySelector("[data-status]");
  const root = document.querySelector(".viewer"), exportsShown = document.querySelector("[data-exports]");
  const boxes = [...form.querySelectorAll('[name="model"]')];
  const EACH = ["bvh", "glb"];  // kinds that hold one motion
  let viewer = null, last = null, running = null;

  // D_r is set with a real subscript, as everywhere.
  const say = (text, bad = false) => {
    status.replaceChildren(...text.split("D_r").flatMap((part, i) => {
      const low = document.createElement("sub");
      low.textContent = "r";
      return i ? ["D", low, part] : [part];
    }));
    status.classList.toggle("bad", bad);
  };
  const asked = () => ({
    prompt: form.prompt.value.trim(),
    models: boxes.filter((box) => box.checked).map((box) => box.value),
    seconds: form.seconds.value === "" ? null : Number(form.seconds.value),
    seed: form.seed.value === "" ? 0 : Number(form.seed.value),
  });
  const query = (values) => {
    const found = new URLSearchParams({ prompt: values.prompt, seed: values.seed });
    values.models.forEach((name) => found.append("model", name));
    if (values.seconds !== null) found.set("seconds", values.seconds);
    return found;
  };

  async function generate() {
    const values = asked();
    if (!values.prompt) { say("Write what the person does.", true); form.prompt.focus(); return; }
    if (!values.models.length || values.models.length > 3) { say("Choose one to three models.", true); return; }
    if (running) running.abort();
    const mine = running = new AbortController();
    say("Generating…");
    const start = performance.now();
    try {
      const answer = await fetch("api/motions", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values), signal: mine.signal,
      });
      const found = await answer.json().catch(() => ({}));
      if (!answer.ok) { say(found.error || `The server answered ${answer.status}.`, true); return; }
      if (viewer) viewer.show(found); else viewer = motionViewer(root, [found]);
      last = values;
      exportsShown.hidden = false;
      for (const one of EACH) exportsShown.querySelector(`[data-file="${one}"]`).hidden = !found.body.names;  // only for 22 joints
      document.body.dataset.shown = found.prompt;
      history.replaceState(null, "", `?${query(values)}`);
      say(`${found.panels.map((one) => `${one.label}: ${one.verdict || "no classifier"}`).join(" · ")} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    } catch (error) {
      if (error.name !== "AbortError") say("The server does not answer; is it still running?", true);
    } finally {
      if (running === mine) running = null;
    }
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); generate(); });
  for (const button of form.querySelectorAll("[data-example]"))
    button.addEventListener("click", () => { form.prompt.value = button.textContent; generate(); });
  form.querySelector("[data-dice]").addEventListener("click", () => {
    form.seed.value = Math.floor(Math.random() * 1000000);
    generate();
  });
  for (const box of boxes) box.addEventListener("change", () => {
    if (boxes.filter((one) => one.checked).length > 3) { box.checked = false; say("Three models at most.", true); }
  });
  for (const button of exportsShown.querySelectorAll("[data-file]")) button.addEventListener("click", () => {
    if (!last) return;
    const kind = button.dataset.file, models = EACH.includes(kind) ? last.models.map((one) => [one]) : [last.models];
    models.forEach((names, i) => setTimeout(() => {
      const link = document.createElement("a");
      link.href = `api/file/${kind}?${query({ ...last, models: names })}`;
      link.download = "";
      link.click();
    }, 400 * i));
  });
  exportsShown.querySelector("[data-share]").addEventListener("click", async (event) => {
    try {
      await navigator.clipboard.writeText(location.href);
      event.target.textContent = "Copied";
    } catch {
      event.target.textContent = "Copy it from the address bar";
    }
    setTimeout(() => { event.target.textContent = "Copy link"; }, 2500);
  });

  const given = new URLSearchParams(location.search);
  if (given.get("prompt")) form.prompt.value = given.get("prompt");
  if (given.get("seed")) form.seed.value = given.get("seed");
  if (given.get("seconds")) form.seconds.value = given.get("seconds");
  const wanted = given.getAll("model");
  if (wanted.some((name) => boxes.some((box) => box.value === name)))
    for (const box of boxes) box.checked = wanted.includes(box.value);
  generate();
})();
