// What pages do on top of being pages: local times, copy buttons, no second sending of a form.
"use strict";
(() => {
  document.documentElement.classList.add("js");
  const shape = { dateStyle: "medium", timeStyle: "medium" };
  const local = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const isDay = !time.textContent.includes(":");
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      const format = new Intl.DateTimeFormat(undefined, isDay ? { dateStyle: "medium" } : shape);
      time.textContent = format.format(at);
      time.dataset.local = "";
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
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.querySelectorAll) local(node.parentNode ?? node);
  }).observe(document, { childList: true, subtree: true });
  document.addEventListener("DOMContentLoaded", () => local(document));
})();
