// Keeps the first screen up to date by server-sent events. Without it the page works, and stands still.
"use strict";

(() => {
  const place = document.body.dataset.live;
  // A form that is sent is not sent twice.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
  if (!place || !window.EventSource) return;

  const lost = document.getElementById("lost");
  const RETRY = 30000;
  let source = null;

  function put(section, html) {
    const held = document.activeElement && section.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...section.querySelectorAll("details[open]")].map((one) => one.id);
    const scrolled = [...section.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    section.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    section.querySelectorAll(".scroll").forEach((one, index) => { one.scrollLeft = scrolled[index] || 0; });
    if (held) document.getElementById(held)?.focus({ preventScroll: true });
  }

  function connect() {
    source = new EventSource(place);
    source.addEventListener("open", () => { lost.textContent = ""; });
    source.addEventListener("update", (event) => {
      for (const [name, html] of Object.entries(JSON.parse(event.data))) {
        const section = document.getElementById(name);
        if (section) put(section, html);
      }
      document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
    });
    source.addEventListener("error", () => {
      lost.textContent = lost.dataset.lost;
      // Where the server has refused, the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY);
    });
  }

  connect();
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
})();
