"use strict";
// SPDX-License-Identifier: BSD-2-Clause
// Asks for report.json and sentry.json beside it, and shows them. All that comes from there is set as text.
// The server's clock is the one that counts: what is shown runs on from the last answer.

const EVERY = 2000;
const STRIP = 3600;
const MOST = 200;
const WORDS = { healthy: "healthy", sick: "sick", backend_sick: "backend sick" };

const byId = (id) => document.getElementById(id);
// The longest time left that an entry was seen with, by object and key: that is a full bar.
let longest = new Map();
let running = [];

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

async function ask(url) {
  const answer = await fetch(url, { cache: "no-store", credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${url.split("?")[0]}: status ${answer.status}`);
  const found = await answer.json();
  if (found.error) throw new Error(found.error);
  return found;
}

// All objects, and the entries of each up to a bound: page by page, and from an object's own cursor if those of
// the objects before it are too many.
async function report() {
  const first = await ask("report.json");
  const objects = [...first.objects];
  let next = first.next;
  while (next !== null && next.startsWith("o")) {
    const page = await ask(`report.json?${next}`);
    objects.push(...page.objects);
    next = page.next;
  }
  const entries = new Map(objects.map((object) => [object.name, []]));
  for (const entry of first.entries) entries.get(entry.object)?.push(entry);
  for (const object of objects) {
    const own = entries.get(object.name);
    if (own.length >= Math.min(object.live, MOST)) continue;
    own.length = 0;
    let cursor = object.cursor;
    while (cursor !== null && cursor.split(".")[0] === object.cursor && own.length < MOST) {
      const page = await ask(`report.json?${cursor}`);
      own.push(...page.entries.filter((entry) => entry.object === object.name));
      cursor = page.next;
    }
    own.length = Math.min(own.length, MOST);
  }
  return { vcl: first.vcl, now: first.now, objects, entries };
}

function span(seconds) {
  if (seconds >= 172800) return `${Math.floor(seconds / 86400)} d`;
  if (seconds >= 7200) return `${Math.floor(seconds / 3600)} h`;
  if (seconds >= 120) return `${Math.floor(seconds / 60)} min`;
  return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}

function bar(share, full) {
  const outer = make("div", full ? "bar full" : "bar");
  const inner = make("i");
  inner.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  outer.append(inner);
  return outer;
}

// When it was sick in the last hour: the changes alternate, and the last one led to what it is now.
function strip(object, now) {
  const outer = make("div", "trips");
  const from = now - STRIP;
  const changes = object.changes.map((at, number) => ({ at, sick: ((object.changes.length - 1 - number) % 2 === 0) === object.sick }));
  if (changes.length === 0 || !changes[0].sick) changes.unshift({ at: from, sick: changes.length === 0 ? object.sick : true });
  changes.forEach((change, number) => {
    const end = changes[number + 1]?.at ?? now;
    if (!change.sick || end <= from) return;
    const piece = make("i");
    const begin = Math.max(change.at, from);
    // However short, it is to be seen.
    piece.style.left = `${Math.min((begin - from) / STRIP, 0.99) * 100}%`;
    piece.style.width = `${((end - begin) / STRIP) * 100}%`;
    piece.title = `sick for ${span(end - change.at)}`;
    outer.append(piece);
  });
  outer.setAttribute("role", "img");
  outer.setAttribute("aria-label", `tripped ${object.trips} times, healed ${object.heals} times`);
  return outer;
}

function row(entry, received, seen) {
  const line = make("tr");
  const name = make("td", entry.name ? "" : "key", entry.name ?? entry.key);
  name.title = entry.key;
  const left = make("td", "number ttl");
  const text = make("span");
  left.append(text);
  line.append(name, make("td", "", entry.reason), make("td", "number", entry.hits >= 65535 ? "65535+" : entry.hits), left);
  if (entry.ttl === null) {
    text.textContent = "for ever";
  } else {
    const drawn = bar(1);
    left.append(drawn);
    const id = `${entry.object}/${entry.key}`;
    const whole = Math.max(entry.ttl, longest.get(id) ?? 0);
    seen.set(id, whole);
    running.push({ line, text, drawn: drawn.firstChild, ttl: entry.ttl, whole, received });
  }
  return line;
}

function card(object, entries, now, received, seen) {
  const article = make("article");
  article.dataset.name = object.name;
  const title = make("div", "title");
  title.append(make("h2", "", object.name), make("span", "backend", object.backend));
  if (object.admin !== "auto") {
    title.append(make("span", "backend", `set ${object.admin} by the operator`));
  }
  title.append(make("span", `state ${object.state}`, WORDS[object.state] ?? object.state));
  const live = make("p", "live");
  const limit = object.threshold > 0 ? ` of ${object.threshold} denied` : " denied, no threshold";
  live.append(make("b", "", object.live), limit);
  const share = object.threshold > 0 ? object.live / object.threshold : 0;
  const rare = [[object.refused_rate, "for the rate"], [object.refused_trial, "during trials"]].filter(([times]) => times > 0);
  const aside = [[object.no_attempt, "no attempt"], [object.unjudged, "unjudged"]].filter(([times]) => times > 0);
  const counts = `${object.denied} entries made · refused ${object.refused_object} for the object, ${object.refused_threshold} for the threshold` +
    rare.map(([times, why]) => `, ${times} ${why}`).join("") + (object.spared > 0 ? ` · spared ${object.spared} ×` : "") +
    (aside.length > 0 ? ` · failed fetches that do not count: ${aside.map(([times, what]) => `${times} ${what}`).join(", ")}` : "") + " · " +
    `tripped ${object.trips} ×, healed ${object.heals} ×` + (object.evicted > 0 ? ` · ${object.evicted} given up for want of room` : "");
  const scale = make("div", "scale");
  scale.append(make("span", "", "an hour ago"), make("span", "", "sick as a whole"), make("span", "", "now"));
  article.append(title, live, bar(share, object.sick), make("p", "counts", counts), strip(object, now), scale);
  if (entries.length > 0) {
    const table = make("table");
    const head = make("tr");
    head.append(make("th", "", "object"), make("th", "", "reason"), make("th", "number", "hits"), make("th", "number", "time left"));
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    body.append(...entries.map((entry) => row(entry, received, seen)));
    table.append(top, body);
    article.append(table);
  }
  if (object.live > entries.length) article.append(make("p", "hint", `and ${object.live - entries.length} more`));
  return article;
}

function client(status) {
  const line = make("tr");
  const dropped = Object.values(status.dropped).reduce((sum, count) => sum + count, 0);
  const queue = `${status.queue.events} of ${status.queue.max_events}`;
  line.append(make("td", "", status.name), make("td", "", status.state), make("td", "number", queue));
  line.append(make("td", "number", status.sent), make("td", "number", dropped), make("td", "", status.last_error ?? ""));
  return line;
}

function tick() {
  const now = performance.now();
  for (const { line, text, drawn, ttl, whole, received } of running) {
    const left = ttl - (now - received) / 1000;
    text.textContent = left > 0 ? span(left) : "over";
    drawn.style.width = `${Math.max(0, left / whole) * 100}%`;
    line.hidden = left < -1;
  }
}

async function refresh() {
  const about = byId("about");
  try {
    const found = await report();
    const received = performance.now();
    const seen = new Map();
    running = [];
    const fresh = found.objects.map((object) => card(object, found.entries.get(object.name), found.now, received, seen));
    longest = seen;
    byId("objects").replaceChildren(...fresh);
    about.className = "";
    about.textContent = `VCL ${found.vcl}, ${found.objects.length === 1 ? "one object" : `${found.objects.length} objects`}, at ${new Date(found.now * 1000).toLocaleTimeString()}`;
    tick();
  } catch (problem) {
    about.className = "bad";
    about.textContent = `No news: ${problem.message}`;
  }
  // A VCL without sentry.json is none the worse for it.
  try {
    const clients = await ask("sentry.json");
    byId("clients").replaceChildren(...clients.map(client));
    byId("sentry").hidden = false;
  } catch {
    byId("sentry").hidden = true;
  }
}

async function run() {
  if (!document.hidden) await refresh();
  setTimeout(run, EVERY);
}

setInterval(tick, 200);
run();
