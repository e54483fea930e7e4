// Elements without markup: text is always text, whatever stands in it.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && name !== "form") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const byId = (id) => document.getElementById(id);

export function picker(text, accept, chosen) {
  const input = make("input", {
    type: "file",
    accept,
    onchange: () => {
      if (input.files.length) chosen(input.files[0]);
      input.value = "";
    },
  });
  return make("label", { className: "picker" }, text, input);
}

export function acceptDrops(element, dropped) {
  const over = (on) => (event) => {
    event.preventDefault();
    element.classList.toggle("over", on);
  };
  element.addEventListener("dragover", over(true));
  element.addEventListener("dragleave", over(false));
  element.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files.length) dropped(event.dataTransfer.files[0]);
  });
}

// Numbers as a person reads them: four digits that count.
const MAX_DIGITS = 8;

export function shorten(number) {
  const size = Math.abs(number);
  if (number === 0) return "0";
  if (size >= 1e6 || size < 1e-3) return number.toExponential(2);
  return number.toLocaleString("en", { maximumSignificantDigits: size >= 1000 ? 6 : 4 });
}

export const percent = (share) => `${(100 * share).toFixed(1)}\u202f%`;

// Where the change is of a probability, points of a percent, with as many digits as tell the most of them from nothing; of a
// value, the value's own unit.
export function signed(change, isShare, most = 1) {
  const sign = change > 0 ? "+" : change < 0 ? "\u2212" : "";
  const digits = most > 0 ? Math.min(MAX_DIGITS, Math.max(1, 1 - Math.floor(Math.log10(100 * most)))) : 1;
  return sign + (isShare ? (100 * Math.abs(change)).toFixed(digits) : shorten(Math.abs(change)));
}

export const largest = (numbers) => numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
