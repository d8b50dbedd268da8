r"""Search: from words, numbers of a source or a formula to the claims that they mean, best first.

LaTeX, Unicode and what people type all become the same tokens: `X^\top X`, "XᵀX" and "X'X" are
x ᵀ x, and "log det", `\ln\det` and "logdet" are ln det.  Letters of a formula are compared by where
they recur, so that x'Ax finds the entry that is written x'Bx.
"""

from __future__ import annotations

import collections
import dataclasses
import difflib
import functools
import math
import re
from collections.abc import Iterable, Iterator, Sequence

from identities.engine.errors import UnknownName, nearest
from identities.engine.identity import Claim, Identity
from identities.engine.pages import GREEK, split

# What the field calls one thing; a word that is not here stands for itself, without the s of a plural.
SYNONYMS = {
    "trace": "tr",
    "determinant": "det",
    "log": "ln",
    "logarithm": "ln",
    "logdet": "ln det",
    "lndet": "ln det",
    "inverse": "⁻¹",
    "inv": "⁻¹",
    "inverted": "⁻¹",
    "transpose": "ᵀ",
    "transposed": "ᵀ",
    "transposition": "ᵀ",
    "pseudoinverse": "pinv",
    "adjugate": "adj",
    "adjoint": "adj",
    "exponential": "exp",
    "expm": "exp",
    "kronecker": "kron",
    "otimes": "kron",
    "circ": "hadamard",
    "odot": "hadamard",
    "elementwise": "hadamard",
    "length": "norm",
    "fro": "frobenius",
    "sine": "sin",
    "cosine": "cos",
    "logistic": "sigmoid",
    "lse": "ln sum exp",
    "logsumexp": "ln sum exp",
    "eig": "eigenvalue",
    "eigh": "eigenvalue",
    "cookbook": "mcb",
    "gaussian": "gauss",
    "normal": "gauss",
    "loglikelihood": "ln likelihood",
    "matrices": "matrix",
    "vectors": "vector",
    "xtx": "x ᵀ x",
    "xxt": "x x ᵀ",
    "quadraticform": "x ᵀ A x",
    "bilinearform": "a ᵀ X b",
}
# What the book lacks, and the words by which the nearest of what it has is found.
RELATED = {
    "nuclear": "frobenius",
    "spectral": "frobenius",
    "operator": "frobenius",
    "mahalanobis": "weighted distance",
    "wishart": "ln det tr",
    "entropy": "softmax",
    "crossentropy": "softmax",
    "cholesky": "ln det",
    "svd": "eigenvalue",
    "singular": "eigenvalue",
}
# Asked-for kinds of derivative, and how well each kind of claim answers.
KINDS = {
    "gradient": {"gradient": 1.5, "jacobian": 0.8, "differential": 0.5, "hessian": -0.5, "value": -1.0},
    "derivative": {"gradient": 1.5, "jacobian": 1.5, "differential": 1.3, "hessian": -0.5, "value": -1.0},
    "jacobian": {"jacobian": 1.5, "gradient": 0.5, "value": -1.0},
    "hessian": {"hessian": 1.5, "value": -1.0},
    "differential": {"differential": 1.5, "value": -1.0},
    "": {"gradient": 0.4, "jacobian": 0.3, "differential": 0.1},
}
KIND_WORDS = {"gradient": "gradient", "grad": "gradient", "nabla": "gradient", "derivative": "derivative"}
KIND_WORDS |= {"differentiate": "derivative", "differentiating": "derivative", "deriv": "derivative"}
KIND_WORDS |= {"differential": "differential", "jacobian": "jacobian", "hessian": "hessian"}
STOP = frozenset(re.findall(r"\w+", "of the an and or for to by with respect wrt in on is as its it from at how what"))
IGNORED = frozenset(
    re.findall(r"\w+", "left right big Big quad qquad frac tfrac dfrac begin end text cdot partial dots")
)
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀᴴ", "0123456789+-TH")
REWRITES = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"\\(?:operatorname|mathrm|text|mathbf|mathcal|mathbb)\s*\{\s*([A-Za-z]+)[^{}]*\}", r" \\\1 "),
        (r"\^\s*[{(]?\s*-\s*(?:\\top|T|⊤)(?![A-Za-z])\s*[})]?", " ⁻¹ ᵀ "),
        (r"\^\s*[{(]?\s*(?:\\top|T|⊤|')(?![A-Za-z])\s*[})]?", " ᵀ "),
        (r"(?:\^|\*\*)\s*[{(]?\s*-\s*1\s*[})]?", " ⁻¹ "),
        (r"\^\s*\{?\s*\+\s*\}?", r" \\pinv "),
        (r"\^\s*\{?\s*H\b\s*\}?", " ᴴ "),
        (r"\^\s*\{?\s*\*\s*\}?", r" \\conj "),
        (r"(?<=[\w)\]])\.T\b", " ᵀ "),
        (r"(?<=[A-Za-z)\]])['’](?!s\b)", " ᵀ "),
        (r"\\\||\|\||‖", " ‖ "),
        (r"_\s*\{?\s*F\b\s*\}?", r" \\frobenius "),
        (r"_\s*(?:\{[^{}]*\}|\\?\w)", " "),
        (r"\b[Ll]og[- ][Dd]et\b", "logdet"),
        (r"\b[Ll]og[- ]?[Ss]um[- ]?[Ee]xp\b", "logsumexp"),
        (r"\b[Pp]seudo-?[Ii]nverse\b", "pinv"),
        (r"\b[Qq]uadratic forms?\b", "quadraticform"),
        (r"\b[Bb]ilinear forms?\b", "bilinearform"),
        (r"\b[Ss]econd derivatives?\b", "hessian"),
    )
)


