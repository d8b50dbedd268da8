// How a search ranks what it found.  Of pages that match alike, gradients come first and false prints last.
var Scorer = {
  score: ([docname, title, anchor, descr, score, filename]) =>
    score + (title.includes(": gradient by") ? 0.4 : 0) - (title.includes(", as printed") ? 0.2 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
