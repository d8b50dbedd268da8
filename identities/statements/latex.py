"""LaTeX and Unicode, read into the syntax tree by recursive descent.

    statement   side (= side)* (, definition)*
    side        [±] term (± term)*
    term        product (∘ product)* | product (⊗ product)*
    product     factors side by side, \\cdot, /          binds tighter than ∘ and ⊗
    factor      atom with powers, marks, subscripts

A derivative, a sum and a maximum reach to the end of their term.  A function without brackets takes one factor, which
must be the last of its product: `\\operatorname{tr} AXB` could mean two things, so it is an error and never a guess.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

from identities.statements.errors import Unread
from identities.statements.syntax import (
    Add,
    Apply,
    At,
    Average,
    Big,
    Blocks,
    Cases,
    Columns,
    Condition,
    Constant,
    Definition,
    Delta,
    Derivative,
    Differential,
    Elementwise,
    Entry,
    Given,
    Index,
    Iverson,
    Kronecker,
    LeftDivision,
    Letter,
    Marked,
    Minimum,
    Modulus,
    Node,
    Norm,
    Number,
    Power,
    Product,
    Quotient,
    SingleEntry,
    Statement,
    Target,
    UnitVector,
)
from identities.statements.tokens import ACCENTS, FUNCTIONS, Token, tokens

DEEPEST = 60  # brackets within brackets
MOST_MARKS = 12  # on one factor
LARGEST = 2000  # nodes of a tree
INDICES = frozenset("ijklmnpqrstuv")
RELATIONS = {"=": "=", "ne": "≠", "leq": "≤", "geq": "≥", "<": "<", ">": ">", "equiv": "=", "cong": "≈", "approx": "≈"}
RELATIONS |= {"simeq": "≈", "propto": "∝", "sim": "~"}
CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """What is declared about letters before the text is read.

    `names` are operands, with their fixed subscripts (l_1); `functions` are letters that stand before their argument.
    """

    names: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()  # letters whose subscript picks a vector or a matrix: v_i
    indices: frozenset[str] = INDICES
    differential: bool = False  # whether a plain d before a letter or a function is the differential
    imaginary: bool = False  # whether i is the imaginary unit
    remark: bool = False  # whether words behind the last side are a remark
    aliases: tuple[tuple[str, str], ...] = ()  # letters of the text that stand for others
    random: bool = False  # whether some letter is random: then E[…] is an expectation


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


class _Reader:
    def __init__(self, text: str, vocabulary: Vocabulary, behind: bool = False):
        """`behind`: the text holds definitions alone, as they stand behind a statement."""
        self.text = text
        self.words = vocabulary
        self.tokens = tokens(text)
        self.behind = behind
        self.place = 0
        self.depth = 0
        self.nodes = 0
        self.bars: list[str] = []  # the bars that are open, innermost last
        self.aliases = dict(vocabulary.aliases)
        self.functions = vocabulary.functions | self.defined_functions()
        self.named = self.defined_names()
        self.known = vocabulary.names | self.functions | vocabulary.families | self.named

    def defined_functions(self) -> frozenset[str]:
        """The letters that the text itself defines as functions: f(x) = …, behind the statement."""
        found = set()
        for place in range(0 if self.behind else 1, len(self.tokens) - 4):
            name, opening, inside, closing = self.tokens[place : place + 4]
            before = self.tokens[place - 1] if place else _COMMA
            shaped = (opening.text, closing.text) == ("(", ")") and name.kind == inside.kind == "letter"
            if not shaped or before.text not in (",", ";", "{", "=", "with") or name.text in self.words.names:
                continue
            after = place + 4
            if self.tokens[after].text == "_":
                after += 1
                if self.tokens[after].text == "{":
                    while self.tokens[after].text not in ("}", ""):
                        after += 1
                after += 1
            following = self.tokens[min(after, len(self.tokens) - 1)]
            if following.text == "=" and following.kind == "symbol":
                found.add(name.text)
        return frozenset(found)

    def defined_names(self) -> frozenset[str]:
        """The letters that the text itself defines, z = … or z_3 = …, behind the statement."""
        found = set()
        recursive = set()  # f_0 of f_i = … f_{i-1} … is no letter of its own
        for place in range(0 if self.behind else 1, len(self.tokens) - 3):
            letter, after = self.tokens[place : place + 2]
            before = self.tokens[place - 1] if place else _COMMA
            if before.text not in (",", ";", "with") or letter.kind != "letter":
                continue
            if after.text == "=":
                found.add(letter.text)
            elif after.text == "_" and letter.text not in self.words.names:
                rest = [t for t in self.tokens[place + 2 : place + 6] if t.text not in ("{", "}")] + [_END, _END]
                if rest[0].kind == "number" and rest[1].text == "=":
                    found.add(f"{letter.text}_{rest[0].text}")
                elif rest[0].kind == "letter":
                    recursive.add(letter.text)
        return frozenset(name for name in found if name.split("_")[0] not in recursive)

    # -- tokens ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    def ahead(self, steps: int = 1) -> Token:
        return self.tokens[min(self.place + steps, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.now
        if token.kind != "end":
            self.place += 1
        return token

    def at(self, text: str) -> bool:
        return self.now.text == text and self.now.kind in ("symbol", "command")

    def accept(self, text: str) -> bool:
        if self.at(text):
            self.place += 1
            return True
        return False

    def expect(self, text: str, why: str = "") -> Token:
        if not self.at(text):
            raise self.error(f"{text!r} was expected{why}")
        return self.take()

    def expect_end(self) -> None:
        while self.now.text in (".", ",", ";") and self.now.kind == "symbol" and self.ahead().kind == "end":
            self.place += 1
        if self.now.kind != "end":
            raise self.error("an operator, a relation or the end was expected")

    def error(self, message: str, at: At | None = None) -> Unread:
        return Unread(message, at or self.now.at, self.text)

    def span(self, start: int) -> At:
        """From the token `start` to the last one taken."""
        return self.tokens[start].at[0], self.tokens[max(start, self.place - 1)].at[1]

    def count(self) -> None:
        self.nodes += 1
        if self.nodes > LARGEST:
            raise self.error(f"a statement has at most {LARGEST} parts")

    def deeper(self, inside: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"brackets stand at most {DEEPEST} deep")
        try:
            return inside()
        finally:
            self.depth -= 1

    # -- statements -----------------------------------------------------------------------------------------------

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

    # -- sums and products ----------------------------------------------------------------------------------------

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
            return token.text in _STARTERS
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

    # -- factors --------------------------------------------------------------------------------------------------

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
            inverse = Power(self.span(start), base, _minus_one(token.at))
            return Marked(self.span(start), inverse, "T")
        if self.at("-") and self.mark(self.ahead(), alone=True) == "H" and self.ahead(2).text == "}":
            self.take(), self.take(), self.expect("}")
            inverse = Power(self.span(start), base, _minus_one(token.at))
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

    # -- atoms ----------------------------------------------------------------------------------------------------

    def atom(self) -> Node:
        start = self.place
        token = self.take()
        self.count()
        if token.kind == "number":
            return Number(token.at, float(token.text))
        if token.kind == "letter":
            return self.letter(token, start)
        if token.kind == "symbol":
            if token.text in ("(", "[", "{"):
                return self.bracket(token, start)
            if token.text in ("|", "||") and token.side != "right":
                return self.barred(token, start)
        if token.kind == "command":
            if token.text in ACCENTS:
                grouped = self.accept("{")
                base = self.take()
                if base.kind != "letter":
                    raise self.error("a letter was expected under the accent", base.at)
                if grouped:
                    self.expect("}")
                return self.letter(dataclasses.replace(base, text=f"{token.text}({base.text})"), start)
            if token.text == "ones":
                return Constant(token.at, "1")
            if token.text == "infty":
                return Constant(token.at, "infinity")
            if token.text == "sqrt":
                raise self.error("a group was expected behind the root", token.at)
            if token.text == "begin":
                return self.environment(start)
            if token.text in ("lfloor", "lceil"):
                inside = self.side()
                self.expect("r" + token.text[1:])
                return Apply(self.span(start), "floor" if token.text == "lfloor" else "ceil", (inside,))
            if token.text == "mathcalN":
                return self.density(start)
            if token.text == "langle":
                inside = self.side()
                self.expect("rangle")
                return Average(self.span(start), "E", (inside,))
        if token.kind == "end":
            raise self.error("the statement ends where an operand was expected", token.at)
        if token.kind == "text":
            raise self.error(f"the words {token.text.strip()!r} are not read", token.at)
        if token.kind == "command" and token.text == "dots":
            raise self.error("dots are not read: say it by a sum or a product with bounds", token.at)
        shown = f"\\{token.text}" if token.kind == "command" and len(token.text) > 1 else token.text
        raise self.error(f"an operand was expected, not {shown!r}", token.at)

    def density(self, start: int) -> Node:
        """\\mathcal N_x(m, S): the Gaussian density at x, of mean m and covariance S (of variance S, for a number)."""
        self.expect("_", ", and behind it the point of the density")
        if self.accept("{"):
            point = self.side()
            self.expect("}")
        else:
            point = self.atom()
        if not (self.at("(") or self.at("[")):
            raise self.error("the mean and the covariance of the density were expected in brackets")
        closing = CLOSING[self.take().text]
        mean = self.side()
        self.expect(",")
        covariance = self.side()
        self.expect(closing)
        return Apply(self.span(start), "density", (point, mean, covariance))

    def letter(self, token: Token, start: int) -> Node:
        name = self.aliases.get(token.text, token.text)
        if self.at("'") and f"{name}'" in self.known:
            self.take()
            return Letter(self.span(start), f"{name}'")
        if self.at("_"):
            fixed = self.fixed_subscript(name)
            if fixed:
                return Letter(self.span(start), fixed)
        if name in self.known:
            return Letter(token.at, name)
        if name == "lambda" and self.at("_") and self.subscript_then_bracket():
            self.take()
            which = self.subscript()
            self.expect("(")
            argument = self.side()
            self.expect(")")
            return Entry(self.span(start), Apply(self.span(start), "eig", (argument,)), which)
        if name == "delta" and self.at("_"):
            self.take()
            both = self.subscript()
            if len(both) != 2:
                raise self.error("two indices were expected", self.span(start))
            return Delta(self.span(start), both[0], both[1])
        if name in ("J", "E", "S") and self.at("^") and self.raised_indices():
            return self.single_entry(name, start)
        if name == "e" and self.at("_") and self.ahead().text != "0":
            self.take()
            one = self.subscript()
            if len(one) != 1:
                raise self.error("one index was expected", self.span(start))
            return UnitVector(self.span(start), one[0])
        if name == "e" and self.at("^") and not self.mark(self.ahead(), alone=True):
            self.take()
            if self.accept("{"):
                exponent = self.side()
                self.expect("}")
            else:
                exponent = self.atom()
            return Apply(self.span(start), "exp", (exponent,))
        if name == "I" or name == "pi":
            return Constant(token.at, name)
        if name == "i" and self.words.imaginary:
            return Constant(token.at, "i")
        return Letter(token.at, name)

    def fixed_subscript(self, name: str) -> str:
        """A subscript that belongs to the name: one that is declared, or one that is no index."""
        group = self.ahead().text == "{"
        sign = self.ahead(2 if group else 1)
        if sign.kind == "symbol" and sign.text in ("+", "-") and (not group or self.ahead(3).text == "}"):
            self.place += 4 if group else 2
            return f"{name}_{sign.text}"
        parts = []
        place = self.place + (2 if group else 1)
        while place < len(self.tokens) and self.tokens[place].kind in ("letter", "number"):
            parts.append(self.tokens[place].text)
            place += 1
            if not group:
                break
        if group:
            if self.tokens[place].text != "}":
                return ""
            place += 1
        if not parts:
            return ""
        joined = "".join(parts)
        for known in (f"{name}_{joined}", f"{name}{joined}"):
            if known in self.known:
                self.place = place
                return known
        if name in self.known:
            return ""
        number = all(p.isdigit() for p in parts)
        strange = any(p.isalpha() and p not in self.words.indices for p in parts)
        capital = name[0].isupper()
        if strange or (number and capital and len(joined) == 1 and name not in ("I",)):
            self.place = place
            return f"{name}_{joined}"
        return ""

    def subscript_then_bracket(self) -> bool:
        """Whether _i( or _{i}( follows."""
        return self.ahead(2).text == "(" or (
            self.ahead().text == "{" and self.ahead(3).text == "}" and self.ahead(4).text == "("
        )

    def raised_indices(self) -> bool:
        """Whether ^{ij} follows."""
        parts = [self.ahead(k) for k in (1, 2, 3, 4)]
        letters = [p.kind in ("letter", "number") for p in parts[1:3]]
        return (parts[0].text == "{" and all(letters) and parts[3].text == "}") or (
            parts[0].text == "{" and parts[1].kind == "number" and len(parts[1].text) == 2 and parts[2].text == "}"
        )

    def single_entry(self, name: str, start: int) -> Node:
        self.expect("^")
        self.expect("{")
        both: list[Node] = []
        while not self.accept("}"):
            token = self.take()
            both += [
                Letter(token.at, token.text) if token.kind == "letter" else Number(token.at, float(c))
                for c in (token.text if token.kind == "number" else "x")
            ]
        row, column = both
        if name == "S":
            return Apply(self.span(start), "S", (row, column))
        return SingleEntry(self.span(start), row, column)

    def bracket(self, token: Token, start: int) -> Node:
        listed = self.listed_columns() if token.text == "[" else None
        if listed:
            return listed
        saved, self.bars = self.bars, []
        inside = self.side()
        if token.text == "[" and self.now.text in ("<", ">", "leq", "geq", "ne"):
            relation = RELATIONS[self.take().text]
            inside = Iverson(self.span(start), Condition(self.span(start), relation, inside, self.side()))
        rows: list[tuple[Node, ...]] = [(inside,)]
        if token.text == "[" and (self.at(";") or self.has_rows()):
            rows = self.rows(inside)
        while token.text == "(" and self.accept(","):
            rows.append((self.side(),))
        if len({len(row) for row in rows}) > 1:
            raise self.error("the rows of a matrix have the same number of columns", self.span(start))
        if len(rows) > 1:
            inside = Blocks(self.span(start), tuple(rows))
        self.bars = saved
        if not self.at(CLOSING[token.text]) and not (token.text == "[" and self.at("]")):
            raise self.error(
                f"{CLOSING[token.text]!r} was expected, to close the bracket of character {token.at[0] + 1}"
            )
        self.take()
        return inside if token.text == "{" else dataclasses.replace(inside, at=self.span(start))

    def has_rows(self) -> bool:
        """Whether a semicolon stands in this bracket: [a, b; c, d] is a matrix, [a, b] could be a commutator."""
        depth, place = 0, self.place
        while self.at(",") and depth >= 0 and self.tokens[place].kind != "end":
            text = self.tokens[place].text
            if not depth and text == ";":
                return True
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text, 0)
            place += 1
        return False

    def rows(self, first: Node) -> list[tuple[Node, ...]]:
        """[a, b; c, d], behind its first cell."""
        rows: list[tuple[Node, ...]] = []
        row = [first]
        while True:
            if self.accept(","):
                row.append(self.side())
                continue
            rows.append(tuple(row))
            if not self.accept(";"):
                return rows
            row = [self.side()]

    def listed_columns(self) -> Node | None:
        """[v_1, \\dots, v_n], behind its opening bracket."""
        kinds = [t.text for t in self.tokens[self.place : self.place + 14] if t.text not in ("{", "}")]
        if len(kinds) < 10 or kinds[1:6] != ["_", "1", ",", "dots", ","] or kinds[6] != kinds[0] or kinds[9] != "]":
            return None
        start = self.place - 1
        while not self.accept("]"):
            self.take()
        return Columns(self.span(start), kinds[0])

    def barred(self, token: Token, start: int) -> Node:
        self.bars.append(token.text)
        inside = self.side()
        self.bars.pop()
        if self.now.text != token.text or self.now.kind != "symbol":
            raise self.error(f"{token.text!r} was expected, to close the bar of character {token.at[0] + 1}")
        self.take()
        if token.text == "|":
            return Modulus(self.span(start), inside)
        kind = ""
        if self.accept("_"):
            grouped = self.accept("{")
            said = self.take()
            kind = said.text + (self.take().text if grouped and self.now.kind == "letter" else "")
            if grouped:
                self.expect("}")
            kind = {"infty": "inf", "∞": "inf"}.get(kind, kind)
            if kind not in ("1", "2", "F", "inf", "max", "KF"):
                raise self.error("a norm is one of 1, 2, F, ∞, max, KF", said.at)
        return Norm(self.span(start), inside, kind)

    def environment(self, start: int) -> Node:
        self.expect("{")
        name = ""
        while not self.at("}"):
            name += self.take().text
            if self.now.kind == "end":
                raise self.error("'}' was expected")
        self.expect("}")
        if name == "cases":
            return self.cases(start)
        if name not in ("bmatrix", "pmatrix", "matrix", "array", "Bmatrix", "smallmatrix"):
            raise self.error(f"the environment {name!r} is not read", self.span(start))
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while True:
            row.append(self.side())
            if self.accept("&"):
                continue
            rows.append(tuple(row))
            row = []
            if self.accept("\\"):
                if self.at("end"):
                    break
                continue
            break
        self.end(name)
        if len({len(r) for r in rows}) > 1:
            raise self.error("the rows of a matrix have the same number of columns", self.span(start))
        return Blocks(self.span(start), tuple(rows))

    def end(self, name: str) -> None:
        self.expect("end", f", as in \\end{{{name}}}")
        self.expect("{")
        while not self.accept("}"):
            if self.take().kind == "end":
                raise self.error("'}' was expected")

    def cases(self, start: int) -> Node:
        rows: list[tuple[Node, tuple[Condition, ...]]] = []
        while True:
            value = self.side()
            self.accept("&")
            rows.append((value, tuple(self.conditions())))
            if not self.accept("\\") or self.at("end"):
                break
        self.end("cases")
        return Cases(self.span(start), tuple(rows))

    def conditions(self) -> list[Condition]:
        found: list[Condition] = []
        while self.now.kind != "end" and not self.at("\\") and not self.at("end"):
            if self.now.kind == "text" and self.now.text.strip() in ("if", "for", "where", "and", "otherwise", "else"):
                if self.take().text.strip() in ("otherwise", "else"):
                    return []
                continue
            if self.accept(",") or self.accept(";"):
                continue
            found.append(self.condition())
        return found

    def condition(self) -> Condition:
        start = self.place
        left = self.side()
        if self.now.text not in ("=", "ne", "<", ">", "leq", "geq"):
            raise self.error("a relation was expected: =, ≠, <, >, ≤, ≥")
        relation = RELATIONS[self.take().text]
        return Condition(self.span(start), relation, left, self.side())

    # -- functions ------------------------------------------------------------------------------------------------

    def is_function(self) -> bool:
        token = self.now
        if token.kind != "letter" or token.text not in self.functions:
            return False
        following = self.ahead()
        if following.text == "^":  # f^2(x), but not f^* alone
            place = self.place + 2
            while self.tokens[self.place + 2].text == "{" and self.tokens[place].text not in ("}", ""):
                place += 1
            following = self.tokens[min(place + 1, len(self.tokens) - 1)]
        return following.text in ("(", "'") and following.kind == "symbol"

    def bracket_follows(self) -> bool:
        return self.ahead().kind == "symbol" and self.ahead().text in ("(", "[")

    def application(self) -> Node:
        """A function with its argument: in brackets, or one factor that ends its product."""
        start = self.place
        token = self.take()
        name = token.text
        if token.kind == "word" and name not in FUNCTIONS and name not in self.functions:
            raise self.error(f"the function {name!r} is not known", token.at)
        if name == "trace":
            name = "tr"
        primes = 0
        while self.accept("'"):
            primes += 1
        if name == "sqrt" or token.text == "sqrt":
            return self.root(start)
        if name in ("E", "Var", "Cov"):
            return self.average(name, start)
        power: Node | None = None
        mark = ""
        if self.at("^"):
            self.take()
            grouped = self.accept("{")
            if self.mark(self.now, alone=True):
                mark = self.mark(self.take(), alone=True)
            else:
                power = self.side() if grouped else self.atom()
            if grouped:
                self.expect("}")
        if self.at("(") or self.at("[") or self.at("{"):
            opening = self.take()
            arguments = [self.side()]
            while self.accept(","):
                arguments.append(self.side())
            if not self.at(CLOSING[opening.text]):
                raise self.error(f"{CLOSING[opening.text]!r} was expected, to close the bracket of {name}")
            self.take()
        else:
            if not (self.begins_factor() or self.now.text in ("frac", "sum", "prod")):
                raise self.error(f"the argument of {name} was expected")
            inner_start = self.place
            argument = self.factor()
            if self.begins_factor() and not isinstance(argument, (Big, Derivative)):
                both = f"{name}(…)"
                raise self.error(
                    f"it is not clear where the argument of {name} ends: set brackets, {both}",
                    self.tokens[inner_start].at,
                )
            arguments = [argument]
        self.count()
        found: Node = Apply(self.span(start), name, tuple(arguments), primes)
        if power is not None:
            if isinstance(power, (Number, Add)) and _is_minus_one(power):
                found = Apply(self.span(start), f"{name}^-1", tuple(arguments), primes)
            else:
                found = Power(self.span(start), found, power, elementwise=True)
        if mark:
            found = Marked(self.span(start), found, mark)
        return self.marks(found, start)

    def root(self, start: int) -> Node:
        if not self.at("{") and not self.at("("):
            inside = self.factor()
        else:
            closing = CLOSING[self.take().text]
            inside = self.side()
            self.expect(closing)
        return self.marks(Apply(self.span(start), "sqrt", (inside,)), start)

    def average(self, name: str, start: int) -> Node:
        if not (self.at("(") or self.at("[")):
            raise self.error(f"a bracket was expected behind {name}")
        closing = CLOSING[self.take().text]
        arguments = [self.side()]
        while self.accept(","):
            arguments.append(self.side())
        self.expect(closing)
        return self.marks(Average(self.span(start), name, tuple(arguments)), start)

    def big(self, operator: str) -> Node:
        start = self.place - 1
        indices: list[Index] = []
        conditions: list[Condition] = []
        if self.accept("_"):
            if self.at("{"):
                self.take()
                indices, conditions = self.bounds()
                self.expect("}")
            else:
                indices = [Index(self.now.at, self.index_name())]
        if operator == "min" and len(indices) == 1 and indices[0].name not in self.words.indices:
            body = self.side()
            return Minimum(self.span(start), indices[0].name, body)
        if self.accept("^"):
            grouped = self.accept("{")
            high = self.side() if grouped else self.atom()
            if grouped:
                self.expect("}")
            if len(indices) != 1:
                raise self.error("one index was expected under an upper bound", self.span(start))
            indices = [dataclasses.replace(indices[0], high=high)]
        body = self.reach("the terms of the sum were expected")
        self.count()
        return Big(self.span(start), operator, tuple(indices), tuple(conditions), body)

    def index_name(self) -> str:
        token = self.take()
        if token.kind != "letter":
            raise self.error("an index was expected", token.at)
        return token.text

    def bounds(self) -> tuple[list[Index], list[Condition]]:
        """What stands under a sum: i, ij, i=1, l \\ne i, k - l = j - i."""
        start = self.place
        names: list[Index] = []
        while self.now.kind == "letter" or self.at(","):
            if self.accept(","):
                continue
            names.append(Index(self.now.at, self.index_name()))
        if self.at("}"):
            return names, []
        if len(names) == 1 and self.at("=") and not self.is_condition(start):
            self.take()
            low = self.side()
            return [dataclasses.replace(names[0], low=low)], []
        self.place = start
        found = self.condition()
        bound = dict.fromkeys(n.name for n in _letters(found.left))
        return [Index(found.at, name) for name in bound], [found]

    def is_condition(self, start: int) -> bool:
        """Whether `i = …` is followed by indices, and not by a number or a bound."""
        return False

    # -- derivatives ----------------------------------------------------------------------------------------------

    def plain_differential(self) -> bool:
        token = self.now
        if not self.words.differential or token.kind != "letter" or token.text != "d":
            return False
        following = self.ahead()
        opens = following.kind in ("letter", "word", "command") or following.text in ("(", "[", "||", "|")
        return opens and (following.at[0] == token.at[1] or following.kind in ("word", "command"))

    def differential(self) -> Node:
        start = self.place
        self.take()
        if self.now.kind == "word" or self.is_function():
            body = self.application()
        else:
            inner = self.place
            body = self.atom()
            linear = isinstance(body, (Letter, Marked)) or self.tokens[inner].text in ("(", "[")
            if self.at("_") and isinstance(body, Letter):
                return self.marks(Differential(self.span(start), body), start)
            if self.at("^") and not linear:
                body = self.marks(body, inner)
            if self.at("^") and linear:
                following = self.ahead(2) if self.ahead().text == "{" else self.ahead()
                mark = self.mark(following, alone=True)
                if mark not in ("T", "H", "*"):
                    raise self.error("it is not clear what is differentiated: set brackets, d(X^{-1}) or (dX)^{-1}")
                found: Node = Differential(self.span(start), body)
                return self.marks(found, start)
        along: list[str] = []
        if self.at("[") and self.ahead().text in ("d", "partial"):
            self.take()
            while not self.accept("]"):
                if self.accept(","):
                    continue
                plain_d = self.words.differential and self.now.kind == "letter" and self.now.text == "d"
                if not (self.accept("d") or self.accept("partial") or (plain_d and self.take())):
                    raise self.error("a tangent was expected, such as dX")
                letter = self.atom()
                if not isinstance(letter, Letter):
                    raise self.error("a letter was expected behind d", letter.at)
                along.append(letter.name)
        self.count()
        return Differential(self.span(start), body, tuple(along))

    def slashed_operator(self) -> bool:
        """Whether ∂/∂X, d/dt or ∂²/∂x∂y begins here, a derivative on one line."""
        if not self.is_d(self.now, self.ahead()):
            return False
        steps = 1
        if self.ahead().text == "^":
            steps = 5 if self.ahead(2).text == "{" else 3
            steps -= steps == 5 and self.ahead(4).text != "}"
        below = self.ahead(steps + 1)
        return self.ahead(steps).text == "/" and self.is_d(below, below) and self.now.text == below.text

    def slashed(self, start: int) -> Node:
        """∂/∂X f: it reaches to the end of the term, as \\frac{\\partial}{\\partial X} does."""
        self.take()
        order: Node = Number(self.now.at, 1.0)
        if self.accept("^"):
            order = self.atom()
        self.expect("/")
        if not isinstance(order, Number):  # dᵏ/dxᵏ
            self.take()
            one, repeated = self.target()
            if repeated != order:
                raise self.error("the order above is not that below", order.at)
            body = self.reach("a function to differentiate was expected")
            self.count()
            return Derivative(self.span(start), body, (one,), repeated)
        targets = self.slashed_targets()
        if len(targets) != order.value or not 1 <= len(targets) <= 3:
            raise self.error(
                "a derivative of order 1, 2 or 3 with as many letters below was expected", self.span(start)
            )
        body = self.reach("a function to differentiate was expected")
        self.count()
        return Derivative(self.span(start), body, targets)

    def slashed_targets(self, most: int = 3) -> tuple[Target, ...]:
        """∂x∂y, ∂x²; what stands above a slash of its own is no target: ∂g/∂U ∂U/∂X."""
        targets: list[Target] = []
        while self.is_d(self.now, self.ahead()):
            if targets and self.above_a_slash():
                break
            self.take()
            target, repeated = self.target()
            if repeated is not None and not isinstance(repeated, Number):
                raise self.error("a number was expected as the order", repeated.at)
            targets += [target] * (_order(repeated.value) if isinstance(repeated, Number) else 1)
        return tuple(targets)

    def above_a_slash(self) -> bool:
        """Whether a slash and another ∂ follow before the next ∂."""
        place = self.place + 1
        while not (self.tokens[place].kind in ("end", "command") or self.tokens[place].text in ("/", "=", ",")):
            place += 1
        return self.tokens[place].text == "/"

    def nabla(self) -> Node:
        start = self.place
        self.take()
        by = ""
        times = 1
        while self.at("_") or self.at("^"):
            if self.take().text == "_":
                which = self.atom()
                if not isinstance(which, Letter):
                    raise self.error("a letter was expected under nabla", which.at)
                by = which.name
            else:
                order = self.atom()
                if not isinstance(order, Number) or order.value not in (1, 2):
                    raise self.error("nabla has at most the power 2", order.at)
                times = int(order.value)
        body = self.factor()
        if not by:
            inside = {n.name for n in _letters(body)} if isinstance(body, Apply) else set()
            if len(inside) != 1:
                raise self.error("the letter under nabla was expected", self.span(start))
            (by,) = inside
        target = Target(self.span(start), by, (), "gradient")
        return Derivative(self.span(start), body, (target,) * times)

    def fraction(self) -> Node | tuple[tuple[Target, ...], Node | None]:
        """A quotient, a derivative, or the operator of a derivative alone."""
        start = self.place
        self.take()
        if not self.at("{"):
            above, below = self.digit(), self.digit()
            return Quotient(self.span(start), above, below)
        opening = self.expect("{")
        if self.starts_derivative():
            return self.derivative(start)
        above = self.side()
        self.expect("}", f", to close the numerator of character {opening.at[0] + 1}")
        if self.at("{"):
            self.take()
            below = self.side()
            self.expect("}")
        else:
            below = self.digit()
        self.count()
        return Quotient(self.span(start), above, below)

    def digit(self) -> Node:
        r"""One character, as in \frac12 and \frac1n."""
        if self.at("{"):
            self.take()
            inside = self.side()
            self.expect("}")
            return inside
        token = self.now
        if token.kind == "number" and not token.text.isdigit():
            raise self.error("a group in braces was expected")
        if token.kind == "number" and len(token.text) > 1:
            first = token.at[0]
            self.tokens[self.place] = dataclasses.replace(token, text=token.text[1:], at=(first + 1, token.at[1]))
            return Number((first, first + 1), float(token.text[0]))
        return self.atom()

    def starts_derivative(self) -> bool:
        """Whether `\\frac{` opens a derivative: a differential above, and one below."""
        if not self.is_d(self.now, self.ahead()):
            return False
        depth, place = 1, self.place
        while depth and place < len(self.tokens) - 1:
            depth += {"{": 1, "}": -1}.get(self.tokens[place].text, 0)
            place += 1
        below = self.tokens[place : place + 3]
        return len(below) == 3 and below[0].text == "{" and self.is_d(below[1], below[2])

    def is_d(self, token: Token, following: Token) -> bool:
        if token.kind == "command" and token.text in ("partial", "d"):
            return True
        return token.kind == "letter" and token.text == "d" and "d" not in self.known

    def derivative(self, start: int) -> Node | tuple[tuple[Target, ...], Node | None]:
        total = self.take().text == "d"
        order: Node | None = None
        if self.at("^"):
            self.take()
            grouped = self.accept("{")
            order = self.side() if grouped else self.atom()
            if grouped:
                self.expect("}")
        body = None if self.at("}") else self.side()
        self.expect("}")
        self.expect("{")
        targets: list[Target] = []
        open_order: Node | None = None
        while not self.at("}"):
            if not self.is_d(self.now, self.ahead()):
                raise self.error("∂ and a letter were expected in the denominator")
            self.take()
            target, repeated = self.target()
            if repeated is None or isinstance(repeated, Number):
                targets += [target] * (_order(repeated.value) if isinstance(repeated, Number) else 1)
            else:
                targets.append(target)
                open_order = repeated
        self.expect("}")
        stated = _order(order.value) if isinstance(order, Number) else None
        if stated == 0:
            raise self.error("a derivative has the order 1, 2 or 3", self.span(start))
        if open_order is None and order is not None and stated is None:
            raise self.error("the order above is not that below", order.at)
        if open_order is None and len(targets) != (stated or 1):
            raise self.error(f"the order above is {stated or 1}, below stand {len(targets)} letters", self.span(start))
        if not targets or len(targets) > 3:
            raise self.error("a derivative has the order 1, 2 or 3", self.span(start))
        self.count()
        if body is None:
            return tuple(targets), open_order
        return Derivative(self.span(start), body, tuple(targets), open_order, total)

    def target(self) -> tuple[Target, Node | None]:
        start = self.place
        mark = ""
        if self.now.kind == "word" and self.now.text in ("Re", "Im", "vec"):
            mark = self.take().text
        bracket = self.accept("(")
        base = self.atom()
        if bracket:
            self.expect(")")
        if not isinstance(base, Letter):
            raise self.error("a letter was expected behind ∂", base.at)
        indices: tuple[Node, ...] = ()
        if self.at("^") and self.mark(self.ahead(), alone=True) in ("*", "+") and self.ahead(2).text == "_":
            self.take()
            mark = self.mark(self.take(), alone=True)
        if self.accept("_"):
            indices = self.subscript()
        repeated: Node | None = None
        if self.accept("^"):
            grouped = self.accept("{")
            said = self.mark(self.now, alone=True)
            if said:
                self.take()
                mark = mark or {"T": ""}.get(said, said)
            else:
                repeated = self.side() if grouped else self.atom()
            if grouped:
                self.expect("}")
        return Target(self.span(start), base.name, indices, mark), repeated


_COMMA = Token("symbol", ",", (0, 0))
_END = Token("end", "", (0, 0))
_STARTERS = (
    frozenset(
        [
            "mathcalN",
            "frac",
            "partial",
            "d",
            "sum",
            "prod",
            "nabla",
            "sqrt",
            "begin",
            "ones",
            "infty",
            "lfloor",
            "lceil",
            "langle",
        ]
    )
    | ACCENTS
)


def _letters(node: Node) -> list[Letter]:
    from identities.statements.syntax import walk

    found = [n for n in walk(node) if isinstance(n, Letter)]
    return sorted(found, key=lambda n: n.at)


def _order(value: float) -> int:
    """An order as it is written, where it is 1, 2 or 3; 0, which no derivative has, stands for all others."""
    return int(value) if value in (1, 2, 3) else 0


def _minus_one(at: At) -> Node:
    return Add(at, ((-1, Number(at, 1.0)),))


def _is_minus_one(node: Node) -> bool:
    return node == _minus_one(node.at)
