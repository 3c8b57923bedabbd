// What a person with a keyboard or a screen reader needs of a page; returns a list of what is wrong with it.
(() => {
  const wrong = [];
  const say = (what, element) => wrong.push(`${what}: ${element ? element.outerHTML.slice(0, 120) : ""}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  if (!document.documentElement.lang) say("no language");
  if (!document.title.trim()) say("no title");
  for (const landmark of ["main", "h1"]) if (all(landmark).length !== 1) say(`not one ${landmark}`);
  if (document.querySelector("header") && !document.querySelector("nav[aria-label]")) say("no named navigation");
  const skip = document.querySelector("a.skip");
  if (!skip || !document.querySelector(skip.getAttribute("href"))) say("no link to skip to the content");
  for (const field of all("input:not([type=hidden]), select, textarea"))
    if (!(field.labels && field.labels.length) && !field.getAttribute("aria-label")) say("no label", field);
  for (const control of all("button, a[href], summary"))
    if (!control.textContent.trim() && !control.getAttribute("aria-label")) say("no name", control);
  for (const picture of all("svg[role=img], img, progress"))
    if (!picture.getAttribute("aria-label") && !picture.getAttribute("alt")) say("no text instead", picture);
  for (const table of all("table")) {
    if (!table.caption) say("table without caption", table);
    for (const head of table.querySelectorAll("th")) if (!head.scope) say("heading without scope", head);
  }
  const names = all("button, nav a").map((one) => one.textContent.trim());
  for (const name of new Set(names))
    if (names.filter((one) => one === name).length > 1) say(`several controls are called "${name}"`);
  const ids = all("[id]").map((one) => one.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) say(`id ${id} twice`);
  for (const one of all("[aria-labelledby], [aria-describedby]"))
    for (const attribute of ["aria-labelledby", "aria-describedby"])
      for (const id of (one.getAttribute(attribute) || "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) say(`${attribute} names nothing`, one);
  for (const one of all("[tabindex]")) if (one.tabIndex > 0) say("an order of its own", one);
  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say("a level of headings is left out", heading);
    level = next;
  }
  for (const one of all("[style], script:not([src]), style")) say("inline", one);
  // WCAG 2.1, 1.4.3: contrast of text to what is behind it, at least 4.5, large text 3.
  const parse = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const channel = (value) => ((value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  for (const element of all("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const style = getComputedStyle(element);
    if (!own || !element.checkVisibility() || element.closest(".hidden, .skip, option")) continue;
    const [a, b] = [light(parse(style.color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
    if (contrast < (large ? 3 : 4.5)) say(`contrast ${contrast.toFixed(1)}`, element);
  }
  if (document.documentElement.scrollWidth > window.innerWidth) say("wider than the window");
  return wrong;
})();
