// Searches the sections of all pages, whose text is in index.js: every word has to be there. ?q=WORDS in the
// address searches at once.
"use strict";

const box = document.getElementById("search"), list = document.getElementById("found");
const narrow = matchMedia("(max-width: 60rem)");
document.querySelector(".nav").open = !narrow.matches;

function load(then) {
  if (window.INDEX) return then();
  const script = document.createElement("script");
  script.src = "index.js";
  script.onload = then;
  document.head.append(script);
}

// score is how well a section fits: where a word is in a heading, and how early.
function score([, page, heading, text], words) {
  let sum = 0;
  for (const word of words) {
    const where = [heading, page, text].map((s) => s.toLowerCase().indexOf(word));
    if (where.every((at) => at < 0)) return 0;
    sum += (where[0] >= 0 ? 30 : 0) + (where[0] === 0 ? 20 : 0) + (where[1] >= 0 ? 10 : 0) + (where[2] >= 0 ? 5 / (1 + where[2] / 200) : 0);
  }
  return sum;
}

function find() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  list.hidden = words.length === 0;
  const best = words.length === 0 ? [] : INDEX.map((entry) => [score(entry, words), entry]).filter(([n]) => n > 0);
  best.sort(([a], [b]) => b - a);
  list.replaceChildren(...(best.length > 0 || words.length === 0 ? best.slice(0, 20).map(([, entry]) => row(entry, words)) : [item("Nothing has all these words.")]));
}

function item(...children) {
  const li = document.createElement("li");
  li.append(...children);
  return li;
}

function row([url, page, heading, text], words) {
  const a = document.createElement("a"), b = document.createElement("b"), where = document.createElement("span"), some = document.createElement("p");
  a.href = url;
  b.textContent = heading;
  where.textContent = heading === page ? "" : " " + page;
  const from = Math.max(0, Math.min(...words.map((w) => text.toLowerCase().indexOf(w)).filter((at) => at >= 0), text.length) - 40);
  some.append(...marked((from > 0 ? "… " : "") + text.slice(from, from + 160), words));
  a.append(b, where, some);
  a.onclick = () => (list.hidden = true);
  return item(a);
}

// marked is a text in pieces, with the words marked.
function marked(text, words) {
  const low = text.toLowerCase(), pieces = [];
  for (let at = 0; at < text.length;) {
    const next = words.map((w) => [low.indexOf(w, at), w.length]).filter(([i]) => i >= 0).sort(([a], [b]) => a - b)[0] || [text.length, 0];
    pieces.push(text.slice(at, next[0]));
    if (next[1] > 0) {
      const m = document.createElement("mark");
      m.textContent = text.slice(next[0], next[0] + next[1]);
      pieces.push(m);
    }
    at = next[0] + next[1];
  }
  return pieces;
}

box.oninput = () => load(find);
document.onkeydown = (event) => {
  const found = [...list.querySelectorAll("a")], at = found.indexOf(document.activeElement);
  if (event.key === "/" && document.activeElement !== box) box.focus();
  else if (event.key === "Escape") list.hidden = true;
  else if (event.key === "ArrowDown" && !list.hidden) (found[at + 1] || found[at]).focus();
  else if (event.key === "ArrowUp" && !list.hidden) (found[at - 1] || box).focus();
  else if (event.key === "Enter" && document.activeElement === box && found.length > 0) found[0].click();
  else return;
  event.preventDefault();
};

const asked = new URLSearchParams(location.search).get("q");
if (asked) {
  box.value = asked;
  load(find);
}
