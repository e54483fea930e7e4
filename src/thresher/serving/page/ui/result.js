// What the service answered: bars of the probabilities or the value, and what mattered.

import { largest, make, percent, shorten, signed } from "./dom.js";

const MAX_BARS = 10;
const UNMOVED = 0.001;

export function showAnswer(answer, { milliseconds, document, requestId }) {
  const shown = answer.probabilities ? classes(answer) : [make("p", { className: "headline" }, shorten(answer.value))];
  return [...shown, meta([
    `${milliseconds.toFixed(1)} ms, there and back`,
    `${document.model}, version ${document.model_version}`,
    requestId ? ["request ", make("code", {}, requestId)] : null,
  ])];
}

export const spoken = (answer) => (answer.probabilities ? `${answer.label}, ${percent(answer.probabilities[answer.label])}` : `Value ${shorten(answer.value)}`);

function classes({ label, probabilities }) {
  const sorted = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  const rows = sorted.map(([name, share]) => {
    const row = bar(name, percent(share), 0, share);
    row.classList.toggle("best", name === label);
    return row;
  });
  return [
    make("p", { className: "headline" }, label, make("span", { className: "share" }, percent(probabilities[label]))),
    ...firstOf(rows, "bars", "classes"),
  ];
}

export function showMattered(explanation, parts, milliseconds) {
  const isShare = explanation.target !== undefined;
  const ofWhat = isShare ? `\u201c${explanation.target}\u201d (${percent(explanation.probability)})` : `the value ${shorten(explanation.value)}`;
  const largestChange = largest(parts.map((part) => part.importance));
  const most = largestChange || 1;
  const sorted = [...parts].sort((a, b) => Math.abs(b.importance) - Math.abs(a.importance));
  const rows = sorted.map(({ name, note, importance }) => {
    const share = Math.abs(importance) / most / 2;
    const row = bar(name, signed(importance, isShare, largestChange), importance < 0 ? 0.5 - share : 0.5, share, note);
    row.classList.add(importance < 0 ? "against" : "for");
    return row;
  });
  return [
    make("h3", {}, `What mattered for ${ofWhat}`),
    make("p", { className: "legend" },
      make("span", {}, make("i", { className: "for" }), isShare ? "speaks for it" : "raises it"),
      make("span", {}, make("i", { className: "against" }), isShare ? "speaks against it" : "lowers it"),
      make("span", {}, isShare && parts.length ? "in percentage points" : "")),
    ...(isShare && largestChange < UNMOVED ? [make("p", { className: "hint" }, "No part by itself changes this answer by 0.1 percentage points: the others are enough for it.")] : []),
    ...firstOf(rows, "bars signed", "parts"),
    meta([`${explanation.num_copies} copies with a part left out each, in ${milliseconds.toFixed(0)} ms`]),
  ];
}

function bar(name, number, start, share, note) {
  const fill = make("span", { className: "fill" });
  fill.style.left = `${100 * start}%`;
  fill.style.width = `${100 * share}%`;
  return make("li", {},
    make("span", { className: "name" }, name, note ? make("small", {}, note) : null),
    make("span", { className: "track", ariaHidden: "true" }, fill),
    make("span", { className: "number" }, number));
}

function firstOf(rows, className, what) {
  if (!rows.length) return [];
  const list = make("ol", { className }, ...rows.slice(0, MAX_BARS));
  if (rows.length <= MAX_BARS) return [list];
  const more = make("button", { type: "button", onclick: () => { list.append(...rows.slice(MAX_BARS)); more.remove(); } },
    `All ${rows.length} ${what}`);
  return [list, more];
}

const meta = (parts) => make("p", { className: "meta" }, ...parts.filter(Boolean).map((part) => make("span", {}, ...[part].flat())));
