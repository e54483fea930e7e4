// An input of any kind: its JSON is typed. Of an explanation nothing is shown but the numbers of its parts.

import { make } from "./dom.js";

export function createInput(model, { ready }) {
  const area = make("textarea", { rows: 6, spellcheck: false, id: "json", value: JSON.stringify(model.sample) });
  area.addEventListener("input", () => ready(null));
  return {
    element: make("div", {},
      make("label", { htmlFor: "json" }, `${model.name} as JSON: ${model.expected}`),
      area,
      make("div", { className: "tools" },
        make("button", { type: "button", onclick: () => { area.value = JSON.stringify(model.sample); ready(); } }, "Example"))),
    async read() {
      return { body: `{${JSON.stringify(model.name)}: ${area.value}}`, type: "application/json" };
    },
    show({ importance }) {
      return importance.map((drop, part) => ({ name: `${part}`, importance: drop }));
    },
    forget() {},
  };
}
