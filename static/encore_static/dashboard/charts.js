/* A cursor for the charts: by mouse, by finger, by arrow keys. What it tells is the row of the table below the chart, so
   nothing is said here that is not in the page already; without this module the table is what there is. */

const SVG = "http://www.w3.org/2000/svg";

function made(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

function box(className, parent) {
  const element = document.createElement("div");
  element.className = className;
  parent.append(element);
  return element;
}

function read(figure) {
  const [head, ...rows] = figure.querySelectorAll(".data tr");
  const names = [...head.cells].slice(1).map((cell) => cell.textContent);
  return rows.map((row) => {
    const [when, ...values] = [...row.cells].map((cell) => cell.textContent);
    return { when, values: values.map((value, i) => [names[i], value]) };
  });
}

export function aloud({ when, values }) {
  const first = (name) => name.charAt(0).toLowerCase() + name.slice(1);
  return [when, ...values.map(([name, value]) => `${first(name)} ${value}`)].join(", ");
}

function cursorFor(figure) {
  const plot = figure.querySelector(".plot");
  const drawing = plot.querySelector("svg");
  const rows = read(figure);
  const lines = [...figure.querySelectorAll("[data-ys]")].map((group) => ({
    ys: group.dataset.ys.trim().split(" "),
    dot: null,
    group,
  }));
  const rule = made("line", { class: "cursor", y1: "0%", y2: "100%" }, drawing);
  drawing.insertBefore(rule, drawing.querySelector("svg"));
  for (const one of lines) one.dot = made("circle", { class: "dot at", r: 4.5 }, one.group);
  const tip = box("tip", plot);
  tip.setAttribute("aria-hidden", "true");
  const voice = box("hidden", figure);
  voice.setAttribute("role", "status");
  let at = null;

  plot.tabIndex = 0;
  plot.setAttribute("role", "application");
  plot.setAttribute("aria-roledescription", "chart");
  plot.setAttribute("aria-label", `${figure.querySelector("h3").textContent}. Left and right arrow keys read it point by point.`);

  function fill({ when, values }) {
    const title = document.createElement("strong");
    title.textContent = when;
    const items = values.map(([name, value]) => {
      const item = document.createElement("p");
      const key = figure.querySelector(`[data-name="${CSS.escape(name)}"] svg`);
      const label = document.createElement("span");
      label.textContent = name;
      const number = document.createElement("span");
      number.textContent = value;
      item.append(...(key ? [key.cloneNode(true)] : []), label, number);
      return item;
    });
    tip.replaceChildren(title, ...items);
  }

  function show(slot, speak) {
    at = Math.max(0, Math.min(rows.length - 1, slot));
    const x = (100 * (at + 0.5)) / rows.length;
    for (const end of ["x1", "x2"]) rule.setAttribute(end, `${x}%`);
    for (const { ys, dot } of lines) {
      dot.toggleAttribute("hidden", ys[at] === "-");
      dot.setAttribute("cx", `${x}%`);
      dot.setAttribute("cy", ys[at] === "-" ? "0%" : `${ys[at]}%`);
    }
    fill(rows[at]);
    plot.dataset.at = at;
    const width = plot.clientWidth;
    const centre = (x / 100) * width;
    // Beside the cursor; on a phone, where it stands above the plot, over it.
    const left = centre > width / 2 ? centre - tip.offsetWidth - 14 : centre + 14;
    const beside = width < 480 ? centre - tip.offsetWidth / 2 : left;
    // Within the plot, its margin of 8 and, on the left, the gutter where the amounts stand.
    tip.style.translate = `${Math.max(-52, Math.min(width - tip.offsetWidth + 8, beside))}px 0`;
    if (speak) voice.textContent = aloud(rows[at]);
  }

  function hide() {
    at = null;
    delete plot.dataset.at;
    voice.textContent = "";
  }

  function follow(event) {
    const { left, width } = drawing.getBoundingClientRect();
    show(Math.floor(((event.clientX - left) / width) * rows.length), false);
  }

  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerdown", follow);
  // A finger that is lifted leaves the tip where it was read; the next touch elsewhere takes it away.
  plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  document.addEventListener("pointerdown", (event) => { if (!plot.contains(event.target)) hide(); });
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = rows.length - 1;
    const moves = {
      ArrowLeft: () => show(at === null ? last : at - 1, true),
      ArrowRight: () => show(at === null ? 0 : at + 1, true),
      Home: () => show(0, true),
      End: () => show(last, true),
      Escape: hide,
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    moves[event.key]();
  });
}

for (const figure of document.querySelectorAll(".chart:has(.plot)")) cursorFor(figure);
