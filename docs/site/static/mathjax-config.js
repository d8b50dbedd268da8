window.MathJax = {
  tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]] },
  svg: { fontCache: "local" },
  options: { processHtmlClass: "math", ignoreHtmlClass: ".*|" },
  startup: {
    pageReady: () => MathJax.startup.defaultPageReady().then(() => document.dispatchEvent(new Event("formulas-shown"))),
  },
};
