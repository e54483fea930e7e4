// The page: asks the service what it takes, sends what the person gives, and shows what comes back.

import { byId, make } from "./dom.js";
import { renderMarkdown } from "./markdown.js";
import { showAnswer, showMattered, spoken } from "./result.js";
import { showVerdict } from "./verdict.js";
import { createInput } from "./widget.js"; // of the modality that is served

const TITLES = { 503: "The service is busy", 504: "The service is busy" };

let input = null;
let newest = 0;
let isAnswered = false;

async function start() {
  const model = await getJson("ui/model.json");
  document.title = `${model.model} \u2013 Thresher`;
  byId("name").textContent = model.model;
  const facts = [`version ${model.model_version}`, model.candidate, model.task];
  byId("facts").replaceChildren(...facts.map((fact) => make("li", {}, fact)));
  input = createInput(model, { ready: changed, problem: (words) => showError("This file was not taken", words) });
  byId("input").replaceChildren(input.element);
  if (model.classes.length) offerTargets(model.classes);
  byId("try").addEventListener("submit", (event) => { event.preventDefault(); predict(); });
  byId("explain").addEventListener("click", explain);
  await showAbout(model);
}

// An input that is complete is answered at once; of one that is being changed the last answer says nothing any more.
function changed(done = true) {
  input.forget();
  byId("mattered").replaceChildren();
  isAnswered = false;
  if (done) predict();
  else {
    newest++;
    byId("answer").classList.add("stale");
  }
}

async function predict() {
  isAnswered = false;
  const result = await ask("predict", byId("predict"));
  if (!result) return;
  const [answer] = result.document.predictions;
  byId("answer").replaceChildren(...showAnswer(answer, result));
  byId("answer").classList.remove("stale");
  isAnswered = true;
  byId("status").textContent = spoken(answer);
}

async function explain() {
  if (!isAnswered) await predict();
  if (!isAnswered) return;
  const target = byId("target").value;
  const result = await ask(`explain${target ? `?target=${encodeURIComponent(target)}` : ""}`, byId("explain"));
  if (!result) return;
  const parts = input.show(result.document);
  byId("mattered").replaceChildren(...showMattered(result.document, parts, result.milliseconds));
  byId("status").textContent = "The explanation is shown.";
}

// The answer to the input as it is now; null where it was refused, which is said, or where a later one was asked for.
async function ask(path, button) {
  const turn = ++newest;
  button.setAttribute("aria-busy", "true");
  try {
    const { body, type } = await input.read();
    const begin = performance.now();
    const response = await fetch(path, { method: "POST", body, headers: { "Content-Type": type } });
    const document = await response.json();
    const milliseconds = performance.now() - begin;
    if (turn !== newest) return null;
    if (!response.ok) throw new Refusal(response.status, document.error);
    byId("error").replaceChildren();
    return { document, milliseconds, requestId: response.headers.get("x-request-id") };
  } catch (error) {
    if (turn === newest) showFailure(error);
    return null;
  } finally {
    button.removeAttribute("aria-busy");
  }
}

class Refusal extends Error {
  constructor(status, words) {
    super(words);
    this.title = TITLES[status] ?? (status < 500 ? "The service did not take this input" : "The service failed");
  }
}

function showFailure(error) {
  byId("answer").classList.add("stale");
  if (error instanceof Refusal) showError(error.title, error.message);
  else if (error instanceof TypeError || error instanceof SyntaxError) showError("No answer", "The service cannot be reached, or something else answers in its place.");
  else showError("This input was not sent", error.message);
}

function showError(title, words) {
  byId("error").replaceChildren(make("p", { className: "error" }, make("strong", {}, title), words));
}

function offerTargets(classes) {
  const options = [make("option", { value: "" }, "the predicted class"), ...classes.map((name) => make("option", { value: name }, name))];
  byId("target").replaceChildren(...options);
  byId("target-label").hidden = false;
}

function showAbout(model) {
  const has = (name) => model.attachments.includes(name);
  const tabs = [];
  if (has("card.md")) tabs.push(["Model card", async () => [make("div", { className: "card" }, ...renderMarkdown(await (await get("ui/card.md")).text()))]]);
  if (has("verdict.json")) tabs.push(["Verdict", async () => showVerdict(await getJson("ui/verdict.json"))]);
  tabs.push(["Call it", async () => [
    make("p", {}, "Paste this into a terminal:"), make("pre", {}, model.example),
    make("p", {}, `${model.predict.url} takes ${model.predict.content_types.join(", ")}. In JSON: ${model.predict.json} One is ${model.expected}.`)]]);
  const buttons = tabs.map(([name], index) => make("button", { type: "button", id: `tab-${index}`, onclick: () => choose(index) }, name));
  const panel = make("div", { tabIndex: 0 });
  const strip = make("div", { className: "tabs" }, ...buttons);
  strip.setAttribute("role", "tablist");
  strip.setAttribute("aria-label", "About the model");
  panel.setAttribute("role", "tabpanel");
  buttons.forEach((button) => button.setAttribute("role", "tab"));
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    choose(next);
    buttons[next].focus();
  });
  async function choose(index) {
    buttons.forEach((button, place) => {
      button.setAttribute("aria-selected", place === index);
      button.tabIndex = place === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `tab-${index}`);
    try {
      panel.replaceChildren(...(await tabs[index][1]()));
    } catch {
      panel.replaceChildren(make("p", { className: "error" }, "This could not be loaded. Choose it again to retry."));
    }
  }
  byId("about").replaceChildren(strip, panel);
  return choose(0);
}

async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}

const getJson = async (path) => (await get(path)).json();

start().catch(() => showError("This page could not be set up", "The service does not answer. Is it running? Reload to try again."));
