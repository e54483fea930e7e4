// A series: pasted or uploaded as CSV or JSON, plotted, and after an explanation tinted where it counts.

import { acceptDrops, largest, make, makeSvg, picker, shorten } from "./dom.js";

const WIDTH = 520, HEIGHT = 190, LEFT = 46, RIGHT = 10, TOP = 12, BOTTOM = 24, NUM_COLORS = 6;

export function createInput(model, { ready }) {
  const { channels, channel_names: names } = model.input;
  const called = (channel) => names[channel] ?? `Channel ${channel}`;
  const area = make("textarea", { className: "data", rows: 8, spellcheck: false, id: "series" });
  const plot = makeSvg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const wrong = make("p", { className: "error small", hidden: true });
  const refresh = () => {
    const { steps, error } = parse(area.value, channels);
    wrong.hidden = !error;
    wrong.textContent = error;
    area.setAttribute("aria-invalid", Boolean(error));
    draw(plot, steps, [], called);
    return steps;
  };
  const fill = (text) => { area.value = text; refresh(); ready(); };
  const upload = async (file) => fill(await file.text());
  area.addEventListener("input", () => { refresh(); ready(null); });
  acceptDrops(area, upload);
  refresh();
  return {
    element: make("div", {},
      make("label", { htmlFor: "series", className: "hidden" }, "Series"),
      area,
      make("p", { className: "hint" }, hint(model.input)),
      wrong, plot,
      make("div", { className: "tools" },
        picker("Upload\u2026", ".csv,.json,.txt,text/csv,application/json", upload),
        make("button", { type: "button", onclick: () => fill(asLines(model.sample)) }, "Example"),
        make("button", { type: "button", onclick: () => { area.value = ""; refresh(); ready(null); } }, "Clear"))),
    async read() {
      const { steps, error } = parse(area.value, channels);
      if (error) throw new Error(error);
      return { body: JSON.stringify({ [model.name]: steps }), type: "application/json" };
    },
    show(explanation) {
      draw(plot, refresh(), bands(explanation), called);
      return (explanation.channel_importance ?? []).map((part) => ({
        name: part.channels.map(called).join(", "), note: "as if at its mean throughout", importance: part.importance,
      }));
    },
    forget: refresh,
  };
}

function hint({ channels, channel_names, max_length, may_be_missing }) {
  const named = channel_names.length ? ` (${channel_names.join(", ")})` : "";
  const step = channels === 1 ? `one number${named}` : `${channels} numbers, one for each channel${named}`;
  const missing = may_be_missing ? " An empty place, or null, is a missing value." : "";
  return `CSV with a line for each step, or a JSON list. A step is ${step}; at most ${max_length.toLocaleString("en")} steps.${missing}`;
}

// Steps as the service takes them; where the text is neither JSON nor CSV, what is wrong with it.
export function parse(text, channels) {
  const kept = text.trim();
  if (!kept) return { steps: [], error: "" };
  if (kept.startsWith("[") || kept.startsWith("{")) {
    try {
      const document = JSON.parse(kept);
      const steps = Array.isArray(document) ? document : document.series;
      return Array.isArray(steps) ? { steps, error: "" } : { steps: [], error: "The JSON holds no list of steps." };
    } catch (error) {
      return { steps: [], error: `Malformed JSON: ${error.message}` };
    }
  }
  const lines = kept.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  const cells = lines.map((line) => line.split(/[,;\t]|\s+/).map((cell) => cell.trim()));
  const isOneLine = cells.length === 1 && channels === 1;
  const rows = isOneLine ? cells[0].map((cell) => [cell]) : cells;
  const header = rows.length > 1 && rows[0].some((cell) => cell && Number.isNaN(toNumber(cell))) ? 1 : 0;
  const steps = [];
  for (let place = header; place < rows.length; place++) {
    const numbers = rows[place].map(toNumber);
    const bad = numbers.findIndex((number) => Number.isNaN(number));
    if (bad >= 0) return { steps: [], error: `Step ${place - header}: "${rows[place][bad].slice(0, 40)}" is no number.` };
    steps.push(channels === 1 && numbers.length === 1 ? numbers[0] : numbers);
  }
  return { steps, error: "" };
}

function toNumber(cell) {
  return /^(|null|nan|na|\?)$/i.test(cell) ? null : Number(cell);
}

const asLines = (steps) => steps.map((step) => [step].flat().map((value) => value ?? "").join(",")).join("\n");

function bands({ importance, steps_a_cell }) {
  const most = largest(importance) || 1;
  return importance.map((drop, cell) => ({ start: cell * steps_a_cell, end: (cell + 1) * steps_a_cell, share: drop / most }));
}

function draw(plot, steps, tinted, called) {
  const rows = steps.map((step) => (Array.isArray(step) ? step : [step]));
  const numbers = rows.flat().filter((number) => Number.isFinite(number));
  plot.replaceChildren();
  plot.setAttribute("aria-label", numbers.length ? `Line plot of ${rows.length} steps from ${shorten(low(numbers))} to ${shorten(high(numbers))}` : "Empty line plot");
  const bottom = HEIGHT - BOTTOM;
  if (!numbers.length) {
    plot.append(label(WIDTH / 2, HEIGHT / 2, "The series is plotted here.", "middle"));
    return;
  }
  const [least, most] = [low(numbers), high(numbers)];
  const wide = (WIDTH - LEFT - RIGHT) / rows.length;
  const x = (step) => LEFT + (step + 0.5) * wide;
  const y = (value) => (most > least ? bottom - ((value - least) / (most - least)) * (bottom - TOP) : (TOP + bottom) / 2);
  for (const { start, end, share } of tinted) {
    const width = Math.max(0, Math.min(end, rows.length) - start) * wide;
    plot.append(makeSvg("rect", {
      class: `band ${share > 0 ? "for" : "against"}`, x: LEFT + start * wide, y: 0, width, height: bottom, "fill-opacity": 0.6 * Math.abs(share),
    }));
  }
  const channels = rows.reduce((count, row) => Math.max(count, row.length), 0);
  for (let channel = 0; channel < channels; channel++) {
    for (const run of runs(rows, channel)) {
      const points = run.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      const shape = run.length > 1 ? makeSvg("polyline", { points }) : makeSvg("circle", { cx: x(run[0][0]), cy: y(run[0][1]), r: 2.5 });
      shape.classList.add(`c${channel % NUM_COLORS}`);
      shape.append(makeSvg("title", {}, called(channel)));
      plot.append(shape);
    }
  }
  plot.append(label(LEFT - 6, TOP + 4, shorten(most), "end"), label(LEFT - 6, bottom, shorten(least), "end"),
    label(x(0), HEIGHT - 7, "0", "middle"), label(x(rows.length - 1), HEIGHT - 7, String(rows.length - 1), "middle"),
    label(WIDTH / 2, HEIGHT - 7, "step", "middle"));
}

// The stretches of a channel that have a number at every step.
function runs(rows, channel) {
  const found = [];
  let run = [];
  rows.forEach((row, step) => {
    if (Number.isFinite(row[channel])) run.push([step, row[channel]]);
    else if (run.length) { found.push(run); run = []; }
  });
  return run.length ? [...found, run] : found;
}

const low = (numbers) => numbers.reduce((least, number) => Math.min(least, number));
const high = (numbers) => numbers.reduce((most, number) => Math.max(most, number));
const label = (x, y, text, anchor) => makeSvg("text", { x, y, "text-anchor": anchor }, text);
