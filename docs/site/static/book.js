// The layout switch, and formulas that are wider than their box.
(() => {
  const KEY = "matrix-identities-layout";

  // A browser may forbid storage, above all to pages opened as files; then the choice lasts for one page.
  const remembered = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const remember = (layout) => {
    try {
      localStorage.setItem(KEY, layout);
    } catch {
      // nothing to do
    }
  };

  const show = (box, layout) => {
    for (const button of box.querySelectorAll("[data-layout]"))
      button.setAttribute("aria-pressed", String(button.dataset.layout === layout));
    for (const one of box.querySelectorAll(".layout")) one.hidden = !one.classList.contains(`layout-${layout}`);
  };

  const setUp = (box) => {
    const buttons = [...box.querySelectorAll("[data-layout]")];
    const known = buttons.map((button) => button.dataset.layout);
    const wanted = remembered();
    box.querySelector(".layout-switch").hidden = false;
    show(box, known.includes(wanted) ? wanted : known[0]);
    for (const button of buttons)
      button.addEventListener("click", () => {
        remember(button.dataset.layout);
        show(box, button.dataset.layout);
        markWide();
      });
  };

  // What scrolls must be reachable by keyboard.
  const markWide = () => {
    for (const box of document.querySelectorAll("div.math-wrapper, div.math, div.table-wrapper, div.highlight pre")) {
      const what = box.matches("pre") ? "code" : box.matches(".table-wrapper") ? "table" : "formula";
      if (box.scrollWidth > box.clientWidth + 1) {
        box.tabIndex = 0;
        box.setAttribute("role", "group");
        box.setAttribute("aria-label", `${what}, scrolls sideways`);
      } else if (box.getAttribute("role") === "group") {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    }
  };

  // On a screen, a formula of a sheet that is wider than its cell takes the whole width.
  const spread = () => {
    for (const box of document.querySelectorAll(".cell div.math"))
      if (box.scrollWidth > box.clientWidth + 1) box.closest(".cell").classList.add("cell-wide");
  };

  // On paper, a sheet has the columns and the largest type with which it fits on one page.  Where none does, it has the
  // smallest that reads well, and goes on on further pages.  Formulas shrink to their column.
  const SIZES = [9.5, 9, 8.5, 8, 7.75, 7.5, 7.25, 7, 6.75, 6.5, 6.25, 6, 5.75, 5.5]; // pt
  const GOING_ON = 7; // pt
  const MEASURED = 60; // pt, so large that a rounded ex is exact
  const PX = 96 / 72; // of a pt
  const fitPaper = () => {
    const sheet = document.querySelector(".sheet");
    if (!sheet) return;
    document.body.classList.add("paper");
    const boxes = [...sheet.querySelectorAll(".cell div.math")].filter((box) => box.querySelector("svg"));
    const set = (columns, size) => {
      sheet.style.setProperty("--columns", columns);
      sheet.style.setProperty("--size", `${size}pt`);
    };
    set(1, MEASURED);
    for (const box of boxes) box.style.removeProperty("--shrink");
    // In em from here on: MathJax measures in ex, which browsers round to whole pixels.
    const drawings = boxes.map((box) => box.querySelector("svg"));
    const ems = (length) => length / (MEASURED * PX);
    const sizes = drawings.map((svg) => svg.getBoundingClientRect()).map((r) => [ems(r.width), ems(r.height)]);
    drawings.forEach((svg, i) => [svg.style.width, svg.style.height] = sizes[i].map((size) => `${size}em`));
    const widths = sizes.map(([width]) => width);
    const page = document.querySelector(".page-height") ?? sheet.appendChild(document.createElement("div"));
    page.className = "page-height";
    const height = page.getBoundingClientRect().height;
    const lay = (columns, size) => {
      set(columns, size);
      const room = sheet.querySelector(".cell").clientWidth / (size * PX); // em
      const shrinks = widths.map((width) => Math.min(1, (0.98 * room) / width));
      boxes.forEach((box, number) => box.style.setProperty("--shrink", shrinks[number]));
      return size * Math.min(...shrinks);
    };
    let best = [3, GOING_ON, 0];
    for (const columns of [3, 2])
      for (const size of SIZES) {
        const smallest = Math.min(lay(columns, size), 5.5);
        if (sheet.getBoundingClientRect().height > height) continue;
        if (smallest > best[2]) best = [columns, size, smallest];
        break; // smaller type gains nothing
      }
    lay(best[0], best[1]);
  };
  const leavePaper = () => {
    document.body.classList.remove("paper");
    for (const svg of document.querySelectorAll(".cell svg")) svg.style.removeProperty("width"), svg.style.removeProperty("height");
  };

  // What the theme leaves without a name or a level for those who hear the page.
  const nameParts = () => {
    for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.setAttribute("aria-level", "2");
    const names = { ".sidebar-drawer": "Contents", ".toc-drawer": "On this page", ".sidebar-search-container": "Search the site" };
    for (const [part, name] of Object.entries(names)) document.querySelector(part)?.setAttribute("aria-label", name);
    const results = document.querySelector("#search-results");
    if (results && !document.querySelector("h1")) {
      const heading = document.createElement("h1");
      heading.textContent = "Search";
      results.before(heading);
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".layouts").forEach(setUp);
    nameParts();
  });
  addEventListener("load", markWide);
  document.addEventListener("formulas-shown", () => {
    spread();
    markWide();
  });
  addEventListener("resize", markWide);
  addEventListener("beforeprint", fitPaper);
  addEventListener("afterprint", leavePaper);
})();
