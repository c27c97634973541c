"use strict";
// Files of the shown motions, made in the browser: a picture, a film, and BVH per motion of 22 joints.
function motionExports(root, viewer) {
  const find = (name) => root.querySelector(`[data-${name}]`);
  const png = find("png"), film = find("film"), bvh = find("bvh");

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  const stem = (group) => group.prompt.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 40).replace(/^-|-$/g, "") || "motion";

  if (png) png.addEventListener("click", () => {
    const { canvas, group } = viewer.current();
    canvas.toBlob((blob) => save(blob, `${stem(group)}.png`), "image/png");
  });

  const kinds = ["video/mp4;codecs=avc1.42E01E", "video/mp4", "video/webm;codecs=vp9", "video/webm"];
  const kind = typeof MediaRecorder === "undefined" ? null : kinds.find((one) => MediaRecorder.isTypeSupported(one));
  if (film) {
    film.hidden = !kind;
    film.addEventListener("click", () => {
      const { canvas, group, seconds } = viewer.current();
      const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: kind, videoBitsPerSecond: 4000000 });
      const parts = [], label = film.textContent;
      recorder.ondataavailable = (event) => parts.push(event.data);
      recorder.onstop = () => {
        film.textContent = label;
        film.disabled = false;
        save(new Blob(parts, { type: kind }), `${stem(group)}.${kind.includes("mp4") ? "mp4" : "webm"}`);
      };
      film.textContent = "Recording…";
      film.disabled = true;
      viewer.restart();
      recorder.start();
      setTimeout(() => recorder.stop(), (seconds + 0.4) * 1000);
    });
  }

  if (bvh) {
    bvh.hidden = !viewer.current().body.rest;
    bvh.addEventListener("click", () => {
      const { motions, body, fps, group } = viewer.current();
      motions.forEach((motion, i) => {
        const name = `${stem(group)}-${motion.method || i}.bvh`;
        setTimeout(() => save(new Blob([bvhText(motion, body, fps)], { type: "text/plain" }), name), 300 * i);
      });
    });
  }
}

// Joints to BVH: bones get their mean length; a joint with several children turns with the plane of its children, others
// by the shortest rotation onto their bone. Centimetres; channels Z, X, Y. The same as `bvh_export.py` up to how a joint
// with several children is fitted.
function bvhText(motion, body, fps) {
  const { names, parents, rest } = body, count = names.length, frames = motion.frames;
  const sub = (a, b) => a.map((v, i) => v - b[i]), times = (a, s) => a.map((v) => v * s);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2], size = (a) => Math.sqrt(dot(a, a));
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const unit = (a) => { const n = size(a); return n > 1e-9 ? times(a, 1 / n) : [1, 0, 0]; };
  const turn = (m, v) => m.map((row) => dot(row, v)), transposed = (m) => m[0].map((_, i) => m.map((row) => row[i]));
  const product = (a, b) => { const t = transposed(b); return a.map((row) => t.map((column) => dot(row, column))); };
  const identity = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  const at = (f, j) => [0, 1, 2].map((axis) => motion.points[(f * count + j) * 3 + axis]);
  const children = names.map((_, j) => parents.flatMap((p, i) => (p === j ? [i] : [])));

  const lengths = names.map((_, j) => {
    let sum = 0;
    if (j > 0) for (let f = 0; f < frames; f++) sum += size(sub(at(f, j), at(f, parents[j])));
    return sum / frames;
  });
  const offsets = rest.map((direction, j) => times(direction, lengths[j]));

  function between(a, b) {  // shortest rotation of direction a onto direction b
    const u = unit(a), v = unit(b), c = dot(u, v);
    if (c < -0.999999) {  // opposite: half a turn about any axis across
      const axis = unit(cross(u, Math.abs(u[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0]));
      return identity.map((row, i) => row.map((one, k) => 2 * axis[i] * axis[k] - one));
    }
    const w = cross(u, v), s = 1 / (1 + c);
    return [
      [c + w[0] * w[0] * s, w[0] * w[1] * s - w[2], w[0] * w[2] * s + w[1]],
      [w[1] * w[0] * s + w[2], c + w[1] * w[1] * s, w[1] * w[2] * s - w[0]],
      [w[2] * w[0] * s - w[1], w[2] * w[1] * s + w[0], c + w[2] * w[2] * s],
    ];
  }
  // Axes of several bones: across (between the last two), and up (the one of the spine, made perpendicular).
  function axes(bones, spine) {
    const sides = bones.filter((_, i) => i !== spine), across = unit(sub(sides[0], sides[1]));
    const up = unit(sub(bones[spine], times(across, dot(bones[spine], across))));
    return transposed([across, up, cross(across, up)]);
  }
  const spines = children.map((list, j) => list.findIndex((child) => body.spine.some(([a, b]) => a === j && b === child)));

  // Siblings keep their mean places in the frame of these axes, as the reference pose does not know the hips' slant.
  const framed = (f, j) => axes(children[j].map((child) => sub(at(f, child), at(f, j))), spines[j]);
  children.forEach((list, j) => {
    if (list.length < 3) return;
    const sums = list.map(() => [0, 0, 0]);
    for (let f = 0; f < frames; f++) {
      const back = transposed(framed(f, j));
      list.forEach((child, i) => { sums[i] = turn(back, sub(at(f, child), at(f, j))).map((v, axis) => sums[i][axis] + v); });
    }
    list.forEach((child, i) => { offsets[child] = times(sums[i], 1 / frames); });
  });

  const order = [];
  (function walk(j) { order.push(j); children[j].forEach(walk); })(0);
  const rows = [];
  for (let f = 0; f < frames; f++) {
    const world = [], row = times(at(f, 0), 100);
    for (const j of order) {
      const above = j ? world[parents[j]] : identity, list = children[j];
      if (list.length > 2) {
        world[j] = framed(f, j);
      } else if (list.length) {
        world[j] = product(between(turn(above, offsets[list[0]]), sub(at(f, list[0]), at(f, j))), above);
      } else {
        world[j] = above;
      }
      const local = j ? product(transposed(above), world[j]) : world[j];
      const x = Math.asin(Math.max(-1, Math.min(1, local[2][1])));
      row.push(...[Math.atan2(-local[0][1], local[1][1]), x, Math.atan2(-local[2][0], local[2][2])].map((a) => (a * 180) / Math.PI));
    }
    rows.push(row.map((v) => v.toFixed(4)).join(" "));
  }

  const offset = (v) => `OFFSET ${times(v, 100).map((one) => one.toFixed(4)).join(" ")}`;
  function hierarchy(j, depth) {
    const pad = "  ".repeat(depth), inner = `${pad}  `, turning = "Zrotation Xrotation Yrotation";
    const lines = [
      `${pad}${j ? "JOINT" : "ROOT"} ${names[j]}`, `${pad}{`, `${inner}${offset(j ? offsets[j] : [0, 0, 0])}`,
      `${inner}CHANNELS ${j ? `3 ${turning}` : `6 Xposition Yposition Zposition ${turning}`}`,
      ...children[j].flatMap((child) => hierarchy(child, depth + 1)),
    ];
    if (!children[j].length) lines.push(`${inner}End Site`, `${inner}{`, `${inner}  ${offset(times(rest[j], 0.05))}`, `${inner}}`);
    return [...lines, `${pad}}`];
  }
  return ["HIERARCHY", ...hierarchy(0, 0), "MOTION", `Frames: ${frames}`, `Frame Time: ${(1 / fps).toFixed(6)}`, ...rows, ""].join("\n");
}