@dataclasses.dataclass(frozen=True)
class Query:
    """What was asked: tokens in order, the kind of derivative, and the operand that it is by."""

    text: str
    tokens: tuple[str, ...]
    kind: str
    wrt: str | None


@dataclasses.dataclass(frozen=True)
class Hit:
    """A claim, how well it matches, and the tokens of the query that it lacks."""

    claim: Claim
    score: float
    lacks: tuple[str, ...]


def tokens(text: str, *, latex: bool) -> Iterator[str]:
    """The tokens of a formula or a phrase.  In LaTeX letters in a row are a product, in a phrase a word."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀᴴ]+", lambda m: f"^{{{m[0].translate(RAISED)}}}", text)
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    parts, inside = re.findall(r"\\[A-Za-z]+|⁻¹|[^\W\d_]+|\d+|[^\s\w]", text), False
    for number, part in enumerate(parts):
        if part == "‖":
            inside = not inside
            if inside:
                yield "norm"
        elif part.startswith("\\") and len(part) > 1:
            name = part[1:]
            if name in GREEK:
                yield name[0] if len(name) > 1 else name
            elif name not in IGNORED:
                yield from _word(name)
        elif part in ("⁻¹", "ᵀ", "ᴴ", "+", "-", "−") or part.isdigit():
            yield "-" if part == "−" else part
        elif part.isalpha() and not latex and _is_word(part, parts[number + 1 : number + 2]):
            if part.casefold() not in STOP and part != "a":
                yield from _word(part)
        elif part.isalpha():
            yield from part


def _is_word(part: str, following: Sequence[str]) -> bool:
    """Whether letters in a row are a word (trace, Trace, MCB) and not a product (AXB, Bx, xx)."""
    if part == "a":  # an article, where a word follows
        return bool(following) and len(following[0]) > 2 and following[0].isalpha() and following[0].islower()
    low = part.casefold()
    if low in SYNONYMS or low in KIND_WORDS or low in STOP or part in ("tr", "ln", "MCB", "MML", "MVC", "VCN"):
        return True
    return len(part) > 2 and (part.islower() or part.istitle())


def _word(word: str) -> Iterator[str]:
    low = word.casefold()
    low = low if low in SYNONYMS or low.endswith(("ss", "us", "is")) or len(low) < 4 else low.removesuffix("s")
    yield from SYNONYMS.get(low, low).split()


def parse(text: str) -> Query:
    """Read a query: "gradient of log det of X'X", "d/dX tr(AXB)", "derivative of inverse"."""
    kind, wrt = "", None
    text = re.sub(r"(?<=[A-Za-z]{2})_(?=[A-Za-z0-9])", " ", text)  # a part of a name, logdet_gram
    by = re.search(r"(?:[d∂]|\\partial)\s*/\s*(?:[d∂]|\\partial\s*)([A-Za-z]\w*)", text)
    by = by or re.search(r"\\d?frac\s*\{\s*\\partial\s*\}\s*\{\s*\\partial\s*([A-Za-z]\w*)\s*\}", text)
    by = by or re.search(r"(?:wrt\.?|with respect to|\bby) ([A-Za-z]\d*)(?:$|[^\w'^.ᵀ⁻])", text)
    if by:
        text, wrt, kind = text[: by.start()] + " " + text[by.end() :], by[1], "derivative"
    found: list[str] = []
    for token in tokens(text, latex=False):
        word = KIND_WORDS.get(token)
        if word is None and len(token) > 5:
            close = difflib.get_close_matches(token, KIND_WORDS, 1, 0.82)
            word = KIND_WORDS[close[0]] if close and token not in _Index.of_book().weights else None
        if word:
            kind = word
        else:
            found.append(token)
    return Query(text, tuple(found), kind, wrt)


def is_letter(token: str) -> bool:
    return len(token) == 1 and token.isalpha() and token not in "ᵀᴴ"


def shape(found: Iterable[str]) -> tuple[str, ...]:
    """A formula without its letters' names: x ᵀ B x and x ᵀ A x are both 0 ᵀ 1 0; small and large stay apart."""
    seen: dict[str, str] = {}
    return tuple(seen.setdefault(t, f"{len(seen)}{'M' if t.isupper() else 'v'}") if is_letter(t) else t for t in found)


