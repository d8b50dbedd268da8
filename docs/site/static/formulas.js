// A search for a formula finds it whatever its letters: book/patterns.py says how formulas are compared.
(() => {
  const SPELLED = [
    [/\^\s*\{?\s*\\?(?:top|intercal|T)\b\s*\}?|[ᵀ⊤’′]|\.T\b/g, "'"],
    [/⁻¹|\^\s*\{?\s*-\s*1\s*\}?/g, "^-1"],
    [/²/g, "^2"],
    [/³/g, "^3"],
    [/\blog\s*det\b/g, "ln det"],
    [/\b(?:log|logarithm)\b/g, "ln"],
    [/\bdeterminant\b/g, "det"],
    [/\btrace\b/g, "tr"],
    [/\b(?:of|the)\b/g, " "],
    [/[\s(){}\[\]*·∘\\]+/g, " "],
  ];
  const FUNCTIONS = /(?:ln|det|tr|exp|sinh|sin|cosh|cos|tanh|diag|vec|adj|softmax|sigmoid)(?![a-z])/u;
  const TOKEN = new RegExp(`${FUNCTIONS.source}|\\p{L}|\\S`, "gu");
  const ASKED = /^\s*(?:the\s+)?(?:second\s+|partial\s+)?(?:derivatives?|gradients?|jacobians?|hessians?|differentials?)\s+(?:of\s+)?/i;

  const pattern = (formula) => {
    for (const [spelled, meant] of SPELLED) formula = formula.replace(spelled, meant);
    const names = new Map();
    const letter = (token) => names.get(token) ?? names.set(token, String.fromCharCode(97 + (names.size % 26))).get(token);
    return [...formula.matchAll(TOKEN)].map(([token]) => (/^\p{L}$/u.test(token) ? letter(token) : token)).join("");
  };

  // A formula has letters, and a sign or a function beside them; words are longer than products of letters.
  const formulaIn = (query) => {
    const text = SPELLED.reduce((text, [spelled, meant]) => text.replace(spelled, meant), query.replace(ASKED, ""));
    const letters = text.replace(new RegExp(`\\b${FUNCTIONS.source}`, "gu"), " ");
    const runs = letters.match(/\p{L}+/gu) ?? [];
    if (!runs.length || runs.some((run) => run.length > 4)) return null;
    return /['^+|]/.test(text) || letters !== text ? pattern(text) : null;
  };

  window.formulaPattern = pattern; // for the tests
  document.addEventListener("DOMContentLoaded", () => {
    if (typeof Search === "undefined" || !Search._parseQuery) return;
    const parse = Search._parseQuery;
    Search._parseQuery = (query) => {
      const [text, ...terms] = parse(query);
      const found = formulaIn(query);
      return [found === null ? text : `formula ${found}`, ...terms];
    };
  });
})();
