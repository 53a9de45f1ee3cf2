// Keeps the panel's numbers fresh. Without this script the page works as well; then "Refresh" does it.
"use strict";

const EVERY_MS = 2000;

async function refresh() {
  if (document.hidden) return;
  const state = document.querySelector("[data-state]");
  try {
    const answer = await fetch("/", { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const facts = await answer.json();
    for (const place of document.querySelectorAll("[data-shown]")) {
      const text = facts.shown[place.dataset.shown];
      if (text !== undefined && place.textContent !== text) place.textContent = text;
    }
    state.classList.toggle("up", facts.broker.ready);
    state.classList.toggle("down", !facts.broker.ready);
  } catch {
    state.classList.replace("up", "down");
    document.querySelector("[data-shown=connection]").textContent = "This shop does not answer";
  }
}

async function keepFresh() {
  await refresh();
  setTimeout(keepFresh, EVERY_MS);
}

document.querySelector("[data-refresh]").parentElement.hidden = true;
document.addEventListener("visibilitychange", refresh);
setTimeout(keepFresh, EVERY_MS);
