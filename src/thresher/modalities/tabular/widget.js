// A row of a table: one field for each column that the encoder knows.

import { make, shorten } from "./dom.js";

const MISSING = "missing:", OTHER = "other:", KNOWN = "known:";

export function createInput(model, { ready }) {
  const { columns, other_categories } = model.input;
  const fields = columns.map((column) => (column.categories ? choice(column, other_categories) : number(column)));
  const setTypical = () => fields.forEach((field) => field.set());
  setTypical();
  const form = make("div", { className: "fields", oninput: () => ready(null) },
    ...fields.map((field, index) => make("label", {}, columns[index].name, field.element)));
  return {
    element: make("div", {}, form,
      make("div", { className: "tools" },
        make("button", { type: "button", onclick: () => { setTypical(); ready(); } }, "Typical values"))),
    async read() {
      const row = Object.fromEntries(columns.map((column, index) => [column.name, fields[index].get()]));
      return { body: JSON.stringify({ [model.name]: row }), type: "application/json" };
    },
    show({ importance }) {
      return importance.map((part) => ({
        name: part.columns.join(", "),
        note: `as if ${part.replaced_by.map(say).join(", ")}`,
        importance: part.importance,
      }));
    },
    forget() {},
  };
}

const say = (value) => (value === null ? "missing" : typeof value === "number" ? shorten(value) : value);

function number(column) {
  const element = make("input", { type: "number", step: "any", placeholder: column.may_be_missing ? "missing" : "a number" });
  return {
    element,
    set: () => { element.value = Number(column.typical.toPrecision(6)); },
    get: () => (element.value === "" ? null : Number(element.value)),
  };
}

function choice(column, others) {
  const option = (value, text) => make("option", { value }, text);
  const element = make("select", {},
    ...column.categories.map((category) => option(KNOWN + category, category)),
    column.may_be_missing ? option(MISSING, "(missing)") : null,
    others ? option(OTHER, "(another)") : null);
  return {
    element,
    set: () => { element.value = column.typical === null ? MISSING : KNOWN + column.typical; },
    get: () => {
      if (element.value === MISSING) return null;
      return element.value === OTHER ? "(another)" : element.value.slice(KNOWN.length);
    },
  };
}
