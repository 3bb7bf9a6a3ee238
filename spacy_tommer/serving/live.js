"use strict";

const byId = (id) => document.getElementById(id);
const [controls, slider, own, state] = ["controls", "threshold", "own", "state"].map(byId);

// A text and its mentions, as events tell. Offsets count code points.

class View {
  constructor(element) {
    this.element = element;
    this.clear();
  }

  clear() {
    this.text = [];
    this.mentions = new Map();
    this.draw();
  }

  append(text) {
    this.text.push(...text);
    this.draw();
  }

  apply(events) {
    for (const event of events) {
      const place = `${event.start} ${event.end}`;
      if (event.what === "removed") this.mentions.delete(place);
      else this.mentions.set(place, event);
    }
    this.draw();
  }

  draw() {
    // Many events come together.
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      const shown = [...this.mentions.values()].filter(isShown);
      this.element.replaceChildren(...nestedElements(this.text, shown));
      count();
    });
  }
}

const views = ["typed", "written"].map((id) => new View(byId(id)));
const [typed, written] = views;

const isShown = ({ score, flat }) =>
  score >= slider.valueAsNumber && (flat || controls.view.value === "nested");

function count() {
  const all = views.flatMap(({ mentions }) => [...mentions.values()]);
  byId("count").textContent = `${all.filter(isShown).length} of ${all.length} mentions shown`;
}

controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("input", () => {
  byId("value").textContent = slider.valueAsNumber.toFixed(2);
  views.forEach((view) => view.draw());
});

/** Give each mention a row of bars: the first one that no mention inside it has. */
function stack(mentions) {
  const rows = new Map();
  const length = ({ start, end }) => end - start;
  for (const one of [...mentions].sort((a, b) => length(a) - length(b))) {
    const taken = new Set();
    for (const [other, row] of rows)
      if (other.start < one.end && one.start < other.end) taken.add(row);
    let row = 0;
    while (taken.has(row)) row++;
    rows.set(one, row);
  }
  return rows;
}

/** Write a text with its mentions as elements, each inside those with lower bars. */
function nestedElements(text, mentions) {
  const rows = stack(mentions);
  const edges = new Set([0, text.length]);
  for (const { start, end } of mentions) edges.add(start).add(end);
  const sorted = [...edges].sort((a, b) => a - b);
  const root = document.createDocumentFragment();
  const described = new Set();
  let opened = [];
  for (const [i, edge] of sorted.entries()) {
    const wanted = mentions
      .filter(({ start, end }) => start <= edge && edge < end)
      .sort((a, b) => rows.get(b) - rows.get(a));
    let kept = 0;
    while (kept < wanted.length && opened[kept]?.mention === wanted[kept]) kept++;
    opened.length = kept;
    for (const mention of wanted.slice(kept)) {
      const element = makeElement(mention, rows.get(mention), described.has(mention));
      described.add(mention);
      (opened.at(-1)?.element ?? root).append(element);
      opened.push({ mention, element });
    }
    const part = text.slice(edge, sorted[i + 1]).join("");
    if (part) (opened.at(-1)?.element ?? root).append(part);
  }
  return root.childNodes;
}

function makeElement({ text, label, score, final }, row, again) {
  const element = document.createElement("span");
  element.className = final ? "mention" : "mention open";
  element.style.cssText = styles[label] ?? "";
  element.style.setProperty("--row", row);
  element.style.setProperty("--score", score.toFixed(2));
  if (again) return element;
  const known = label === "MENTION" ? "" : `${label}, `;
  const tip = `${known}score ${score.toFixed(2)}${final ? "" : ", can still change"}`;
  if (known) element.dataset.label = label;
  element.dataset.start = ""; // for a gap before the next bar
  element.title = tip;
  element.tabIndex = 0;
  element.role = "group";
  element.ariaLabel = `${text}, ${tip}`;
  return element;
}

// Server-sent events.

/** Send a request, and throw the server's reason if it is refused. */
async function send(path, options) {
  const response = await fetch(path, options);
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new Error(body?.error?.message ?? `The server answers ${response.status}.`);
}

/** Yield the messages of an answer: name and data. */
async function* messages(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = part.split("\n").map((line) => line.split(/: (.*)/s));
      const { event = "message", data } = Object.fromEntries(fields);
      yield { event, data };
    }
  }
}

const say = (text) => (state.textContent = text);
const fail = (error) => error.name === "AbortError" || say(error.message);

// A text that is typed. It is sent as far as it only grows; after another change it begins
// again.

let session; // where the text goes
let sent = ""; // what has been sent to it
let sending = false;
let ending = false; // once all is sent

async function open() {
  session?.abort.abort();
  const abort = new AbortController();
  const begun = (session = { abort });
  sent = "";
  typed.clear();
  say("");
  const answer = messages(await send("stream", { signal: abort.signal }));
  begun.id = JSON.parse((await answer.next()).value.data).id;
  listen(begun, answer).catch(fail);
}

async function listen(begun, answer) {
  for await (const { event, data } of answer) {
    if (begun !== session) return;
    const value = JSON.parse(data);
    if (event === "mention") typed.apply([value]);
    else if (event === "error") say(value.error.message);
    else if (event === "end") say(value.reason === "complete" ? "All are final." : "");
  }
  if (begun === session) session = undefined;
}

async function type() {
  if (sending) return;
  sending = true;
  try {
    while (own.value !== sent) {
      const wanted = own.value;
      if (!session?.id || !wanted.startsWith(sent)) await open();
      const chunk = wanted.slice(sent.length);
      sent = wanted;
      typed.append(chunk);
      if (chunk) await send(`stream/${session.id}`, { method: "POST", body: chunk });
    }
    if (ending && session) await send(`stream/${session.id}`, { method: "DELETE" });
  } catch (error) {
    session?.abort.abort();
    session = undefined;
    fail(error);
  } finally {
    sending = ending = false;
  }
}

own.addEventListener("input", type);
byId("end").addEventListener("click", () => {
  ending = true;
  type();
});

// A text of the model.

let writing;

byId("write").addEventListener("click", async () => {
  if (!own.value.trim()) return say("Type a question or a beginning first.");
  writing = new AbortController();
  byId("write").disabled = true;
  byId("stop").hidden = false;
  written.clear();
  say("");
  const body = {
    messages: [{ role: "user", content: own.value }],
    stream: true,
    temperature: 0.7,
  };
  try {
    const answer = await send("v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: writing.signal,
    });
    for await (const { event, data } of messages(answer)) {
      if (data === "[DONE]") break;
      const { choices, mentions, error } = JSON.parse(data);
      if (event === "error") throw new Error(error.message);
      written.append(choices[0].delta.content ?? "");
      written.apply(mentions);
    }
  } catch (error) {
    fail(error);
  } finally {
    byId("write").disabled = false;
    byId("stop").hidden = true;
  }
});
byId("stop").addEventListener("click", () => writing.abort());
