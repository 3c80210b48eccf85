// What pages do on top of being pages: local times, copy buttons, no second sending of a form.
"use strict";
(() => {
  document.documentElement.classList.add("js");
  // Made once: one for each time of a page would hold up its first paint.
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
  const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  // A live part brings its times in UTC anew: what was made of one is kept beside it.
  const local = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      if (time.dataset.local === time.textContent) continue;
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      const text = (time.textContent.includes(":") ? moment : day).format(at);
      time.textContent = text;
      time.dataset.local = text;
    }
  };
  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy).textContent;
    let said = "Copied";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      said = "Select it and copy";
    }
    const before = button.dataset.label ?? button.textContent;
    button.dataset.label = before;
    button.textContent = said;
    setTimeout(() => { button.textContent = before; }, 2000);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    if (form.method !== "post") return;
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 5000);
  });
  // The back button may show a page from before a log-out: ask for it anew.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  document.addEventListener("DOMContentLoaded", () => {
    local();
    new MutationObserver(local).observe(document.body, { childList: true, characterData: true, subtree: true });
  });
})();
