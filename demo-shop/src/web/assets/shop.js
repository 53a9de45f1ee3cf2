// Makes pages livelier. None of them needs this: forms are forms, and the panel loads itself anew without it.
"use strict";

// A second click while the first order is under way is not sent. The form's token would catch it as well.
for (const form of document.querySelectorAll("form[action='/submit']")) {
  form.addEventListener("submit", (event) => {
    if (document.documentElement.dataset.ordering) {
      event.preventDefault();
      return;
    }
    document.documentElement.dataset.ordering = "yes";
    (event.submitter ?? form).setAttribute("aria-busy", "true");
  });
}

// A page that the browser kept shows an old form, whose token is used up. Not reloaded, because it may be the answer to
// an order.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.replace(location.pathname === "/submit" ? "/" : location.href);
});

const state = document.querySelector("[data-state]");
if (state) watch();

function watch() {
  let source = null;
  let retry = 0;

  const open = () => {
    clearTimeout(retry);
    source?.close();
    if (document.hidden) return;
    source = new EventSource("/admin/events");
    source.addEventListener("numbers", (event) => {
      const { connected, texts } = JSON.parse(event.data);
      show(texts);
      state.classList.toggle("up", connected);
      state.classList.toggle("down", !connected);
    });
    source.addEventListener("chart", (event) => {
      const { texts, markup } = JSON.parse(event.data);
      show(texts);
      // Written by this shop's own server, of numbers alone.
      for (const [key, html] of Object.entries(markup)) {
        document.querySelector(`[data-markup=${key}]`).innerHTML = html;
      }
    });
    source.addEventListener("error", () => {
      // A stream that ended comes back by itself, soon; one that was refused does not.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, 10_000 + 5_000 * Math.random());
      lost();
    });
  };

  // An instance that stops, or a network that is gone: only after a while, because streams end now and then.
  let silent = 0;
  const lost = () => {
    silent ||= setTimeout(() => {
      silent = 0;
      if (source.readyState === EventSource.OPEN) return;
      state.classList.replace("up", "down");
      show({ connection: "This instance does not answer; the numbers are old" });
    }, 6_000);
  };

  // A page that nobody looks at keeps no place.
  document.addEventListener("visibilitychange", () => (document.hidden ? source?.close() : open()));
  addEventListener("pagehide", () => source?.close());
  open();
}

function show(texts) {
  for (const [key, text] of Object.entries(texts)) {
    for (const place of document.querySelectorAll(`[data-text=${key}]`)) {
      if (place.textContent !== text) place.textContent = text;
    }
  }
}
