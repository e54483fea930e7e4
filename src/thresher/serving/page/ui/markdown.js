// The Markdown that a model card has: headings, lists, tables, code, strong words. Anything else stays text: no markup
// of the card's own, no address that the page would open.

import { make } from "./dom.js";

export function renderMarkdown(text) {
  const lines = text.split(/\r?\n/);
  const blocks = [];
  let place = 0;
  const take = (test) => {
    const start = place;
    while (place < lines.length && test(lines[place])) place++;
    return lines.slice(start, place);
  };
  while (place < lines.length) {
    const line = lines[place];
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (!line.trim()) place++;
    else if (heading) {
      blocks.push(make(`h${Math.min(6, heading[1].length + 1)}`, { className: `level${heading[1].length}` }, ...inline(heading[2])));
      place++;
    } else if (isFence(line)) {
      place++;
      blocks.push(make("pre", {}, take((one) => !isFence(one)).join("\n")));
      place++;
    } else if (isRow(line)) blocks.push(table(take(isRow)));
    else if (isItem(line)) blocks.push(list(take((one) => isItem(one) || /^\s+\S/.test(one))));
    else blocks.push(make("p", {}, ...inline(take(isProse).join(" "))));
  }
  return blocks;
}

const isFence = (line) => line.startsWith("```");
const isRow = (line) => line.startsWith("|");
const isItem = (line) => /^\s*([-*]|\d+\.)\s+/.test(line);
const isProse = (line) => line.trim() && !isRow(line) && !isItem(line) && !isFence(line) && !/^#{1,6}\s/.test(line);

function list(lines) {
  const items = [];
  for (const line of lines) {
    if (isItem(line)) items.push(line.replace(/^\s*([-*]|\d+\.)\s+/, ""));
    else items.push(`${items.pop()} ${line.trim()}`);
  }
  return make(/^\s*\d/.test(lines[0]) ? "ol" : "ul", {}, ...items.map((item) => make("li", {}, ...inline(item))));
}

function table(lines) {
  const cells = lines.map((line) => line.replace(/^\|/, "").replace(/\|\s*$/, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|")));
  const ruled = cells.length > 1 && cells[1].every((cell) => /^:?-+:?$/.test(cell));
  const row = (tag) => (texts) => make("tr", {}, ...texts.map((text) => make(tag, {}, ...inline(text))));
  const head = ruled ? [make("thead", {}, row("th")(cells[0]))] : [];
  return scrolling(make("table", {}, ...head, make("tbody", {}, ...cells.slice(ruled ? 2 : 0).map(row("td")))), "Table of the model card");
}

export function scrolling(element, name) {
  const frame = make("div", { className: "scroll", tabIndex: 0 }, element);
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", name);
  return frame;
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) => {
    if (part.startsWith("`") && part.endsWith("`") && part.length > 2) return make("code", {}, part.slice(1, -1));
    if (part.startsWith("**") && part.endsWith("**") && part.length > 4) return make("strong", {}, part.slice(2, -2));
    return part;
  });
}