class _Index:
    """The tokens of every claim, by where they stand, and how telling each token is."""

    def __init__(self, claims: Iterable[Claim]):
        self.claims = list(claims)
        self.formulas: dict[int, tuple[str, ...]] = {}
        self.titles: dict[int, frozenset[str]] = {}
        for identity in {id(c.identity): c.identity for c in self.claims}.values():
            self._read(identity)
        self.rights = {c.name: tuple(tokens(split(c.latex)[0], latex=True)) for c in self.claims}
        self.others = {c.name: self._other(c) for c in self.claims}
        found = collections.Counter(t for c in self.claims for t in self.of(c))
        self.weights = {t: math.log(1 + len(self.claims) / n) for t, n in found.items()}

    @staticmethod
    @functools.cache
    def of_book() -> _Index:
        from identities import book

        return _Index(book.catalogue().values())

    def _read(self, identity: Identity[..., object]) -> None:
        self.formulas[id(identity)] = tuple(tokens(split(identity.latex)[0], latex=True))
        title = [t for t in tokens(identity.title, latex=False) if not is_letter(t)]
        self.titles[id(identity)] = frozenset(title)

    def _other(self, c: Claim) -> frozenset[str]:
        """Less telling places: the right-hand side, the name, the chapter, the conditions."""
        words = " ".join([c.name.replace("_", " "), c.chapter.replace("_", " "), *c.conditions])
        keys = {s.key.casefold() for s in c.sources if not s.ours} | {s.locator.casefold() for s in c.sources}
        return frozenset(self.rights[c.name]) | frozenset(tokens(words, latex=False)) | keys

    def of(self, c: Claim) -> frozenset[str]:
        return self.titles[id(c.identity)] | frozenset(self.formulas[id(c.identity)]) | self.others[c.name]

    def spelled(self, token: str) -> str:
        """The token, or the nearest one that the book knows where it is misspelt."""
        if token in self.weights or len(token) < 4:
            return token
        close = difflib.get_close_matches(token, [*self.weights, *SYNONYMS], 1, 0.85)
        return SYNONYMS.get(close[0], close[0]) if close else token

    def hit(self, query: Query, c: Claim) -> Hit:
        """How well a claim answers a query."""
        title, formula = self.titles[id(c.identity)], self.formulas[id(c.identity)]
        other = self.others[c.name]
        letters = any(map(is_letter, query.tokens))
        # beside letters, signs are part of a formula and no words
        words = [t for t in query.tokens if (t.isalpha() and len(t) > 1) or not (letters or is_letter(t))]
        total = gained = 0.0
        lacks = []
        for t in words:
            weight = self.weights.get(t, 5.0)
            places = (formula, title) if letters else (title, formula)  # a formula is compared with formulas first
            place = 3.0 if t in places[0] else 2.5 if t in places[1] else 1.0 if t in other else 0.0
            total, gained = total + 3 * weight, gained + place * weight
            if not place:
                lacks.append(t)
        score = 10 * gained / total if total else 0.0
        concepts = [t for t in formula if not is_letter(t)]
        if words:
            score += 0.0 if letters else 1.5 * len(title & set(words)) / max(len(title), 1)
            score += 1.5 * sum(t in words for t in concepts) / max(len(concepts), 1)
        if letters:
            right = 0.7 if query.kind else 0.98  # whoever asks for the derivative of a formula means the function
            like = max(_alike(query.tokens, formula), right * _alike(query.tokens, self.rights[c.name]))
            score += 8 * like
            if like < 0.5:
                lacks.append("the formula")
        elif tuple(words) == tuple(concepts):
            score += 2
        score += KINDS[query.kind].get(c.kind, 0.0) + (1.0 if query.wrt in c.wrt else 0.0)
        score -= 1.5 * (c.status == "refuted") + 0.4 * bool(c.given) + 0.2 * len(c.name.split("_")) / 4
        return Hit(c, score, tuple(lacks))


