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
    for (const box of document.querySelectorAll("div.math-wrapper, div.math, div.table-wrapper")) {
      if (box.scrollWidth > box.clientWidth + 1) {
        box.tabIndex = 0;
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", box.matches(".table-wrapper") ? "table, scrolls sideways" : "formula, scrolls sideways");
      } else if (box.getAttribute("role") === "region") {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    }
  };

  // On a sheet, a formula that is wider than its cell takes the whole width, and is printed as small as the paper asks.
  const PAPER = 66; // em
  const spread = () => {
    for (const box of document.querySelectorAll(".cell div.math")) {
      if (box.scrollWidth <= box.clientWidth + 1) continue;
      box.closest(".cell").classList.add("cell-wide");
      const width = box.scrollWidth / parseFloat(getComputedStyle(box).fontSize);
      if (width > PAPER) box.style.setProperty("--shrink", PAPER / width);
    }
  };

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".layouts").forEach(setUp));
  document.addEventListener("formulas-shown", () => {
    spread();
    markWide();
  });
  addEventListener("resize", markWide);
})();
