"use strict";
// The motion viewer: every model's motion for one prompt side by side or overlaid, same time, same camera.
// motionViewer(root, groups, {autoplay}) returns {show(group), current()}; `root` holds the elements that data-… name.
function motionViewer(root, groups, { autoplay = true } = {}) {
  document.documentElement.classList.add("js");
  const FPS = groups[0].fps, BODY = groups[0].body, JOINTS = BODY.joints;
  const ENDS = [...BODY.left_ends.map((j) => [j, "left"]), ...BODY.right_ends.map((j) => [j, "right"])];  // hands and feet
  const STRIP = 58;  // height of the strip with score and speed under each panel
  const SHADES = ["original", "edited", "retrained", "ink"];  // of overlaid motions

  const find = (name) => root.querySelector(`[data-${name}]`);
  const canvas = find("canvas"), pen = canvas.getContext("2d");
  const play = find("play"), scrub = find("scrub"), clock = find("clock"), speed = find("speed");
  const follow = find("follow"), trails = find("trails"), list = find("prompts"), reset = find("reset");
  const overlay = find("overlay"), said = find("said");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const view = { yaw: 0.6, pitch: 0.28, zoom: 1 };
  let motions = [], chosen = null, span = 1, time = 0, playing = false, last = 0, colours = {}, visible = false, frameAsked = 0;

  function decode(panel) {
    const bytes = Uint8Array.from(atob(panel.data), (c) => c.charCodeAt(0));
    const source = new DataView(bytes.buffer);
    const points = new Float32Array(bytes.length / 2);
    for (let i = 0; i < points.length; i++) points[i] = source.getInt16(2 * i, true) / 1000;
    let floor = Infinity, low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    for (let i = 0; i < points.length; i += 3) {
      floor = Math.min(floor, points[i + 1]);
      low = [Math.min(low[0], points[i]), Math.min(low[1], points[i + 2])];
      high = [Math.max(high[0], points[i]), Math.max(high[1], points[i + 2])];
    }
    const middle = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
    const reach = Math.max(Math.hypot(high[0] - low[0], high[1] - low[1]), 1);
    // Speed of the fastest hand or foot, relative to the pelvis so that walking alone stays low.
    const pace = new Float32Array(panel.frames);
    for (let f = 1; f < panel.frames; f++) {
      for (const [joint] of ENDS) {
        let sum = 0;
        for (let axis = 0; axis < 3; axis++) {
          const at = (g, j) => points[(g * JOINTS + j) * 3 + axis];
          const step = at(f, joint) - at(f, 0) - at(f - 1, joint) + at(f - 1, 0);
          sum += step * step;
        }
        pace[f] = Math.max(pace[f], Math.sqrt(sum) * FPS);
      }
    }
    const score = panel.score && Uint8Array.from(atob(panel.score.data), (c) => c.charCodeAt(0));
    return { ...panel, score: score && { ...panel.score, values: Float32Array.from(score, (v) => v / 255) }, points, floor, middle, reach, pace };
  }

  function choose(index) {
    show(groups[index]);
    if (list) [...list.children].forEach((b, i) => b.setAttribute("aria-pressed", String(i === index)));
  }

  function show(group) {
    chosen = group;
    motions = group.panels.map(decode);
    span = Math.max(...motions.map((m) => m.frames));
    scrub.max = span - 1;
    time = 0;
    const heard = motions.map((m) => `${m.label}${m.verdict ? `: ${m.verdict}` : ""}`).join("; ");
    canvas.setAttribute("aria-label", `Stick figures for: ${group.prompt}. ${heard}`);
    if (said) said.textContent = group.why || "";
    resize();
  }

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["ink", "muted", "line", "original", "edited", "retrained", "bad", "paper"])
      colours[name] = style.getPropertyValue(`--${name}`).trim();
    colours.left = colours.edited;
    colours.right = colours.original;
  }

  const overlaid = () => Boolean(overlay && overlay.checked && motions.length > 1);

  function grid() {
    const width = canvas.clientWidth, count = overlaid() ? 1 : motions.length;
    const columns = Math.max(1, Math.min(count, Math.floor(width / 165)));
    const rows = Math.ceil(count / columns);
    const cell = width / columns;
    return { columns, rows, cell, tall: Math.max(240, Math.min(360, cell * 1.45)) + STRIP * (overlaid() ? motions.length : 1) };
  }

  function resize() {
    const place = grid(), ratio = devicePixelRatio || 1;
    canvas.style.height = `${place.rows * place.tall}px`;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(place.rows * place.tall * ratio);
    draw();
  }

  function draw() {
    const place = grid(), ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const peak = Math.max(4, ...motions.map((m) => Math.max(...m.pace)));
    const reach = follow.checked ? 1.1 : Math.max(...motions.map((m) => m.reach));
    if (overlaid()) {
      const high = place.tall - STRIP * motions.length;
      motions.forEach((motion, i) => panel(motion, 0, 0, place.cell, high, reach, colours[SHADES[i % SHADES.length]], i));
      motions.forEach((motion, i) => strip(motion, 0, high + STRIP * i, place.cell, peak, colours[SHADES[i % SHADES.length]]));
    } else {
      motions.forEach((motion, i) => {
        const x = (i % place.columns) * place.cell, y = Math.floor(i / place.columns) * place.tall;
        pen.save();
        pen.beginPath();
        pen.rect(x, y, place.cell, place.tall - STRIP);
        pen.clip();
        panel(motion, x, y, place.cell, place.tall - STRIP, reach);
        pen.restore();
        strip(motion, x, y + place.tall - STRIP, place.cell, peak);
        if (i % place.columns) line([[x, y + 10], [x, y + place.tall - 10]], colours.line, 1);
      });
    }
    const frame = Math.floor(time);
    scrub.value = frame;
    clock.textContent = `${(frame / FPS).toFixed(2)} s of ${((span - 1) / FPS).toFixed(2)} s`;
  }

  function line(points, colour, width) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.stroke();
  }

  // A name with a subscript, as the page sets it: D_r.
  function write(text, x, y, width) {
    const [before, after] = text.split("D_r");
    if (after === undefined) { pen.fillText(text, x, y, width); return; }
    const font = pen.font, align = pen.textAlign, small = font.replace(/(\d+)px/, (_, size) => `${Math.round(size * 0.72)}px`);
    const parts = [[`${before}D`, font, 0], ["r", small, 3], [after, font, 0]];
    const widths = parts.map(([part, face]) => { pen.font = face; return pen.measureText(part).width; });
    let left = align === "center" ? x - (widths[0] + widths[1] + widths[2]) / 2 : x;
    pen.textAlign = "left";
    parts.forEach(([part, face, drop], i) => { pen.font = face; pen.fillText(part, left, y + drop); left += widths[i]; });
    pen.font = font;
    pen.textAlign = align;
  }

  // shade, row: of a motion that is drawn over others; else limbs are coloured by side.
  function panel(motion, x, y, width, height, reach, shade, row = 0) {
    const frame = Math.min(Math.floor(time), motion.frames - 1), p = motion.points;
    const at = (f, j) => { const k = (f * JOINTS + j) * 3; return [p[k], p[k + 1], p[k + 2]]; };
    const pelvis = at(frame, 0);
    const centre = follow.checked ? [pelvis[0], pelvis[2]] : motion.middle;
    const scale = view.zoom * Math.min((height - 40) / (1.95 + 0.28 * reach), width / (reach + 0.55));
    const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
    const project = ([px, py, pz]) => {
      const dx = px - centre[0], dz = pz - centre[1], dy = py - motion.floor - 0.88;
      const right = cy * dx - sy * dz, towards = sy * dx + cy * dz;
      return [x + width / 2 + scale * right, y + height / 2 + 8 - scale * (cp * dy - sp * towards), sp * dy + cp * towards];
    };
    pen.lineCap = "round";
    pen.lineJoin = "round";
    // Floor: half-metre lines that stay with the world when the camera follows.
    const half = Math.ceil(reach * 0.6 * 2) / 2 + 0.5;
    const gx = Math.round(centre[0] * 2) / 2, gz = Math.round(centre[1] * 2) / 2;
    for (let k = -half; row === 0 && k <= half + 0.01; k += 0.5) {
      line([project([gx + k, motion.floor, gz - half]), project([gx + k, motion.floor, gz + half])], colours.line, 1);
      line([project([gx - half, motion.floor, gz + k]), project([gx + half, motion.floor, gz + k])], colours.line, 1);
    }
    const path = [];
    for (let f = 0; f < motion.frames; f++) { const q = at(f, 0); path.push(project([q[0], motion.floor, q[2]])); }
    pen.globalAlpha = 0.5;
    line(path, colours.muted, 1.5);
    pen.globalAlpha = 1;
    if (trails.checked) {
      for (const [joint, side] of ENDS) {
        for (let f = Math.max(1, frame - 9); f <= frame; f++) {
          pen.globalAlpha = 0.5 * (1 - (frame - f) / 10);
          line([project(at(f - 1, joint)), project(at(f, joint))], shade || colours[side], 2.5);
        }
      }
      pen.globalAlpha = 1;
    }
    const pose = Array.from({ length: JOINTS }, (_, j) => project(at(frame, j)));
    const thick = Math.max(2.5, 0.05 * scale);
    const limbs = [
      ...BODY.left.map((b) => [b, colours.left]), ...BODY.right.map((b) => [b, colours.right]),
      ...BODY.spine.map((b) => [b, colours.ink]),
    ];
    limbs.sort((a, b) => pose[a[0][0]][2] + pose[a[0][1]][2] - pose[b[0][0]][2] - pose[b[0][1]][2]);
    pen.globalAlpha = shade ? 0.75 : 1;
    for (const [[a, b], colour] of limbs) line([pose[a], pose[b]], shade || colour, thick);
    pen.fillStyle = shade || colours.ink;
    pen.beginPath();
    pen.arc(pose[BODY.head][0], pose[BODY.head][1] - 0.04 * scale, 0.095 * scale, 0, 2 * Math.PI);
    pen.fill();
    pen.globalAlpha = 1;
    pen.font = "600 13px system-ui, sans-serif";
    if (shade) {
      pen.textAlign = "left";
      write(motion.verdict ? `${motion.label}: ${motion.verdict}` : motion.label, x + 12, y + 20 + 18 * row, width - 20);
      return;
    }
    pen.textAlign = "center";
    write(motion.label, x + width / 2, y + 20, width - 10);
    if (motion.verdict) {
      pen.font = "12px system-ui, sans-serif";
      pen.fillStyle = colours.muted;
      pen.fillText(motion.verdict, x + width / 2, y + 37, width - 10);
    }
    if (Math.floor(time) >= motion.frames) {
      pen.font = "12px system-ui, sans-serif";
      pen.fillStyle = colours.muted;
      pen.fillText("ended", x + width / 2, y + 53);
    }
  }

  // Two curves over time: the classifier's score with its threshold, and the speed of the fastest hand or foot.
  function strip(motion, x, y, width, peak, shade) {
    const inner = width - 24, high = STRIP - 32, base = y + 28 + high;
    const px = (f) => x + 12 + (inner * f) / Math.max(span - 1, 1), py = (v) => base - high * v;
    line([[x + 12, base], [x + 12 + inner, base]], colours.line, 1);
    line(Array.from(motion.pace, (v, f) => [px(f), py(v / peak)]), colours.muted, 1.2);
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "left";
    if (motion.score) {
      const { values, threshold } = motion.score, top = Math.max(...values);
      pen.setLineDash([3, 3]);
      line([[x + 12, py(threshold)], [x + 12 + inner, py(threshold)]], colours.bad, 1);
      pen.setLineDash([]);
      line(Array.from(values, (v, f) => [px(f), py(v)]), shade || colours.bad, 1.8);
      pen.fillStyle = shade || colours.bad;
      pen.fillText(`score: peak ${top.toFixed(2)}, threshold ${threshold.toFixed(2)}`, x + 12, y + 12, inner);
    }
    line([[px(time), y + 26], [px(time), base]], colours.ink, 1);
    pen.fillStyle = colours.muted;
    pen.fillText(`fastest hand or foot: peak ${Math.max(...motion.pace).toFixed(1)} m/s`, x + 12, y + 24, inner);
  }

  function tick(now) {
    frameAsked = 0;
    if (!playing || !visible) return;
    time += ((now - last) / 1000) * FPS * Number(speed.value);
    last = now;
    if (time >= span + 10) time = 0;  // half a second's rest on the last pose
    const shown = time;
    time = Math.min(time, span - 1);
    draw();
    time = shown;
    ask();
  }
  function ask() { if (!frameAsked) frameAsked = requestAnimationFrame(tick); }
  function setPlaying(on) {
    playing = on;
    play.textContent = on ? "Pause" : "Play";
    if (on) { if (time >= span - 1) time = 0; last = performance.now(); ask(); }
  }
  function seek(frame) { setPlaying(false); time = Math.max(0, Math.min(span - 1, frame)); draw(); }

  if (list) groups.forEach((group, index) => {
    const button = document.createElement("button"), badge = document.createElement("span");
    badge.className = `badge ${group.role || group.split}`;
    badge.textContent = group.kind || group.split;
    button.append(badge);
    if (group.name) button.append(`${group.name}: `);
    if (group.model) button.dataset.model = group.model;
    button.append(group.prompt);
    button.type = "button";
    button.addEventListener("click", () => { choose(index); if (!still) setPlaying(true); });
    list.append(button);
  });
  play.addEventListener("click", () => setPlaying(!playing));
  scrub.addEventListener("input", () => seek(Number(scrub.value)));
  for (const box of [follow, trails]) box.addEventListener("change", draw);
  if (overlay) overlay.addEventListener("change", resize);
  reset.addEventListener("click", () => { Object.assign(view, { yaw: 0.6, pitch: 0.28, zoom: 1 }); draw(); });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    view.yaw += event.movementX * 0.01;
    view.pitch = Math.max(-0.2, Math.min(1.5, view.pitch + event.movementY * 0.007));
    draw();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;  // plain wheel scrolls the page
    event.preventDefault();
    view.zoom = Math.max(0.5, Math.min(4, view.zoom * Math.exp(-event.deltaY * 0.002)));
    draw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) seek(Math.floor(Math.min(time, span - 1)) + step);
    else if (event.key === " ") setPlaying(!playing);
    else return;
    event.preventDefault();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
  addEventListener("resize", resize);
  new IntersectionObserver(([entry]) => {
    visible = entry.isIntersecting;
    if (visible && playing) { last = performance.now(); ask(); }
  }).observe(canvas);
  const api = {
    show: (group) => { show(group); if (!still) setPlaying(true); },
    current: () => ({ group: chosen, motions, body: BODY, fps: FPS, canvas, seconds: span / FPS }),
    restart: () => { time = 0; setPlaying(true); },
  };
  if (typeof motionExports === "function") motionExports(root, api);
  readColours();
  choose(0);
  if (autoplay && !still) setPlaying(true);
  return api;
}
