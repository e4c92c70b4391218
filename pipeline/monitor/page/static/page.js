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
    const inside = section.contains(document.activeElement);
    section.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    section.querySelectorAll(".scroll").forEach((one, index) => { one.scrollLeft = scrolled[index] || 0; });
    if (!inside) return;
    // What had the focus may be gone: then it stays near, and does not go to the top of the page.
    section.tabIndex = -1;
    (document.getElementById(held) || section).focus({ preventScroll: true });
  }

  // Whoever copies a text, or presses a button, is not disturbed; but no longer than PATIENCE.
  const PATIENCE = 30000;
  const late = new Map();
  let pressed = null;

  function busy(section) {
    const selection = document.getSelection();
    const selects = selection && !selection.isCollapsed && selection.containsNode(section, true);
    return selects || (pressed && section.contains(pressed));
  }

  function later() {
    for (const [section, [html, until]] of late) {
      if (busy(section) && Date.now() < until) continue;
      late.delete(section);
      put(section, html);
    }
  }

  document.addEventListener("pointerdown", (event) => { pressed = event.target; });
  for (const name of ["pointerup", "pointercancel"]) {
    window.addEventListener(name, () => { pressed = null; setTimeout(later); });
  }
  document.addEventListener("selectionchange", later);
  setInterval(later, PATIENCE / 10);

  function connect() {
    source = new EventSource(place);
    source.addEventListener("open", () => { lost.textContent = ""; });
    source.addEventListener("update", (event) => {
      for (const [name, html] of Object.entries(JSON.parse(event.data))) {
        const section = document.getElementById(name);
        if (!section) continue;
        const [, until] = late.get(section) || [];
        late.set(section, [html, until || Date.now() + PATIENCE]);
      }
      later();
      document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
    });
    source.addEventListener("error", () => {
      lost.textContent = lost.dataset.lost;
      // Where the server has refused, the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(again, RETRY);
    });
  }

  // Whose session has ended is sent to sign in, by the page itself.
  function again() {
    fetch(location.href, { redirect: "manual" })
      .then((answer) => (answer.type === "opaqueredirect" ? location.reload() : connect()), connect);
  }

  connect();
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
})();
