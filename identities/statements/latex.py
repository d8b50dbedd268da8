r"""LaTeX and Unicode, read into the syntax tree by recursive descent.

    statement   side (= side)* (, definition)*
    side        [±] term (± term)*
    term        product (∘ product)* | product (⊗ product)*
    product     factors side by side, \cdot, /          binds tighter than ∘ and ⊗
    factor      atom with powers, marks, subscripts

A derivative, a sum and a maximum reach to the end of their term.  A function without brackets takes one factor, which
must be the last of its product: `\operatorname{tr} AXB` could mean two things, so it is an error and never a guess.
"""

from __future__ import annotations

import dataclasses
import itertools

from identities.statements.cursor import (
    MOST_MARKS,
    RELATIONS,
    STARTERS,
    Vocabulary,
    minus_one,
)
from identities.statements.prefixes import Prefixes
from identities.statements.syntax import (
    Add,
    Apply,
    Cases,
    Definition,
    Derivative,
    Differential,
    Elementwise,
    Entry,
    Given,
    Kronecker,
    LeftDivision,
    Letter,
    Marked,
    Node,
    Number,
    Power,
    Product,
    Quotient,
    Statement,
)
from identities.statements.tokens import Token


def read(text: str, vocabulary: Vocabulary | None = None) -> Statement:
    """Read a whole statement.  Raises Unread, which points at the character."""
    return _Reader(text, vocabulary or Vocabulary()).statement()


def read_side(text: str, vocabulary: Vocabulary | None = None) -> Node:
    """Read one side alone."""
    reader = _Reader(text, vocabulary or Vocabulary())
    found = reader.side()
    reader.expect_end()
    return found


def read_print(text: str, vocabulary: Vocabulary | None = None) -> Statement:
    """Read a right-hand side alone, or a chain of them, with the definitions behind."""
    return _Reader(text, vocabulary or Vocabulary()).statement(least=1)


def read_definitions(text: str, vocabulary: Vocabulary | None = None) -> list[Definition]:
    """Read definitions alone: Y = A + tB, f(x) = …"""
    reader = _Reader(text, vocabulary or Vocabulary(), behind=True)
    found = reader.definitions()
    reader.expect_end()
    return found


