"use strict";

const byId = (id) => document.getElementById(id);
const [controls, slider, tip, labels] = ["controls", "threshold", "tip", "labels"].map(byId);
const switches = [...labels.querySelectorAll("button")];

// Mentions above the threshold, in rows below the text: nested ones, or those of doc.ents, of
// the labels that are switched on.

const mentionOf = new Map(); // from each of its elements

const texts = [...document.querySelectorAll(".text")].map((text) => {
  const mentions = [];
  for (const part of text.querySelectorAll(".mention")) {
    const { i, start, end, score, views, label } = part.dataset;
    mentions[i] ??= {
      parts: [],
      start: +start,
      end: +end,
      score: +score,
      views: views?.split(" "),
      label: label ?? "",
      name: part.getAttribute("aria-label"),
      row: +part.style.getPropertyValue("--row"),
      shown: true,
    };
    mentions[i].parts.push(part);
    mentionOf.set(part, mentions[i]);
  }
  return {
    mentions,
    byRow: [...mentions].sort((a, b) => a.row - b.row),
  };
});

const range = (mention) =>
  Array.from({ length: mention.end - mention.start }, (_, i) => mention.start + i);

/** Show some mentions of a text, their bars moved up where others have left. */
function arrange(text, shown) {
  const filled = new Map(); // rows above, by token
  for (const mention of text.byRow) {
    toggle(mention, shown.has(mention));
    if (!mention.shown) continue;
    const tokens = range(mention);
    const row = Math.max(...tokens.map((token) => filled.get(token) ?? 0));
    tokens.forEach((token) => filled.set(token, row + 1));
    if (mention.row === row) continue;
    mention.row = row;
    mention.parts.forEach((part) => part.style.setProperty("--row", row));
  }
}

/** Show or hide a mention, from screen readers and the keyboard, too. */
function toggle(mention, shown) {
  if (mention.shown === shown) return;
  mention.shown = shown;
  mention.parts.forEach((part) => part.classList.toggle("off", !shown));
  const attributes = { tabindex: 0, role: "group", "aria-label": mention.name };
  for (const [name, value] of Object.entries(attributes)) {
    if (shown) mention.parts[0].setAttribute(name, value);
    else mention.parts[0].removeAttribute(name);
  }
}

const isOn = (button) => button.getAttribute("aria-pressed") === "true";

function update() {
  const threshold = slider.valueAsNumber;
  const all = threshold <= slider.min;
  const view = controls.view.value;
  const off = new Set(switches.filter((one) => !isOn(one)).map((one) => one.dataset.label));
  let count = 0;
  for (const text of texts) {
    const mentions = text.mentions.filter(
      ({ score, views, label }) =>
        views.includes(view) && !off.has(label) && (all || score > threshold),
    );
    arrange(text, new Set(mentions));
    count += mentions.length;
  }
  slider.ariaValueText = byId("value").textContent = threshold.toFixed(2);
  const total = texts.flatMap(({ mentions }) => mentions);
  const inView = total.filter(({ views }) => views.includes(view)).length;
  const kind = view === "flat" ? "entities" : "mentions";
  byId("count").textContent = `${count} of ${inView} ${kind} shown`;
}

const scores = texts
  .flatMap(({ mentions }) => mentions.map(({ score }) => score))
  .filter(Number.isFinite);
const lowest = scores.reduce((a, b) => Math.min(a, b), 1);
slider.min = slider.value = Math.floor(lowest * 100) / 100;
byId("scores").hidden = !scores.length;
controls.hidden = false;
controls.addEventListener("input", update);
controls.addEventListener("submit", (event) => event.preventDefault());
// The labels are known after the last text.
controls.insertBefore(labels, byId("count"));
labels.hidden = !switches.length;
for (const one of switches) {
  one.addEventListener("click", () => {
    one.setAttribute("aria-pressed", !isOn(one));
    update();
  });
}
// What has the focus is not behind the controls.
const clear = () => (document.documentElement.style.scrollPaddingTop = `${controls.offsetHeight}px`);
new ResizeObserver(clear).observe(controls);
update();

// The number of what the pointer or, without it, the keyboard is on.

let active = [];

function show(target) {
  const on = ".mention:not(.off), .token";
  const element = target?.closest?.(on) ?? document.activeElement.closest(on);
  active.forEach((part) => part.classList.remove("active"));
  active = element ? (mentionOf.get(element)?.parts ?? [element]) : [];
  active.forEach((part) => part.classList.add("active"));
  tip.hidden = !element;
  if (!element) return;
  tip.textContent = active[0].dataset.tip;
  const { left, top } = element.getClientRects()[0];
  const right = document.documentElement.clientWidth - tip.offsetWidth - 4;
  tip.style.left = `${Math.max(4, Math.min(left, right)) + scrollX}px`;
  tip.style.top = `${Math.max(0, top - tip.offsetHeight - 2) + scrollY}px`;
}

document.addEventListener("pointerover", (event) => show(event.target));
document.addEventListener("pointerleave", () => show());
document.addEventListener("focusin", (event) => show(event.target));
document.addEventListener("focusout", () => show());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tip.hidden = true;
});

// Tokens: one of them is chosen, to see the matches of the spans that end there.

function choose(tokens, list, token) {
  tokens.querySelector("[aria-pressed]")?.removeAttribute("aria-pressed");
  token.setAttribute("aria-pressed", true);
  const matches = JSON.parse(token.dataset.matches);
  const largest = Math.max(1, ...matches.map(Math.abs));
  const starts = matches.flatMap((match, back) => {
    if (match === null) return [];
    const start = tokens.children[token.dataset.i - back];
    const item = document.createElement("li");
    const word = document.createElement("span");
    word.textContent = start.textContent;
    word.style.setProperty("--share", match / largest);
    const number = document.createElement("b");
    number.textContent = match.toFixed(2);
    item.append(word, " ", number);
    return [item];
  });
  list.hidden = false;
  list.replaceChildren(...starts.reverse());
}

for (const tokens of document.querySelectorAll(".tokens")) {
  const list = tokens.nextElementSibling;
  const all = [...tokens.querySelectorAll(".token")];
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  const stops = { Home: 0, End: all.length - 1 };
  if (all.length) all[0].tabIndex = 0;
  tokens.addEventListener("click", ({ target }) => {
    const token = target.closest(".token");
    if (token) choose(tokens, list, token);
  });
  tokens.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const at = all.indexOf(event.target);
    const next = all[stops[event.key] ?? at + (steps[event.key] ?? 0)];
    if (event.key === "Enter" || event.key === " ") choose(tokens, list, event.target);
    else if (event.key in steps || event.key in stops) next?.focus();
    else return;
    event.preventDefault();
  });
  tokens.addEventListener("focusin", ({ target }) => {
    all.forEach((token) => (token.tabIndex = token === target ? 0 : -1));
  });
}

// In a frame of another page, be as high as the content.

const fit = () => (frameElement.style.height = `${document.body.offsetHeight}px`);
if (window.frameElement) new ResizeObserver(fit).observe(document.body);
