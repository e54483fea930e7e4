// An image: drawn or uploaded, brought to the model's size, and shown as the model sees it.

import { acceptDrops, largest, make, picker } from "./dom.js";

const PAD_PIXELS = 336;
const STROKES_ACROSS = 11;

export function createInput(model, { ready, problem }) {
  const { width, height, channels, mean, background } = model.input;
  const isDark = mean.reduce((sum, one) => sum + one, 0) / mean.length < 128;
  const scale = Math.max(1, Math.ceil(PAD_PIXELS / Math.max(width, height)));
  const ground = channels === 1 && isDark ? "#000000" : "#ffffff";
  const pad = make("canvas", { className: "pad", width: width * scale, height: height * scale, tabIndex: 0 });
  const seen = make("canvas", { className: "pixels", width, height });
  const heat = make("canvas", { className: "heat pixels", width, height, hidden: true });
  const prompt = make("span", { className: `prompt${ground === "#000000" ? "" : " dark"}` }, "Draw here, or drop an image");
  const cursor = make("span", { className: "cursor", hidden: true });
  const stage = make("div", { className: "stage" }, pad, prompt, cursor);
  const size = make("input", { type: "range", min: 1, max: Math.max(4, Math.ceil(Math.max(width, height) / 3)), step: 0.5 });
  const ink = make("input", { type: "color", value: ground === "#000000" ? "#ffffff" : "#000000" });
  const context = pad.getContext("2d", { willReadFrequently: true });
  let place = { x: pad.width / 2, y: pad.height / 2 };
  let last = null;

  size.value = Math.max(1.5, Math.max(width, height) / STROKES_ACROSS);
  pad.setAttribute("role", "img");
  pad.setAttribute("aria-label", `Drawing area of ${width} by ${height} pixels`);
  pad.setAttribute("aria-describedby", "pad-keys");
  seen.setAttribute("role", "img");
  seen.setAttribute("aria-label", "The image as the model sees it");

  function clear() {
    context.fillStyle = ground;
    context.fillRect(0, 0, pad.width, pad.height);
    prompt.hidden = false;
    look();
  }

  function stroke(from, to) {
    context.strokeStyle = ink.value;
    context.lineWidth = size.value * scale;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    prompt.hidden = true;
    look();
  }

  // Each of the model's pixels is the mean of those that were drawn over it.
  function look() {
    const drawn = context.getImageData(0, 0, pad.width, pad.height).data;
    const small = new ImageData(width, height);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const color = meanColor(drawn, pad.width, row * scale, column * scale, scale);
        if (channels === 1) color.fill(0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]);
        small.data.set([...color.map(Math.round), 255], 4 * (row * width + column));
      }
    }
    seen.getContext("2d").putImageData(small, 0, 0);
    heat.hidden = true;
  }

  async function upload(file) {
    let image;
    try {
      image = await createImageBitmap(file);
    } catch {
      return problem(`This browser cannot read ${file.name} as an image.`);
    }
    const ratio = Math.min(pad.width / image.width, pad.height / image.height);
    const [across, down] = [image.width * ratio, image.height * ratio];
    clear();
    // What lies below transparent pixels is what the service would lay there.
    context.fillStyle = background ? `rgb(${background.join(" ")})` : ground;
    context.fillRect((pad.width - across) / 2, (pad.height - down) / 2, across, down);
    // An image that is small enough already keeps its very pixels.
    context.imageSmoothingEnabled = image.width > width || image.height > height;
    context.imageSmoothingQuality = "high";
    context.drawImage(image, (pad.width - across) / 2, (pad.height - down) / 2, across, down);
    prompt.hidden = true;
    look();
    ready();
  }

  const at = (event) => {
    const box = pad.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * pad.width, y: ((event.clientY - box.top) / box.height) * pad.height };
  };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    last = at(event);
    stroke(last, last);
  });
  pad.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = at(event);
    stroke(last, next);
    last = next;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    pad.addEventListener(end, () => {
      if (last) ready();
      last = null;
    });
  }
  pad.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === " ") {
      if (cursor.classList.toggle("down")) stroke(place, place);
      else ready();
    } else if (step) {
      const inside = (number, end) => Math.min(end - 1, Math.max(0, number));
      const next = { x: inside(place.x + step[0] * scale, pad.width), y: inside(place.y + step[1] * scale, pad.height) };
      if (cursor.classList.contains("down")) stroke(place, next);
      place = next;
    } else return;
    event.preventDefault();
    cursor.hidden = false;
    cursor.style.left = `${(100 * place.x) / pad.width}%`;
    cursor.style.top = `${(100 * place.y) / pad.height}%`;
  });
  pad.addEventListener("blur", () => {
    cursor.hidden = true;
    cursor.classList.remove("down");
  });
  acceptDrops(stage, upload);
  clear();

  return {
    element: make("div", {},
      make("div", { className: "canvases" },
        make("figure", {}, stage, make("figcaption", { id: "pad-keys" }, "Pointer, or arrow keys; the space bar lifts and lowers the pen.")),
        make("figure", {}, make("div", { className: "stage" }, seen, heat), make("figcaption", {}, `What the model sees: ${width} \u00d7 ${height} pixels`))),
      make("div", { className: "tools" },
        picker("Upload\u2026", "image/*", upload),
        make("button", { type: "button", onclick: () => { clear(); ready(null); } }, "Clear"),
        make("label", { className: "inline" }, "Pen", size),
        channels === 3 ? make("label", { className: "inline" }, "Color", ink) : null)),
    async read() {
      const file = await new Promise((done) => seen.toBlob(done, "image/png"));
      return { body: file, type: "image/png" };
    },
    show(explanation) {
      drawHeat(heat, explanation, model.input.window);
      heat.hidden = false;
      return [];
    },
    forget() {
      heat.hidden = true;
    },
  };
}

function meanColor(data, width, top, left, scale) {
  const sum = [0, 0, 0];
  for (let row = top; row < top + scale; row++) {
    for (let place = 4 * (row * width + left); place < 4 * (row * width + left + scale); place += 4) {
      for (let channel = 0; channel < 3; channel++) sum[channel] += data[place + channel];
    }
  }
  return sum.map((total) => total / (scale * scale));
}

// A pretrained model sees a part of the image, in a size of its own: window is that part, in the image's pixels.
function drawHeat(canvas, { importance, cell, size }, window) {
  const most = largest(importance.flat()) || 1;
  const style = getComputedStyle(canvas);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const [top, left, height, width] = window || [0, 0, canvas.height, canvas.width];
  const [scaleY, scaleX] = size ? [height / size[0], width / size[1]] : [1, 1];
  importance.forEach((row, down) => row.forEach((drop, across) => {
    context.fillStyle = style.getPropertyValue(drop > 0 ? "--for" : "--against");
    context.globalAlpha = 0.85 * Math.abs(drop) / most;
    context.fillRect(left + across * cell[1] * scaleX, top + down * cell[0] * scaleY, cell[1] * scaleX, cell[0] * scaleY);
  }));
}
