r"""A formula for a terminal: `\frac{\partial}{\partial X}\,\operatorname{tr}(AXB)` as "∂/∂X tr(AXB)".

pylatexenc reads the LaTeX; what it found is laid out here, on one line.  Superscripts and subscripts
are raised and lowered where Unicode has the letters, and written ^(...) and _(...) where it does not;
a fraction is a/b, in brackets where a factor stands beside it; matrices are [a, b; c, d].
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


RAISED = dict(
    zip(
        "0123456789+−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW⊤",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵀ",
        strict=True,
    )
)
LOWERED = dict(zip("0123456789+−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
HALVES = {"1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾", "1/6": "⅙", "1/8": "⅛"}
FUNCTIONS = _set(
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim "
    "exp gcd inf ker lim ln log max min Pr sec sin sinh sup tan tanh"
)
SUMS = frozenset(["sum", "prod", "int", "iint", "oint", "bigcup", "bigcap"])
SILENT = _set(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl "
    "biggr middle limits nolimits displaystyle textstyle nonumber"
)
SPACES = frozenset([",", ";", ":", ">", " ", "\n", "~", "enspace", "thinspace"])
ACCENTS = {"bar": "\u0305", "overline": "\u0305", "dot": "\u0307", "ddot": "\u0308", "tilde": "\u0303", "hat": "\u0302"}
ACCENTS |= {"widehat": "\u0302", "widetilde": "\u0303", "vec": "\u20d7"}
LETTERS = _set("mathrm mathbf mathit boldsymbol bm mathsf mathtt mathcal mathbb operatorname mathop")
TEXTS = frozenset(["text", "textrm", "textbf", "textit", "mbox"])
SYMBOLS = {"ne": "≠", "|": "‖", "backslash": "∖", "{": "{", "}": "}", "&": "&", "%": "%", "#": "#", "_": "_", "$": "$"}
BINARY = frozenset("+−±∓∘⊗×⊙⊕∖·∪∩⋆")
RELATIONS = frozenset("=<>≤≥≠∈∉∼≈≃≡∝→↦⇒⇔≺≻≼≽⊂⊆∣:")
MATRICES = {"bmatrix": "[]", "pmatrix": "()", "vmatrix": "||", "Vmatrix": "‖‖", "Bmatrix": "{}", "matrix": "[]"}
MATRICES |= {"smallmatrix": "[]", "array": "[]", "cases": "{}"}


@dataclasses.dataclass(frozen=True)
class Atom:
    """A piece of a formula: its text, and what it is to its neighbours."""

    text: str
    kind: str  # "factor", "function", "sum", "binary", "relation", "open", "close", "comma", "text", "fraction",
    # "partial" (a fraction such as ∂f/∂x), "space" or "wide"


@functools.lru_cache(maxsize=4096)
def plain(latex: str) -> str:
    """A formula in LaTeX as one line of Unicode.  What cannot be parsed is given back as it is."""
    from pylatexenc.latexwalker import LatexWalker, LatexWalkerError

    try:
        nodes, _, _ = LatexWalker(latex, latex_context=_context(), tolerant_parsing=False).get_latex_nodes()
    except LatexWalkerError:
        return " ".join(latex.split())
    return _line(nodes)


@functools.cache
def _context() -> Any:
    """Which macros take arguments; every other one takes none."""
    from pylatexenc.macrospec import EnvironmentSpec, LatexContextDb, MacroSpec, std_macro

    single = [std_macro(name, "{") for name in (*ACCENTS, *LETTERS, *TEXTS)]
    double = [std_macro(name, "{{") for name in ("frac", "tfrac", "dfrac", "binom")]
    environments = [EnvironmentSpec(name, "{" if name == "array" else "") for name in MATRICES]
    context = LatexContextDb()
    context.add_context_category("formulas", [*single, *double, std_macro("sqrt", "[{")], environments)
    context.set_unknown_macro_spec(MacroSpec(""))
    context.set_unknown_environment_spec(EnvironmentSpec(""))
    return context


@functools.cache
def _symbol(name: str) -> str:
    """The character of a macro such as `alpha`; "" where it has none."""
    from pylatexenc.latex2text import get_default_latex_context_db

    found = getattr(get_default_latex_context_db().get_macro_spec(name), "simplify_repl", None)
    return found if isinstance(found, str) and len(found) == 1 else ""


def _line(nodes: Iterable[Any]) -> str:
    return _join(_Reader(nodes).atoms)


class _Reader:
    """Turns the nodes of a formula into atoms, with scripts at their bases and bars told apart."""

    def __init__(self, nodes: Iterable[Any]):
        self.tokens: list[Any] = []  # single characters, and nodes that are no characters
        for node in nodes:
            self.tokens += list(re.sub(r"\s+", " ", node.chars)) if hasattr(node, "chars") else [node]
        self.atoms: list[Atom] = []
        self.opened: list[str] = []
        self.at = 0
        while self.at < len(self.tokens):
            token = self._take()
            if isinstance(token, str):
                self._character(token)
            elif hasattr(token, "macroname"):
                self._macro(token)
            elif hasattr(token, "environmentname"):
                self._add(_matrix(token), "factor")
            elif hasattr(token, "nodelist"):  # a group in braces, or a formula within \text
                self._add(_line(token.nodelist), "factor")

    def _take(self) -> Any:
        self.at += 1
        return self.tokens[self.at - 1]

    def _next(self) -> str:
        """The character that comes next; of a macro its name, "" at the end."""
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        return token if isinstance(token, str) else f"\\{getattr(token, 'macroname', '')}"

    def _add(self, text: str, kind: str) -> None:
        self.atoms.append(Atom(text, kind))

    def _character(self, c: str) -> None:
        if c in "^_":
            while self._next() == " ":
                self.at += 1
            if self._next():
                token = self._take()
                inner = [token] if not isinstance(token, str) else []
                self._attach(_script(token if isinstance(token, str) else _line(inner), c))
        elif c == "'":
            self._attach("′")
        elif c.isdigit():
            number = c
            while re.fullmatch(r"[\d.]", self._next()):
                number += self._take()
            self._add(number.rstrip("."), "factor")
            if number.endswith("."):  # a full stop behind the number
                self._add(".", "comma")
        elif c in " ~&":
            self._add(" ", "space")
        else:
            self._symbol("−" if c == "-" else c)

    def _symbol(self, c: str) -> None:
        """One character, with the kind that its looks give it."""
        if c in "|‖":
            self._bar(c)
        elif c in "([{⌊⌈⟨":
            self.opened.append(c)
            self._add(c, "open")
        elif c in ")]}⌋⌉⟩":
            if self.opened:
                self.opened.pop()
            self._add(c, "close")
        elif c in "!/":
            self._attach(c)
        elif c in ",;.":
            self._add(c, "comma")
        else:
            self._add(c, "binary" if c in BINARY else "relation" if c in RELATIONS else "factor")

    def _bar(self, c: str, side: str | None = None) -> None:
        """A bar opens, unless one like it is open, or a subscript says that it is "taken at"."""
        if side == "right" or (side is None and (c in self.opened[-1:] or self._next() == "_")):
            if c in self.opened[-1:]:
                self.opened.pop()
            self._add(c, "close")
        else:
            self.opened.append(c)
            self._add(c, "open")

    def _attach(self, script: str) -> None:
        while self.atoms and self.atoms[-1].kind == "space":
            self.atoms.pop()
        base = self.atoms.pop() if self.atoms else Atom("", "factor")
        if base.kind in ("fraction", "partial"):
            base = Atom(f"({base.text})", "factor")
        self._add(base.text + script, "factor" if base.kind in ("binary", "relation", "comma", "wide") else base.kind)

    def _macro(self, node: Any) -> None:
        name = node.macroname
        arguments = [_nodes(a) for a in node.nodeargd.argnlist] if node.nodeargd else []
        if name in ("left", "right"):
            delimiter = self._next()
            if delimiter in (".", "|", r"\|", r"\vert", r"\Vert"):
                self.at += 1
            if delimiter in ("|", r"\vert"):
                self._bar("|", name)
            elif delimiter in (r"\|", r"\Vert"):
                self._bar("‖", name)
        elif name in SILENT:
            pass
        elif name in SPACES:
            self._add(" ", "space")
        elif name in ("quad", "qquad"):
            self._add("  ", "wide")
        elif name == "\\":
            self._add(" ", "space")
        elif name in ("frac", "tfrac", "dfrac"):
            self.atoms.append(_fraction(*arguments))
        elif name == "binom":
            self._add(f"({_line(arguments[0])} choose {_line(arguments[1])})", "factor")
        elif name == "sqrt":
            inner = _line(arguments[1])
            root = _script(_line(arguments[0]), "^") if arguments[0] else ""
            self._add(root + "√" + (inner if re.fullmatch(r"\w[ᵢⱼₖₗₘₙ₀-₉]*|\d+", inner) else f"({inner})"), "factor")
        elif name in ACCENTS:
            self._add("".join(c + ACCENTS[name] for c in _line(arguments[0])), "factor")
        elif name in TEXTS:
            self._add(re.sub(r"\s+", " ", "".join(n.latex_verbatim() for n in arguments[0])), "text")
        elif name in LETTERS:
            text = "".join(_letter(c, name) for c in _line(arguments[0]))
            self._add(text, "function" if name in ("operatorname", "mathop") else "factor")
        elif name in FUNCTIONS:
            self._add(name, "function")
        elif name in SUMS:
            self._add(_symbol(name) or name, "sum")
        else:
            found = SYMBOLS.get(name) or _symbol(name)
            if found:
                self._symbol(found)
            else:
                self._add(name, "function")


def _nodes(argument: Any) -> list[Any]:
    """What stands in an argument, be it in braces or a single token."""
    if argument is None:
        return []
    return list(argument.nodelist) if hasattr(argument, "nodelist") else [argument]


def _letter(c: str, alphabet: str) -> str:
    """A letter of another alphabet: ℝ for \\mathbb{R}, 𝒩 for \\mathcal{N}."""
    style = {"mathbb": "DOUBLE-STRUCK", "mathcal": "SCRIPT"}.get(alphabet)
    if style and c.isalpha() and c.isascii():
        size = "CAPITAL" if c.isupper() else "SMALL"
        for prefix in ("", "MATHEMATICAL "):
            try:
                return unicodedata.lookup(f"{prefix}{style} {size} {c.upper()}")
            except KeyError:
                pass
    return c


def _script(content: str, mark: str) -> str:
    """A superscript or subscript: raised or lowered letters, or else ^(...) and _(...)."""
    content = "−" if content == "-" else "⊤" if content in ("⊺", "ᵀ") else content
    if mark == "^" and content in ("*", "†", "′"):
        return content
    table, tight = RAISED if mark == "^" else LOWERED, content.replace(" ", "")
    if tight and all(c in table for c in tight):
        return "".join(table[c] for c in tight)
    return mark + (content if len(content) == 1 else f"({content})")


def _fraction(above: list[Any], below: list[Any]) -> Atom:
    top, bottom = _Reader(above).atoms, _Reader(below).atoms
    over, under = _join(top), _join(bottom)
    if f"{over}/{under}" in HALVES:
        return Atom(HALVES[f"{over}/{under}"], "factor")
    loose = {"binary", "relation", "comma", "text"}
    kinds = {a.kind for a in bottom}
    if bottom and bottom[0].text[:1] in ("∂", "d") and len(bottom) > 1 and not kinds & loose:
        heads = top and top[0].text[:1] in ("∂", "d")
        if heads and not {a.kind for a in top} & loose:
            return Atom(f"{over}/{under.replace(' ', '')}", "partial")
    if {a.kind for a in top} & (loose | {"fraction", "sum"}):
        over = f"({over})"
    return Atom(f"{over}/{under if _whole(bottom) else f'({under})'}", "fraction")


def _whole(atoms: Sequence[Atom]) -> bool:
    """Whether a denominator reads as one: a factor, or one pair of brackets or bars."""
    atoms = [a for a in atoms if a.kind != "space"]
    if len(atoms) == 1:
        return atoms[0].kind == "factor"
    depth = 0
    for number, atom in enumerate(atoms):
        depth += (atom.kind == "open") - (atom.kind == "close")
        if depth == 0:
            return number == len(atoms) - 1
    return False


def _matrix(node: Any) -> str:
    """Rows behind one another: [a, b; c, d], and {value if condition; ...} for cases."""
    rows: list[list[list[Any]]] = [[[]]]
    for n in node.nodelist:
        if getattr(n, "macroname", "") == "\\":
            rows.append([[]])
        elif "&" in getattr(n, "chars", ""):
            first, *others = n.chars.split("&")
            rows[-1][-1].append(_Characters(first))
            for other in others:
                rows[-1].append([_Characters(other)])
        else:
            rows[-1][-1].append(n)
    cells = [[_line(cell) for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    opening, closing = tuple(MATRICES.get(node.environmentname, "[]"))
    if node.environmentname == "cases":
        lines = [row[0] + "".join(_case(c) for c in row[1:]) for row in cells]
    else:
        lines = [", ".join(row) for row in cells]
    return opening + "; ".join(lines) + closing


def _case(condition: str) -> str:
    return f" {condition}" if condition.startswith(("if", "otherwise", "else", "for")) else f" if {condition}"


@dataclasses.dataclass(frozen=True)
class _Characters:
    """A part of a node of characters."""

    chars: str


def _join(atoms: Sequence[Atom]) -> str:
    """The atoms as one line, with the spaces that a reader needs."""
    solid = [a for a in atoms if a.kind != "space"]
    out, before, gap, seen = "", None, False, 0
    for atom in atoms:
        if atom.kind == "space":
            gap = True
            continue
        after = solid[seen + 1] if seen + 1 < len(solid) else None
        seen += 1
        text, kind = atom.text, atom.kind
        if kind == "binary":
            signs = ("open", "binary", "relation", "comma", "wide", "sum", "text")
            alone = before is None or after is None or before.kind in signs
            text = text if alone else f" {text} "
        elif kind in ("relation", "wide", "comma"):
            out = out.rstrip()
            text = {"relation": f" {text} ", "wide": "  ", "comma": f"{text} "}[kind]
        elif _ambiguous(atom, before, after):
            text, atom = f"({text})", Atom(f"({text})", "factor")
        if before is not None and _apart(before, atom, gap):
            out += " "
        out += text.lstrip() if out.endswith(" ") and kind != "wide" else text
        before, gap = atom, False
    return re.sub(r"(?<! ) {3,}", "  ", out).strip()


def _ambiguous(atom: Atom, before: Atom | None, after: Atom | None) -> bool:
    """Whether a fraction needs brackets, because something beside it would seem to belong to it."""
    if atom.kind == "partial":
        return before is not None and before.kind == "factor" and before.text.startswith("∂")
    ends, begins = ("factor", "fraction", "partial", "close", "function"), ("factor", "fraction", "partial", "open")
    left = before is not None and before.kind in ends
    right = after is not None and after.kind in (*begins, "function", "sum")
    return atom.kind == "fraction" and (left or right)


def _apart(before: Atom, atom: Atom, gap: bool) -> bool:
    """Whether a space stands between two atoms, beside those that signs bring themselves."""
    if before.kind in ("open", "binary", "relation", "comma", "wide", "text") or atom.kind in (
        "close",
        "binary",
        "relation",
        "comma",
        "wide",
        "text",
    ):
        return False
    if before.kind == "function":
        return "_" in before.text or not atom.text.startswith(("(", "[", "|", "‖"))
    if before.text.startswith(("∂", "∇")) and before.kind == "factor":
        return False
    if before.kind in ("sum", "partial") or atom.kind in ("function", "sum", "partial"):
        return True
    return gap
