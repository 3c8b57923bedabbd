// The one script: checks the policy while it is being written. Without it the Check button does the same.
"use strict";
const form = document.querySelector("form[data-live-check]");
if (form) {
  const result = document.getElementById("checked");
  let timer = 0;
  let newest = 0;
  const check = async () => {
    const mine = ++newest;
    result.setAttribute("aria-busy", "true");
    const answer = await fetch("/policies/check", {
      method: "POST",
      headers: { Accept: "text/x-fragment+html", "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(new FormData(form)),
    });
    if (mine !== newest) return;
    if (answer.ok) {
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      result.replaceChildren(...parsed.body.childNodes);
    }
    result.setAttribute("aria-busy", "false");
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, 400);
  });
}
