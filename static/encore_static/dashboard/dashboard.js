/* The dashboard without this module is whole: it only asks for a refund in place instead of on a page of its own, lets a
   chart be read point by point, and keeps an impatient hand from sending a form twice. */

import "./charts.js";

const dialog = document.getElementById("refund");

if (dialog?.showModal) {
  const form = dialog.querySelector("form");
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.refund");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    for (const place of dialog.querySelectorAll("[data-fill]")) place.textContent = link.dataset[place.dataset.fill];
    form.action = link.href;
    dialog.showModal();
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    form.querySelector("button.danger")?.setAttribute("aria-disabled", "true");
  });
}

// Back from the history the page is as it was left: let it be sent again, the server answers how it stands.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("button.danger")?.removeAttribute("aria-disabled");
  }
});

// A training under way: ask how far it is; when it has ended the page is fetched anew and says how.
const training = document.querySelector("[data-training]");

if (training) {
  const look = async () => {
    try {
      const answer = await fetch(training.dataset.training);
      // Who is not signed in any more is asked to by the page itself.
      if (answer.redirected || answer.status === 401 || answer.status === 403) return location.reload();
      const told = await answer.json();
      if (!told.running) return location.reload();
      training.querySelector("progress").value = told.percent;
      training.querySelector("[data-percent]").textContent = `${told.percent}%`;
    } catch {
      // The server is away for a moment: ask again.
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 1000);
}
