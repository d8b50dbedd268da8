"""The text of a statement, cut into tokens that know their places.

LaTeX and Unicode give the same tokens: spaces and sizes are left away, `\\operatorname{tr}` and `tr` are one word,
ᵀ is `^` `\\top`, a run of superscripts or subscripts is a group.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata

from identities.statements.errors import Unread
from identities.statements.syntax import At

LONGEST = 4000  # characters of a statement
LONGEST_NUMBER = 300  # digits: more are no double


@dataclasses.dataclass(frozen=True)
class Token:
    kind: str  # "letter", "number", "word" (a named function), "command", "symbol", "text", "end"
    text: str
    at: At
    side: str = ""  # "left" or "right" where the print says so: \left|


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    "tr det ln log exp sin cos tan sinh cosh tanh arcsinh arctan sqrt vec diag adj cof rank eig sym softmax max min "
    "Re Im E Var Cov sup sing sigmoid relu erf sign Tr trace Trace logdet solve"
)
# What other texts call the same.
SAME = {"Tr": "tr", "trace": "tr", "Trace": "tr", "log": "ln", "Diag": "diag", "asinh": "arcsinh", "arsinh": "arcsinh"}
SAME |= {"Vec": "vec", "Adj": "adj", "Rank": "rank", "cov": "Cov", "var": "Var", "arcosh": "arccosh", "Det": "det"}
SKIPPED = _words(
    r"\, \; \: \! \  \quad \qquad \displaystyle \textstyle \limits \nolimits \nonumber \notag \thinspace \enspace"
) | {"\\ ", "~"}
NUMBER = re.compile(r"[0-9]*\.?[0-9]+")  # a raised or a foreign digit is none
SIZES = re.compile(r"\\(left|right|middle|bigl?|bigr|Bigl?|Bigr|biggl?|biggr|Biggl?|Biggr)(?![A-Za-z])\s*")
FONTS = _words("mathbf boldsymbol bm mathrm mathit mathsf mathcal mathbb mathfrak rm bf mathop")
GREEK = _words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau phi "
    "varphi chi psi omega pi Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell"
)
ACCENTS = _words("hat tilde bar dot ddot widehat widetilde overline vec") - {"vec"}
WORDS_BETWEEN = re.compile(r"(with|where|for|if|and 0 elsewhere)(?!\S)")
SYMBOLS = {  # commands that other characters stand for, or that several commands share
    "odot": "circ", "cdots": "dots", "ldots": "dots", "vdots": "dots", "ddots": "dots", "dotsc": "dots",
    "dotsb": "dots", "lVert": "|", "rVert": "|", "Vert": "|", "lvert": "vert", "rvert": "vert", "intercal": "top",
    "dagger": "dagger", "le": "leq", "ge": "geq", "neq": "ne", "coloneqq": "=", "tfrac": "frac", "dfrac": "frac",
    "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "transpose": "top",
}  # fmt: skip
CHARACTERS = {
    "∂": r"\partial", "∇": r"\nabla", "∘": r"\circ", "⊙": r"\circ", "⊗": r"\otimes", "∑": r"\sum", "Σ": r"\Sigma",
    "∏": r"\prod", "√": r"\sqrt", "‖": r"\|", "·": r"\cdot", "⋅": r"\cdot", "×": r"\times", "−": "-", "–": "-",
    "≠": r"\ne", "≤": r"\leq", "≥": r"\geq", "∞": r"\infty", "…": r"\dots", "⋯": r"\dots", "ℓ": r"\ell", "′": "'",
    "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil", "𝟏": r"\mathbf{1}", "⟨": r"\langle",
    "∖": r"\backslash", "⟩": r"\rangle", "ϵ": r"\varepsilon",
}  # fmt: skip
FRACTIONS = {"½": (1, 2), "⅓": (1, 3), "¼": (1, 4), "¾": (3, 4), "⅙": (1, 6), "⅛": (1, 8)}
RAISED = {"ᵀ": r"\top", "ᴴ": "H", "⁺": "+", "⁻": "-", "⁎": "*", "⁽": "(", "⁾": ")"}
LOWERED = {"₊": "+", "₋": "-", "₍": "(", "₎": ")", "ᵢ": "i", "ⱼ": "j", "ᵣ": "r", "ᵤ": "u", "ᵥ": "v"}


def tokens(text: str) -> list[Token]:
    """Cut LaTeX or Unicode.  Raises Unread at a character that no statement holds."""
    if len(text) > LONGEST:
        raise Unread(f"a statement has at most {LONGEST} characters, this has {len(text)}")
    found = _Cutter(text).run()
    return found if "\\" in text else _grouped(found)


def _grouped(found: list[Token]) -> list[Token]:
    """Without commands, x_(ij) is x_{ij}: brackets are all that plain characters have for a longer subscript."""
    closing = []
    for k, token in enumerate(found):
        if token.kind == "symbol" and token.text in ("(", ")"):
            if token.text == "(":
                closing.append(k > 0 and found[k - 1].text == "_" and found[k - 1].kind == "symbol")
            group = closing[-1] if closing else False
            if token.text == ")" and closing:
                closing.pop()
            if group:
                found[k] = dataclasses.replace(token, text="{" if token.text == "(" else "}")
    return found


class _Cutter:
    def __init__(self, text: str):
        self.text = text
        self.place = 0
        self.found: list[Token] = []
        self.words = "\\" not in text  # without commands, a run of letters such as tr is a word

    def run(self) -> list[Token]:
        while self.place < len(self.text):
            self._one()
        self.found.append(Token("end", "", (len(self.text), len(self.text))))
        return self.found

    def _add(self, kind: str, text: str, start: int, side: str = "") -> None:
        self.found.append(Token(kind, text, (start, self.place), side))

    def _one(self) -> None:
        start, c = self.place, self.text[self.place]
        self.place += 1
        if c.isspace() or c in "$~&":  # an & of an aligned display stands between two sides
            if c == "&":
                self._add("symbol", "&", start)
            return
        if c == "\\":
            return self._command(start)
        if c.isascii() and c.isalpha():
            said = WORDS_BETWEEN.match(self.text, start) if self.words else None
            if said and self.text[start - 1 : start].isspace():
                self.place = said.end()
                return self._add("text", said.group(), start)
            run = re.compile(r"[A-Za-z]+").match(self.text, start)
            name = run.group() if run and self.words else c
            if name in FUNCTIONS and len(name) > 1:
                self.place = start + len(name)
                return self._add("word", SAME.get(name, name), start)
            return self._add("letter", c, start)
        number = NUMBER.match(self.text, start)
        if number:
            self.place = number.end()
            if len(number.group()) > LONGEST_NUMBER:
                raise Unread(f"a number has at most {LONGEST_NUMBER} digits", (start, self.place), self.text)
            return self._add("number", number.group(), start)
        if c in FRACTIONS:
            above, below = FRACTIONS[c]
            self._add("command", "frac", start)
            for value in (above, below):
                self._group([("number", str(value))], start)
            return None
        raised, lowered = _raised(c), _lowered(c)
        if raised or lowered:
            return self._scripts(start, bool(raised))
        if c in CHARACTERS:
            saved, self.text, self.place, end = self.text, CHARACTERS[c], 0, self.place
            before = len(self.found)
            while self.place < len(self.text):
                self._one()
            self.text, self.place = saved, end
            self.found[before:] = [dataclasses.replace(t, at=(start, end)) for t in self.found[before:]]
            return None
        if c.isalpha():
            name = unicodedata.normalize("NFKD", c)
            greek = unicodedata.name(name[0], "")
            found = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", greek)
            if found:
                word = found[2].lower().replace("lamda", "lambda")
                return self._add("letter", word if found[1] == "SMALL" else word.capitalize(), start)
            if name[0].isascii() and name[0].isalpha():  # 𝐗, 𝑥
                return self._add("letter", name[0], start)
        if c in "+-*/^_(){}[]|=,;.':!<>&":
            return self._add("symbol", c, start)
        raise Unread(f"no statement holds the character {c!r}", (start, start + 1), self.text)

    def _group(self, parts: list[tuple[str, str]], start: int) -> None:
        for kind, text in [("symbol", "{"), *parts, ("symbol", "}")]:
            self._add(kind, text, start)

    def _scripts(self, start: int, up: bool) -> None:
        """A run of raised or lowered characters is one group."""
        parts: list[tuple[str, str]] = []
        self.place = start
        while self.place < len(self.text):
            c = self.text[self.place]
            said = _raised(c) if up else _lowered(c)
            if not said:
                break
            self.place += 1
            kind = "number" if said.isdigit() else "command" if said[0] == "\\" else "letter"
            parts.append((kind if said.lstrip("\\").isalnum() else "symbol", said.lstrip("\\")))
        self._add("symbol", "^" if up else "_", start)
        self._group(parts, start)

    def _command(self, start: int) -> None:
        sized = SIZES.match(self.text, start)
        if sized:
            self.place = sized.end()
            if SIZES.match(self.text, self.place):
                raise Unread("a bracket was expected behind the size", (start, self.place), self.text)
            name = sized[1]
            side = "right" if (name.endswith(("right", "r")) and name != "right") or name == "right" else "left"
            if name in ("big", "Big", "bigg", "Bigg", "middle"):
                side = ""
            if self.text[self.place : self.place + 1] == ".":
                self.place += 1
                return self._add("symbol", "none", start, side)
            before = len(self.found)
            if self.place < len(self.text):
                self._one()
            self.found[before:] = [dataclasses.replace(t, side=side) for t in self.found[before:]]
            return
        found = re.compile(r"\\([A-Za-z]+)\*?|\\(.)", re.S).match(self.text, start)
        if not found:
            raise Unread("a command was expected behind the backslash", (start, start + 1), self.text)
        self.place = found.end()
        if found[0] in SKIPPED or (found[2] is not None and found[2].isspace()):
            return
        if found[2] is not None:
            if found[2] == "|":
                return self._add("symbol", "||", start)
            if found[2] in "{}":
                return self._add("symbol", "(" if found[2] == "{" else ")", start)
            if found[2] == "\\":
                return self._add("command", "\\", start)
            raise Unread(f"the command {found[0]} is not read", (start, self.place), self.text)
        self._named(found[1], start)

    def _named(self, name: str, start: int) -> None:
        if name in ("operatorname", "mathrm", "mathop", "text", "textrm", "mbox", "operatornamewithlimits"):
            inside = re.compile(r"\s*\{([^{}]*)\}").match(self.text, self.place)
            if not inside and name == "mathrm":
                inside = re.compile(r"\s*([A-Za-z0-9])").match(self.text, self.place)
            if not inside:
                raise Unread(f"a group in braces was expected behind \\{name}", (start, self.place), self.text)
            self.place = inside.end()
            word = inside[1].strip()
            if name in ("text", "textrm", "mbox") and not (word.isalpha() and SAME.get(word, word) in FUNCTIONS):
                return self._add("text", inside[1], start)
            if word == "d":
                return self._add("command", "d", start)
            if len(word) > 1 and word.replace(" ", "").isalpha():
                return self._add("word", SAME.get(word, word), start)
            if word in ("E", "I") or not word.isalnum():
                return self._add("letter" if word == "I" else "word", word, start)
            return self._add("number" if word.isdigit() else "letter", word, start)
        if name in FONTS:
            inside = re.compile(r"\s*\{\s*([^{}\s]+)\s*\}|\s*(\\[A-Za-z]+|[A-Za-z0-9])").match(self.text, self.place)
            if not inside:
                raise Unread(f"a group in braces was expected behind \\{name}", (start, self.place), self.text)
            word = (inside[1] or inside[2]).lstrip("\\")
            self.place = inside.end()
            if name in ("mathbf", "boldsymbol", "bm", "mathbb") and word in ("1", "0"):
                return self._add("command", "ones", start) if word == "1" else self._add("number", "0", start)
            if name in ("mathcal", "mathbb", "mathfrak"):
                return self._add("command", f"{name}{word}", start)
            if len(word) == 1 or word in GREEK:
                return self._add("letter", word, start)
            return self._add("word", SAME.get(word, word), start)
        name = SYMBOLS.get(name, name)
        if name in GREEK:
            return self._add("letter", "epsilon" if name == "varepsilon" else name, start)
        if SAME.get(name, name) in FUNCTIONS and name not in ("E",):
            return self._add("word", SAME.get(name, name), start)
        if name == "|":
            return self._add("symbol", "||", start)
        if name == "vert":
            return self._add("symbol", "|", start)
        if len(name) == 1 and not name.isalpha():
            return self._add("symbol", name, start)
        self._add("command", name, start)


def _raised(c: str) -> str:
    if c in RAISED:
        return RAISED[c]
    kind = unicodedata.decomposition(c)
    return chr(int(kind.split()[1], 16)) if kind.startswith("<super>") else ""


def _lowered(c: str) -> str:
    if c in LOWERED:
        return LOWERED[c]
    kind = unicodedata.decomposition(c)
    return chr(int(kind.split()[1], 16)) if kind.startswith("<sub>") else ""