class _Reader(Prefixes):
    """Statements, sums, products and factors."""

    def statement(self, least: int = 2) -> Statement:
        """`a = b = c`, or `a = b \\Rightarrow c = d`, whose first equations are its premises."""
        premises: list[Definition] = []
        found = self.chain(least)
        while self.accept("Rightarrow"):
            premises += [Definition((a.at[0], b.at[1]), a, b) for a, b in itertools.pairwise(found.sides)]
            found = self.chain(least)
        definitions = self.definitions()
        self.expect_end()
        return dataclasses.replace(
            found, at=(0, len(self.text)), definitions=tuple(definitions), premises=tuple(premises)
        )

    def chain(self, least: int) -> Statement:
        start = self.place
        sides = [self.side()]
        relation = ""
        self.accept("&")
        while self.now.text in RELATIONS and self.now.kind in ("symbol", "command"):
            here = RELATIONS[self.now.text]
            if relation and here != relation:
                raise self.error("a chain has one relation")
            relation = here
            self.take()
            self.accept("&")
            sides.append(self.only_where(self.side()))
            self.accept("&")
        if len(sides) < least:
            raise self.error("'=' was expected: a statement has two sides")
        if relation not in ("=", ""):
            raise self.error(f"only equations are decided, this is a statement with {relation}")
        return Statement(self.span(start), tuple(sides), (), relation)

    def definitions(self) -> list[Definition]:
        found: list[Definition] = []
        while True:
            while self.accept(",") or self.accept(";") or self.accept(".") or self.accept("\\"):
                pass
            if self.now.kind == "text" and self.now.text.strip() in ("with", "where", "and", "with ", "where "):
                self.take()
                continue
            if self.words.remark and (self.now.kind == "text" or self.restricts()):
                while self.now.kind != "end":
                    self.take()
            if self.now.kind == "end" or self.at("}") or self.at("none"):
                return found
            found += self.definition()

    def restricts(self) -> bool:
        """Whether a letter with its range follows and nothing else: c \\in R, \\nu > 1, n = 1,2,3,\\ldots."""
        relation = self.ahead()
        if self.now.kind != "letter" or relation.text not in ("in", "<", ">", "leq", "geq", "="):
            return False
        rest = self.tokens[self.place + 2 : -1]
        listed = all(t.kind == "number" or t.text in (",", "dots") for t in rest) and len(rest) > 1
        return listed if relation.text == "=" else all(t.kind in ("letter", "number") for t in rest)

    def definition(self) -> list[Definition]:
        """`a = b`, or the chain `a = b = c`, which defines a and b by c."""
        start = self.place
        sides = [self.side()]
        while self.accept("="):
            sides.append(self.side())
        if len(sides) < 2:
            raise self.error("a definition was expected: a letter, '=' and what it stands for")
        right = self.only_where(sides[-1])
        return [Definition(self.span(start), left, right) for left in sides[:-1]]

    def only_where(self, value: Node) -> Node:
        """`value \\text{ for } i \\ne j, \\text{ and 0 elsewhere}`, where the last words may be missing."""
        if self.now.kind != "text" or self.now.text.strip() not in ("for", "where", "if"):
            return value
        start = self.place
        self.take()
        conditions = [self.condition()]
        if self.at(",") and self.ahead().kind == "text" and self.ahead().text.strip() == "and 0 elsewhere":
            self.take(), self.take()
        return Cases((value.at[0], self.span(start)[1]), ((value, tuple(conditions)),))

    def side(self) -> Node:
        return self.deeper(self._side)

    def _side(self) -> Node:
        start = self.place
        terms: list[tuple[int, Node]] = []
        sign = self.sign()
        first = sign is None
        terms.append((sign or 1, self.term()))
        while True:
            sign = self.sign()
            if sign is None:
                break
            terms.append((sign, self.term()))
        if first and len(terms) == 1:
            return terms[0][1]
        self.count()
        return Add(self.span(start), tuple(terms))

    def sign(self) -> int | None:
        if self.at("+") or self.at("-"):
            return 1 if self.take().text == "+" else -1
        return None

    def term(self) -> Node:
        start = self.place
        found = self.product()
        operator = ""
        while self.now.kind == "command" and self.now.text in ("circ", "otimes", "backslash", "oslash"):
            here = self.take().text
            if operator and operator != here:
                raise self.error(
                    "∘ and ⊗ side by side could mean two things: set brackets", self.tokens[self.place - 1].at
                )
            operator = here
            right = self.product()
            self.count()
            if here == "otimes":
                found = Kronecker(self.span(start), found, right)
            elif here == "backslash":
                found = LeftDivision(self.span(start), found, right)
            else:
                found = Elementwise(self.span(start), "∘" if here == "circ" else "⊘", found, right)
        return self.substituted(found, start)

    def substituted(self, body: Node, start: int) -> Node:
        """`f |_{x = ...}` behind a term."""
        while self.now.kind == "symbol" and self.now.text == "|" and self.ahead().text == "_" and not self.closes_bar():
            self.take()
            self.take()
            self.expect("{")
            inside = self.definitions()
            self.expect("}")
            body = Given(self.span(start), body, tuple(inside))
        return body

    def product(self) -> Node:
        start = self.place
        factors = [self.factor(first=True)]
        while True:
            if self.accept("cdot") or self.accept("times") or (self.at("*") and self.take()):
                factors.append(self.factor(first=True))
            elif self.at("/"):
                slash = self.take().at
                if isinstance(factors[-1], Differential) and self.at("partial"):  # ∂f/∂X
                    of, below_letters = factors[-1], self.slashed_targets()
                    if of.along or len(below_letters) != 1:
                        raise self.error("one letter was expected below ∂", slash)
                    factors[-1] = Derivative(self.span(start), of.body, below_letters)
                    continue
                if len(factors) > 1 and not all(isinstance(f, Number) for f in factors[:-1]):
                    raise self.error("it is not clear what the slash divides: write \\frac{}{}", slash)
                below = self.factor()
                if self.begins_factor():
                    raise self.error("it is not clear what the slash divides: write \\frac{}{}", slash)
                factors[-1] = Quotient(self.span(start), factors[-1], below)
            elif self.begins_factor():
                factors.append(self.factor())
            else:
                break
        if len(factors) == 1:
            return factors[0]
        self.count()
        return Product(self.span(start), tuple(factors))

    def begins_factor(self) -> bool:
        token = self.now
        if token.kind in ("letter", "number", "word"):
            return True
        if token.kind == "command":
            return token.text in STARTERS
        if token.kind == "symbol":
            if token.text in ("|", "||"):
                if token.side == "left":
                    return True
                if token.side == "right" or self.closes_bar():
                    return False
                return not (token.text == "|" and self.ahead().text == "_")
            return token.text in ("(", "[", "{")
        return False

    def closes_bar(self) -> bool:
        return bool(self.bars) and self.bars[-1] == self.now.text and self.now.side != "left"

    def factor(self, first: bool = False) -> Node:
        return self.deeper(lambda: self._factor(first))

    def _factor(self, first: bool) -> Node:
        start = self.place
        token = self.now
        if self.slashed_operator():
            return self.slashed(start)
        if (token.kind == "command" and token.text in ("partial", "d")) or self.plain_differential():
            return self.differential()
        if token.kind == "command" and token.text in ("sum", "prod"):
            return self.big(self.take().text)
        if token.kind == "word" and token.text in ("max", "min") and not self.bracket_follows():
            return self.big(self.take().text)
        if token.kind == "command" and token.text == "nabla":
            return self.nabla()
        if token.kind == "command" and token.text == "frac":
            found = self.fraction()
            if isinstance(found, tuple):  # the operator alone: it reaches to the end of the term
                targets, order = found
                body = self.reach("a function to differentiate was expected")
                self.count()
                return Derivative(self.span(start), body, targets, order)
            return self.marks(found, start)
        expected = self.words.random and token.text == "E" and token.kind == "letter" and self.bracket_follows()
        if token.kind == "word" or self.is_function() or expected:
            return self.application()
        return self.marks(self.atom(), start)

    def reach(self, why: str) -> Node:
        """What stands to the right, up to the end of the term."""
        if not (self.begins_factor() or self.now.text in ("partial", "sum", "prod", "frac", "nabla")):
            raise self.error(why)
        return self.term()

    def marks(self, base: Node, start: int) -> Node:
        """Powers, marks, subscripts, primes and factorials behind an atom."""
        for _ in range(MOST_MARKS):
            if self.at("^"):
                self.take()
                base = self.raised(base, start)
            elif self.at("_"):
                self.take()
                base = Entry(self.span(start), base, self.subscript())
                base = dataclasses.replace(base, at=self.span(start))
            elif self.at("!"):
                self.take()
                base = Apply(self.span(start), "factorial", (base,))
            else:
                return base
            self.count()
        raise self.error(f"one factor has at most {MOST_MARKS} powers, marks and subscripts")

    def raised(self, base: Node, start: int) -> Node:
        grouped = self.accept("{")
        token = self.now
        if not grouped:
            if self.at("-"):
                raise self.error("a group in braces was expected: ^{-1}")
            one = self.mark(token, alone=True)
            if one:
                self.take()
                return Marked(self.span(start), base, one)
            if token.kind == "number" and len(token.text) > 1:  # x^12 is x^1 2 in LaTeX
                raise self.error("an exponent of two digits stands in braces")
            exponent = self.factor() if token.kind == "command" and token.text == "frac" else self.atom()
            return Power(self.span(start), base, exponent)
        one = self.mark(token, alone=self.ahead().text == "}")
        if one and self.ahead().text == "}":
            self.take()
            self.expect("}")
            return Marked(self.span(start), base, one)
        if self.at("-") and self.mark(self.ahead(), alone=True) == "T" and self.ahead(2).text == "}":
            self.take(), self.take(), self.expect("}")
            inverse = Power(self.span(start), base, minus_one(token.at))
            return Marked(self.span(start), inverse, "T")
        if self.at("-") and self.mark(self.ahead(), alone=True) == "H" and self.ahead(2).text == "}":
            self.take(), self.take(), self.expect("}")
            inverse = Power(self.span(start), base, minus_one(token.at))
            return Marked(self.span(start), inverse, "H")
        if self.at("-") and self.ahead().text == "}":
            raise self.error("A^- is not unique, and is not read")
        exponent = self.side()
        self.expect("}")
        return Power(self.span(start), base, exponent)

    def mark(self, token: Token, alone: bool) -> str:
        """T, H, *, + as a raised mark."""
        if token.kind == "command" and token.text in ("top", "dagger", "ast", "star", "prime"):
            return {"top": "T", "dagger": "+", "ast": "*", "star": "*", "prime": ""}[token.text]
        if token.kind == "symbol" and token.text in ("*", "+") and alone:
            return token.text
        if token.kind == "letter" and token.text in ("T", "H") and alone:
            return token.text
        return ""

    def subscript(self) -> tuple[Node, ...]:
        """Indices: letters and numbers side by side, or separated by commas, or one sum such as n-1."""
        if not self.accept("{"):
            token = self.take()
            if token.kind == "letter":
                return (Letter(token.at, token.text),)
            if token.kind == "number" and token.text.isdigit():
                return tuple(Number(token.at, float(c)) for c in token.text)
            raise self.error("an index was expected", token.at)
        found: list[Node] = []
        while not self.at("}"):
            if self.accept(","):
                continue
            if self.now.kind == "end":
                raise self.error("'}' was expected")
            found += self.index()
        self.expect("}")
        if not found:
            raise self.error("an index was expected")
        return tuple(found)

    def index(self) -> list[Node]:
        """Letters side by side are indices each; with a sign, they are one sum."""
        start = self.place
        run: list[Node] = []
        while self.now.kind in ("letter", "number"):
            token = self.take()
            if token.kind == "letter":
                run.append(Letter(token.at, token.text))
            elif self.now.kind == "letter" or self.at("}") or self.at(",") or self.at("+") or self.at("-"):
                run.append(Number(token.at, float(token.text)))
            else:
                raise self.error("an index was expected")
        if self.at("+") or self.at("-"):
            if len(run) > 1:
                raise self.error("indices with a sum among them are separated by commas")
            self.place = start
            return [self.side()]
        if not run:
            if self.now.kind == "command" and self.now.text in ("cdot", "lfloor", "lceil"):
                raise self.error("an index was expected")
            return [self.side()]
        return run
