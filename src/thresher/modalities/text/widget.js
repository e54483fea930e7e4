// A text: typed, and after an explanation shown with each word as strong as it counts.

import { largest, make } from "./dom.js";

export function createInput(model, { ready }) {
  const area = make("textarea", { rows: 6, spellcheck: false, id: "text" });
  const words = make("div", { className: "words", hidden: true });
  area.addEventListener("input", () => { words.hidden = true; ready(null); });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      ready();
    }
  });
  return {
    element: make("div", {},
      make("label", { htmlFor: "text", className: "hidden" }, "Text"),
      area,
      make("p", { className: "hint" }, `Ctrl + Enter predicts. Of a longer text the first ${model.input.max_length.toLocaleString("en")} tokens are used.`),
      words,
      make("div", { className: "tools" },
        make("button", { type: "button", onclick: () => { area.value = model.sample; words.hidden = true; ready(); } }, "Example"),
        make("button", { type: "button", onclick: () => { area.value = ""; words.hidden = true; ready(null); area.focus(); } }, "Clear"))),
    async read() {
      return { body: JSON.stringify({ [model.name]: area.value }), type: "application/json" };
    },
    show({ importance }) {
      const most = largest(importance.map((word) => word.importance)) || 1;
      // The service counts characters, JavaScript halves of some.
      const characters = Array.from(area.value);
      let end = 0;
      words.replaceChildren();
      for (const word of importance) {
        const mark = make("mark", {}, characters.slice(word.start, word.end).join(""));
        const share = Math.round(75 * Math.abs(word.importance) / most);
        const color = word.importance > 0 ? "--for" : "--against";
        mark.style.backgroundColor = `color-mix(in srgb, var(${color}) ${share}%, transparent)`;
        words.append(characters.slice(end, word.start).join(""), mark);
        end = word.end;
      }
      words.append(characters.slice(end).join(""));
      words.hidden = false;
      return importance.map((word) => ({ name: word.text, importance: word.importance }));
    },
    forget() {
      words.hidden = true;
    },
  };
}
