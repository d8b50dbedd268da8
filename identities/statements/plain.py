"""Plain text as matrixcalculus.org and a keyboard have it, read into the syntax tree.

    statement   side ('=' side)* (',' letter '=' side)*         '==' is '=' too
    side        [±] term (± term)*
    term        unary (('*' | '/' | '.*' | './') unary)*        from left to right
    unary       d/dX term | d^2/dx^2 term | d^2/dx dy term | -unary | power
    power       atom followed by any of  ^exponent  .^exponent  '
    atom        number, name, dX, name(side, …), (side), eye

Functions such as exp and log act entry by entry.  A derivative reaches to the end of its term.  A name may have several
letters: capitals are matrices, lower case vectors, names of Greek letters numbers.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from identities.engine.errors import nearest
from identities.statements.cursor import DEEPEST, LARGEST, Vocabulary
from identities.statements.declarations import Declarations
from identities.statements.errors import Unread
from identities.statements.meaning import Kind
from identities.statements.numbers import OF_MATRICES
from identities.statements.shapes import Size, column
from identities.statements.syntax import (
    Add,
    Apply,
    At,
    Big,
    Constant,
    Definition,
    Derivative,
    Differential,
    Elementwise,
    Kronecker,
    Letter,
    Marked,
    Node,
    Norm,
    Number,
    Power,
    Product,
    Quotient,
    Statement,
    Target,
    walk,
)
from identities.statements.tokens import GREEK, LONGEST, tokens

# Names in plain text, and what the tree calls them.
FUNCTIONS = {
    "tr": "tr", "trace": "tr", "det": "det", "logdet": "logdet", "adj": "adj", "cof": "cof", "rank": "rank",
    "eig": "eig", "vec": "vec", "diag": "diag", "sym": "sym", "solve": "solve", "softmax": "softmax", "max": "max",
    "min": "min", "exp": "exp", "log": "ln", "ln": "ln", "sqrt": "sqrt", "abs": "abs", "sign": "sign", "relu": "relu",
    "erf": "erf", "sigmoid": "sigmoid", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "arctan": "arctan", "atan": "arctan", "real": "Re", "imag": "Im",
}  # fmt: skip
NORMS = {"norm": "", "norm1": "1", "norm2": "2", "normF": "F", "normInf": "inf"}
OTHERS = ("inv", "pinv", "transpose", "conj", "kron", "sum", "vector", "matrix", "eye")
TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[^\W\d_]\w*)|(?P<symbol>==|\.[*/^]|[-+*/^'=(),;]))"
)
DERIVATIVE = re.compile(r"(?<![\w])d(?:\^?\d)?\s*/\s*d\s*\(?\s*[^\W\d_]")
# What only plain text has: a product between operands, a dotted operator, a transpose, d/dX, some functions.
EVIDENCE = (
    re.compile(r"[\w)'\]]\s*\*\s*[\w(]"),
    re.compile(r"\.[*/^]|=="),
    re.compile(r"[A-Za-z0-9)]'(?!\s*\()"),
    re.compile(r"\b(?:inv|pinv|norm[12F]|normInf|vector|matrix|sum|logdet|kron|transpose)\s*\(|\beye\b"),
    DERIVATIVE,
)
RAISED_STAR = re.compile(r"\^\s*\{?\s*\*")  # a conjugate of the Unicode notation, no product


def is_plain(text: str) -> bool:
    """Whether a text is plain: no command, no sign of the Unicode notation, and something that only plain text has."""
    if "\\" in text or any(not (c.isascii() or (c.isalpha() and _greek(c))) for c in text):
        return False
    text = RAISED_STAR.sub("^", text)
    return any(sign.search(text) for sign in EVIDENCE)


def _greek(c: str) -> bool:
    return "\u0370" <= c <= "\u03ff"


def read(text: str, vocabulary: Vocabulary | None = None) -> Statement:
    """Read a whole statement.  Raises Unread, which points at the character."""
    return _Reader(text, vocabulary or Vocabulary()).statement()


def read_side(text: str, vocabulary: Vocabulary | None = None) -> Node:
    """Read one side alone."""
    reader = _Reader(text, vocabulary or Vocabulary())
    found = reader.side()
    reader.expect_end()
    return found


def read_definitions(text: str, vocabulary: Vocabulary | None = None) -> list[Definition]:
    """Read definitions alone: Y = A*X, f(X) = A*X, …"""
    reader = _Reader(text, vocabulary or Vocabulary())
    found = reader.definitions()
    reader.expect_end()
    return found


@dataclasses.dataclass(frozen=True)
class _Token:
    kind: str  # "number", "name", "symbol", "end"
    text: str
    at: At


def _tokens(text: str) -> list[_Token]:
    if len(text) > LONGEST:
        raise Unread(f"a statement has at most {LONGEST} characters, this has {len(text)}")
    found: list[_Token] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = TOKEN.match(text, place)
        if not match or not match.lastgroup:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            raise Unread(f"plain text does not hold the character {text[start]!r}", (start, start + 1), text)
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.span(match.lastgroup)))
        place = match.end()
    return [*found, _Token("end", "", (len(text), len(text)))]


class _Reader:
    def __init__(self, text: str, vocabulary: Vocabulary):
        self.text = text
        self.words = vocabulary
        self.tokens = _tokens(text)
        self.place = 0
        self.depth = 0
        self.nodes = 0

    # -- tokens ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> _Token:
        return self.tokens[self.place]

    def ahead(self, steps: int = 1) -> _Token:
        return self.tokens[min(self.place + steps, len(self.tokens) - 1)]

    def take(self) -> _Token:
        token = self.now
        self.place += token.kind != "end"
        return token

    def at(self, *texts: str) -> bool:
        return self.now.kind == "symbol" and self.now.text in texts

    def accept(self, *texts: str) -> bool:
        found = self.at(*texts)
        self.place += found
        return found

    def expect(self, text: str, why: str = "") -> None:
        if not self.accept(text):
            raise self.error(f"{text!r} was expected{why}")

    def expect_end(self) -> None:
        if self.now.kind == "end":
            return
        if self.now.kind in ("name", "number") or self.at("("):
            raise self.error("an operator or the end was expected: a product is written with *")
        raise self.error("an operator, '=' or the end was expected")

    def error(self, message: str, at: At | None = None) -> Unread:
        return Unread(message, at or self.now.at, self.text)

    def span(self, start: int) -> At:
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

    def statement(self) -> Statement:
        sides = [self.side()]
        while self.accept("=", "=="):
            sides.append(self.side())
        if len(sides) < 2:
            if self.now.kind == "end":
                raise self.error("'=' was expected: a statement has two sides")
            self.expect_end()
        definitions = self.definitions() if self.accept(",", ";") else []
        self.expect_end()
        return Statement((0, len(self.text)), tuple(sides), tuple(definitions))

    def definitions(self) -> list[Definition]:
        found: list[Definition] = []
        while self.now.kind != "end":
            start = self.place
            left = self.side()
            if not isinstance(left, (Letter, Apply)):
                raise self.error("a letter was expected on the left of a definition", left.at)
            if not self.accept("=", "=="):
                raise self.error("'=' and what the letter stands for were expected")
            found.append(Definition(self.span(start), left, self.side()))
            if not self.accept(",", ";"):
                break
        return found

    # -- sums and products ----------------------------------------------------------------------------------------

    def side(self) -> Node:
        return self.deeper(self._side)

    def _side(self) -> Node:
        start = self.place
        signed = self.at("+", "-")
        terms = [(self.sign(), self.term())]
        while self.at("+", "-"):
            terms.append((self.sign(), self.term()))
        if not signed and len(terms) == 1:
            return terms[0][1]
        self.count()
        return Add(self.span(start), tuple(terms))

    def sign(self) -> int:
        if self.accept("-"):
            return -1
        self.accept("+")
        return 1

    def term(self) -> Node:
        start = self.place
        found = self.unary()
        factors = [found]  # of the product that is being read
        while self.at("*", "/", ".*", "./"):
            operator = self.take().text
            right = self.unary()
            self.count()
            if operator == "*":
                factors.append(right)
                found = Product(self.span(start), tuple(factors))
                continue
            if operator == "/":
                found = Quotient(self.span(start), found, right)
            else:
                found = Elementwise(self.span(start), "∘" if operator == ".*" else "⊘", found, right)
            factors = [found]
        return found

    def unary(self) -> Node:
        return self.deeper(self._unary)

    def _unary(self) -> Node:
        start = self.place
        if self.accept("-"):
            inside = self.unary()
            self.count()
            return Add(self.span(start), ((-1, inside),))
        if self.accept("+"):
            return self.unary()
        if self.begins_derivative():
            return self.derivative()
        return self.power()

    def power(self) -> Node:
        start = self.place
        base = self.atom()
        while self.at("^", ".^", "'"):
            operator = self.take().text
            self.count()
            if operator == "'":
                base = Marked(self.span(start), base, "T")
            elif operator == "^" and self.now.text in ("T", "H") and self.now.text not in self.words.names:
                mark = self.take().text  # x^T, as many write it
                base = Marked(self.span(start), base, mark)
            else:
                exponent = self.exponent()
                base = Power(self.span(start), base, exponent, elementwise=operator == ".^")
        return base

    def exponent(self) -> Node:
        """One atom, with its sign: X^-1."""
        start = self.place
        if self.at("-", "+"):
            sign = self.sign()
            return Add(self.span(start), ((sign, self.atom()),))
        return self.atom()

    # -- derivatives ----------------------------------------------------------------------------------------------

    def begins_derivative(self) -> bool:
        if (
            "d" in self.words.names
            or (self.now.text != "d" and not re.fullmatch(r"d\d", self.now.text))
            or self.now.kind != "name"
        ):
            return False
        steps = 1
        if self.ahead().text == "^" and self.ahead(2).kind == "number":
            steps = 3
        return self.ahead(steps).text == "/" and self.ahead(steps + 1).text.startswith("d")

    def derivative(self) -> Node:
        """d/dX f, d^2/dx^2 f, d^2/dx dy f; the letters below may stand in brackets."""
        start = self.place
        head = self.take().text
        order = int(head[1:] or 1)
        if self.accept("^"):
            order = self.whole()
        self.expect("/")
        targets: list[Target] = []
        grouped = False
        while len(targets) < order:
            token = self.take()
            if token.kind != "name" or not token.text.startswith("d"):
                raise self.error("d and a letter were expected, such as dX", token.at)
            name = token.text[1:]
            at = (token.at[0] + 1, token.at[1])
            if not name:
                grouped = self.accept("(")
                name, at = self.now.text, self.now.at
                if self.take().kind != "name":
                    raise self.error("a letter was expected behind d", at)
                if grouped:
                    self.expect(")")
            times = 1
            if order > 1 and name not in self.words.names and name[-1].isdigit() and len(name) > 1:
                times, name = int(name[-1]), name[:-1]  # d2/dx2
            elif self.accept("^"):
                times = self.whole()
            targets += [Target(at, _name(name))] * times
        if len(targets) != order or not 1 <= order <= 3:
            raise self.error(
                "a derivative of order 1, 2 or 3 with as many letters below was expected", self.span(start)
            )
        if self.now.kind == "end" or self.at(")", "=", "==", ",", "*", "/"):
            raise self.error("a function to differentiate was expected")
        body = self.term()
        self.count()
        return Derivative(self.span(start), body, tuple(targets))

    def whole(self) -> int:
        token = self.take()
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > 2:
            raise self.error("a whole number was expected", token.at)
        return int(token.text)

    # -- atoms ----------------------------------------------------------------------------------------------------

    def atom(self) -> Node:
        token = self.take()
        self.count()
        if token.kind == "number":
            return Number(token.at, float(token.text))
        if token.kind == "name":
            return self.named(token)
        if token.text == "(":
            inside = self.side()
            if not self.accept(")"):
                raise self.unclosed(token)
            return dataclasses.replace(inside, at=(token.at[0], self.tokens[self.place - 1].at[1]))
        if token.kind == "end":
            raise self.error("the statement ends where an operand was expected", token.at)
        raise self.error(f"an operand was expected, not {token.text!r}", token.at)

    def unclosed(self, opening: _Token) -> Unread:
        if self.now.kind in ("name", "number") or self.at("("):
            return self.error("an operator or ')' was expected: a product is written with *")
        return self.error(f"')' was expected, to close the bracket of character {opening.at[0] + 1}")

    def named(self, token: _Token) -> Node:
        name = token.text
        declared = name in self.words.names or name in self.words.functions
        if self.at("("):
            return self.call(token)
        if not declared:
            if name in ("eye", "I"):
                return Constant(token.at, "I")
            if name == "pi":
                return Constant(token.at, "pi")
            if name == "i" and self.words.imaginary:
                return Constant(token.at, "i")
            if name in FUNCTIONS or name in NORMS or name in OTHERS:
                raise self.error(f"'(' was expected behind {name}")
            if re.fullmatch(r"d(?:[^\W\d_a-z]\w*|[a-z])", name):  # dX, dx: the differential of a letter
                inner = (token.at[0] + 1, token.at[1])
                return Differential(token.at, Letter(inner, _name(name[1:])))
        return Letter(token.at, _name(name))

    def call(self, token: _Token) -> Node:
        name, start = token.text, self.place - 1
        opening = self.take()
        arguments: list[Node] = []
        while not self.at(")"):
            arguments.append(self.side())
            if not self.accept(","):
                break
        if not self.accept(")"):
            raise self.unclosed(opening)
        at = self.span(start)
        if name in self.words.functions:
            return Apply(at, name, tuple(arguments))
        if name == "d" and name not in self.words.names:
            return Differential(at, self.one(name, arguments, at))
        if name == "kron":
            if len(arguments) != 2:
                raise self.error(f"kron takes two arguments, got {len(arguments)}", at)
            return Kronecker(at, *arguments)
        if name in NORMS:
            return Norm(at, self.one(name, arguments, at), NORMS[name])
        if name in FUNCTIONS:
            if not arguments:
                raise self.error(f"an argument of {name} was expected", at)
            return Apply(at, FUNCTIONS[name], tuple(arguments))
        if name in OTHERS:
            return self.other(name, arguments, at)
        if name in self.words.names or len(name) == 1:
            raise self.error(f"{name} is no function: a product is written {name}*(…)", token.at)
        known = [*FUNCTIONS, *NORMS, *OTHERS, *self.words.functions]
        raise self.error(f"the function {name!r} is not known{nearest(name, known)}", token.at)

    def one(self, name: str, arguments: list[Node], at: At) -> Node:
        if len(arguments) != 1:
            raise self.error(f"{name} takes one argument, got {len(arguments)}", at)
        return arguments[0]

    def other(self, name: str, arguments: list[Node], at: At) -> Node:
        """Functions that the tree has as marks, powers, sums or constants."""
        if name == "eye":
            raise self.error("the size of eye follows from its place: write eye without brackets", at)
        inside = self.one(name, arguments, at)
        if name == "inv":
            return Power(at, inside, Add(at, ((-1, Number(at, 1.0)),)))
        if name == "sum":
            return Big(at, "sum", (), (), inside)
        if name in ("vector", "matrix"):  # all entries alike
            ones: Node = Constant(at, "1")
            if name == "matrix":
                ones = Product(at, (ones, Marked(at, Constant(at, "1"), "T")))
            if isinstance(inside, Number) and inside.value in (0.0, 1.0):
                return ones if inside.value else inside
            return Product(at, (inside, ones))
        return Marked(at, inside, {"pinv": "+", "transpose": "T", "conj": "*"}[name])


def _name(name: str) -> str:
    """Greek characters by their names: α is alpha."""
    if len(name) == 1 and _greek(name):
        return tokens(name)[0].text
    return name


def customs(node: Node, declared: Declarations) -> Declarations:
    """What plain text means beyond its tree: entry by entry functions, and vectors whose names have several letters."""
    kinds = dict(declared.kinds)
    statement = node if isinstance(node, Statement) else None
    defined = {d.left.name for d in statement.definitions if isinstance(d.left, Letter)} if statement else set()
    defined |= {match[0] for text in declared.lets if (match := re.match(r"\s*\w+(?=\s*=)", text))}
    defined = {name.strip() for name in defined}
    names = {n.name for n in walk(node) if isinstance(n, Letter)} | {
        n.letter for n in walk(node) if isinstance(n, Target)
    }
    for name in sorted(names - defined - declared.sizes.keys()):
        if name not in kinds and is_vector_name(name):
            kinds[name] = Kind(column(Size()))
    return dataclasses.replace(declared, kinds=kinds, entrywise=declared.entrywise | set(OF_MATRICES))


def is_vector_name(name: str) -> bool:
    """Whether a name of several characters is a vector where nothing is declared: lower case, and no Greek letter."""
    core = re.sub(r"[\d_]+\w*$", "", name)
    return len(name) > 1 and core.islower() and core not in GREEK
