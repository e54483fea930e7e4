// The verdict: every candidate's figures, who won, and why not the others.

import { make, shorten } from "./dom.js";
import { scrolling } from "./markdown.js";

const kilobytes = (bytes) => `${(bytes / 1000).toLocaleString("en", { maximumFractionDigits: 1 })} kB`;
const milliseconds = (number) => `${number.toPrecision(3)} ms`;
const QUALITY = {
  classification: [["accuracy", "Accuracy", (share) => share.toFixed(4)], ["accuracy_drop", "Drop", (share) => plus(share, share.toFixed(4))]],
  regression: [["rmse", "RMSE", shorten], ["rmse_increase", "Increase", (share) => plus(share, shorten(share))], ["r2", "R\u00b2", (share) => share.toFixed(4)]],
};
const COST = [
  ["size_bytes", "Size", kilobytes], ["macs", "MACs", (count) => count.toLocaleString("en", { maximumFractionDigits: 0 })],
  ["latency_ms_p50", "p50", milliseconds], ["latency_ms_p99", "p99", milliseconds],
];
const INTERVALS = new Set(["accuracy_drop", "rmse_increase"]);

const plus = (number, text) => (number >= 0 ? `+${text}` : text.replace("-", "\u2212"));

export function showVerdict(verdict) {
  const columns = [...QUALITY[verdict.task], ...COST];
  const names = ["Candidate", ...columns.map(([, title]) => title), "Verdict", "Reason"];
  const table = make("table", {},
    make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...verdict.candidates.map((judged) => row(judged, columns))));
  const days = [...new Set(verdict.measured.map((moment) => moment.slice(0, 10)))].join(" to ");
  const where = Object.entries(verdict.machine).map(([key, value]) => `${key}: ${value}`);
  return [
    make("p", {}, `Each candidate was measured on ${verdict.num_test_samples.toLocaleString("en")} test samples (${days}). The least ${verdict.minimize} among those that meet every requirement wins.`),
    scrolling(table, "The verdict"),
    make("p", { className: "hint" }, `Measured on: ${where.join("; ")}.`),
  ];
}

function row(judged, columns) {
  const verdict = judged.wins ? "wins" : judged.qualifies ? "qualifies" : "fails";
  return make("tr", { className: verdict },
    make("td", {}, judged.candidate),
    ...columns.map(([metric, , say]) => make("td", { className: "number" }, figure(judged.metrics[metric], metric, say))),
    make("td", {}, make("span", { className: `badge ${verdict}` }, verdict)),
    make("td", { className: "reason" }, judged.reason));
}

function figure(interval, metric, say) {
  if (!interval) return "\u2013";
  return INTERVALS.has(metric) ? `${say(interval.value)} [${say(interval.lower)}, ${say(interval.upper)}]` : say(interval.value);
}