def _alike(asked: tuple[str, ...], formula: tuple[str, ...]) -> float:
    """How alike two formulas are, from 0 to 1, whatever their letters are called; 1 where those agree too."""
    if asked == formula:
        return 1.0
    a, b = shape(asked), shape(formula)
    if a == b:
        return 0.95
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    return 0.8 * matcher.ratio() if matcher.real_quick_ratio() > 0.4 else 0.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """The claims found, best first, and a sentence where none of them is all that was asked for."""

    hits: tuple[Hit, ...]
    caution: str = ""


def search(text: str) -> Answer:
    """The claims that a query means.  Raises UnknownName, with the nearest names, where nothing matches."""
    index = _Index.of_book()
    phrase = " ".join(text.split())
    if not phrase:
        raise UnknownName('there is nothing to search for; ask, for instance, for "derivative of inverse" or "MCB 101"')
    exact = [c for c in index.claims if _named(phrase, c)]
    if exact:
        exact.sort(
            key=lambda c: (c.name != phrase, _aside(phrase, c), c.status == "refuted", -KINDS[""].get(c.kind, 0))
        )
        return Answer(tuple(Hit(c, 100.0 - n, ()) for n, c in enumerate(exact)))
    query = parse(phrase)
    asked = tuple(s for t in query.tokens for s in (index.spelled(t).split() or [t]))
    strange = [t for t in asked if t not in index.weights and not is_letter(t)]
    nearby = [r for t in strange for r in RELATED.get(t, "").split()]
    query = dataclasses.replace(query, tokens=(*asked, *nearby))
    known = [t for t in query.tokens if t in index.weights]
    if not any(not is_letter(t) for t in known) and not (known and len(asked) > 1):
        names = [c.name for c in index.claims] if len(phrase) > 2 else []
        raise UnknownName(f"nothing in the book matches {phrase!r}{nearest(phrase, names)}")
    hits = sorted((index.hit(query, c) for c in index.claims), key=lambda hit: -hit.score)
    best = [hit for hit in hits if hit.score > 0.6 * hits[0].score] or hits[:3]
    if strange:
        return Answer(tuple(best), f"the book has nothing on {', '.join(map(repr, strange))}; the nearest:")
    lacks = ", ".join(t if " " in t else repr(t) for t in best[0].lacks)
    return Answer(tuple(best), f"no claim has all of it, and the first lacks {lacks}; the nearest:" if lacks else "")


def _named(phrase: str, c: Claim) -> bool:
    """Whether a phrase is the name of a claim or of its identity, or a source's number."""
    low = phrase.casefold()
    if low in (c.name.casefold(), c.identity.name):
        return True
    return any(low == f"{s.key} {s.locator}".casefold() for s in c.sources if not s.ours)


def _aside(phrase: str, c: Claim) -> bool:
    """Whether a claim cites the number that was asked for with a note alone: "MCB 53 without its condition"."""
    notes = [s.note for s in c.sources if f"{s.key} {s.locator}".casefold() == phrase.casefold()]
    return bool(notes) and all(notes)
