r"""The transpose of a formula: (B + B^\top)x becomes x^\top (B + B^\top).

Sums and products of operands, their transposes and inverses are turned factor by factor; the kind of each factor is
known from its operand, so that a product is turned only where it is one of matrices, or ends in a vector, or holds one
outer product.  Everything else is set in brackets with a \top behind them, or left alone where that would mislead.
"""

from __future__ import annotations

import dataclasses
import re

from identities.engine import pages
from identities.engine.identity import Claim

TOKEN = re.compile(
    r"\\left\(|\\right\)|\\,|\\tfrac\{\d+\}\{\d+\}|\\frac\{\d+\}\{\d+\}|\^\\top|\^\{-1\}|\^\{-\\top\}"
    r"|\\?[A-Za-z]+_(?:\{\w+\}|\w)|\\[A-Za-z]+|[A-Za-z]|\d+|[()+-]|\s+"
)
TURNED = {"": r"^\top", r"^\top": "", "^{-1}": r"^{-\top}", r"^{-\top}": "^{-1}"}


class _Unknown(Exception):
    """A formula that is no sum of products of operands."""


@dataclasses.dataclass
class _Factor:
    kind: str  # "matrix", "column", "row"
    text: str  # of a letter
    inner: list[_Term] | None  # of brackets
    script: str
    fixed: bool = False  # its own transpose

    def turned(self) -> str:
        if self.fixed:
            return self.text + self.script
        if self.inner is None:
            return self.text + TURNED[self.script]
        if self.script == r"^\top":
            inside = _sum([term.plain for term in self.inner])
            return inside if len(self.inner) == 1 else f"({inside})"
        if self.script == r"^{-\top}":
            return f"({_sum([term.plain for term in self.inner])})^{{-1}}"
        return f"({_sum([term.turned() for term in self.inner])}){self.script}"


@dataclasses.dataclass
class _Term:
    sign: str
    scalars: str
    factors: list[_Factor]
    plain: str

    @property
    def kind(self) -> str:
        """Of the whole product.  Raises _Unknown where it holds a scalar product or more than one outer product."""
        kinds = "".join(factor.kind[0] for factor in self.factors)
        if re.fullmatch("m+", kinds) or re.fullmatch("m*crm*", kinds):
            return "matrix"
        if re.fullmatch("m*c", kinds):
            return "column"
        if re.fullmatch("rm*", kinds):
            return "row"
        raise _Unknown

    def turned(self) -> str:
        return f"{self.sign}{self.scalars}{_product([factor.turned() for factor in reversed(self.factors)])}"


def transpose(claim: Claim, latex: str) -> str | None:
    """The transpose of a right-hand side of which no explanation follows; None where it cannot be written well."""
    if latex.strip() == "0" or re.fullmatch(r"\d*I", latex.strip()):
        return latex
    try:
        terms = _Reader(claim, latex).read()
        return _sum([term.turned() for term in terms])
    except _Unknown:
        pass
    if re.search(r"=|\\in\b|\\text|\\begin\{cases|\\quad|\\le\b|\\dots", latex):
        return None
    plain = re.fullmatch(r"[A-Za-z](_\w)?|\\[A-Za-z]+|\\mathbf\{1\}", latex)
    return rf"{latex}^\top" if plain else rf"\left({latex}\right)^\top"


def _product(factors: list[str]) -> str:
    """Factors side by side; a space only where a command would run into a letter."""
    text = ""
    for factor in factors:
        text += (" " if re.search(r"\\[A-Za-z]+$", text) and factor[0].isalpha() else "") + factor
    return text


def _sum(terms: list[str]) -> str:
    text = "".join(f" {term[0]} {term[1:]}" if term[0] in "+-" else f" + {term}" for term in terms)
    return text[3:] if text.startswith(" + ") else f"-{text[3:]}"


class _Reader:
    def __init__(self, claim: Claim, latex: str):
        self.kinds = {_tidy(pages.tex(name)): operand for name, operand in claim.operands.items()}
        self.tokens: list[str] = []
        place = 0
        while place < len(latex):
            match = TOKEN.match(latex, place)
            if match is None:
                raise _Unknown
            place = match.end()
            if match[0].strip() and match[0] != r"\,":
                self.tokens.append(match[0].replace(r"\left(", "(").replace(r"\right)", ")"))

    def read(self) -> list[_Term]:
        terms = self.sum()
        if self.tokens:
            raise _Unknown
        return terms

    def sum(self) -> list[_Term]:
        terms = [self.product()]
        while self.tokens and self.tokens[0] in "+-":
            terms.append(self.product())
        if len({term.kind for term in terms}) != 1:
            raise _Unknown
        return terms

    def product(self) -> _Term:
        sign = self.tokens.pop(0) if self.tokens and self.tokens[0] in "+-" else "+"
        scalars, factors, texts = "", [], []
        while self.tokens and self.tokens[0] not in ("+", "-", ")"):
            if re.match(r"\d|\\t?frac", self.tokens[0]):
                scalars += self.tokens.pop(0)
                continue
            found = self.factor()
            if isinstance(found, str):
                scalars += found + (" " if found[0] == "\\" else "")
                continue
            factors.append(found[0])
            texts.append(found[1])
        if not factors:
            raise _Unknown
        return _Term(sign, scalars, factors, sign + scalars + _product(texts))

    def factor(self) -> tuple[_Factor, str] | str:
        """A factor and its text; of a scalar the text alone."""
        token = self.tokens.pop(0)
        if token == "(":
            inner = self.sum()
            if not self.tokens or self.tokens.pop(0) != ")":
                raise _Unknown
            script = self.script()
            kind = inner[0].kind
            text = f"({_sum([term.plain for term in inner])}){script}"
            return _Factor(_kind(kind, script), "", inner, script), text
        if token == "I":
            return _Factor("matrix", "I", None, self.script(), fixed=True), "I"
        operand = self.kinds.get(_tidy(token))
        if operand is None or len(operand.dims) > 2:
            raise _Unknown
        script = self.script()
        if not operand.dims:
            if script:
                raise _Unknown
            return token
        kind = "matrix" if len(operand.dims) == 2 else "column"
        fixed = kind == "matrix" and str(operand.english).startswith(("symmetric", "diagonal"))
        return _Factor(_kind(kind, script), token, None, script, fixed), token + script

    def script(self) -> str:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in TURNED else ""


def _kind(kind: str, script: str) -> str:
    if script == r"^\top":
        return {"column": "row", "row": "column"}.get(kind, kind)
    if script and kind != "matrix":
        raise _Unknown
    return kind


def _tidy(name: str) -> str:
    return re.sub(r"_\{(\w+)\}", r"_\1", name)
