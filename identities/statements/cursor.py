"""The place in the tokens of a statement: what is next, what is expected, which letters the text itself defines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from identities.statements.errors import Unread
from identities.statements.syntax import (
    Add,
    At,
    Condition,
    Letter,
    Node,
    Number,
)
from identities.statements.tokens import ACCENTS, Token, tokens

DEEPEST = 60  # brackets within brackets
MOST_MARKS = 12  # on one factor
LARGEST = 2000  # nodes of a tree
INDICES = frozenset("ijklmnpqrstuv")
RELATIONS = {"=": "=", "ne": "≠", "leq": "≤", "geq": "≥", "<": "<", ">": ">", "equiv": "=", "cong": "≈", "approx": "≈"}
RELATIONS |= {"simeq": "≈", "propto": "∝", "sim": "~"}
CLOSING = {"(": ")", "[": "]", "{": "}"}
COMMA = Token("symbol", ",", (0, 0))
END = Token("end", "", (0, 0))
STARTERS = (
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


class Cursor:
    """Walks through the tokens."""

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
            before = self.tokens[place - 1] if place else COMMA
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
            before = self.tokens[place - 1] if place else COMMA
            if before.text not in (",", ";", "with") or letter.kind != "letter":
                continue
            if after.text == "=":
                found.add(letter.text)
            elif after.text == "_" and letter.text not in self.words.names:
                rest = [t for t in self.tokens[place + 2 : place + 6] if t.text not in ("{", "}")] + [END, END]
                if rest[0].kind == "number" and rest[1].text == "=":
                    found.add(f"{letter.text}_{rest[0].text}")
                elif rest[0].kind == "letter":
                    recursive.add(letter.text)
        return frozenset(name for name in found if name.split("_")[0] not in recursive)

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

    # What the layers above read; each names the parts that it is made of.

    def side(self) -> Node:
        raise NotImplementedError

    def term(self) -> Node:
        raise NotImplementedError

    def factor(self, first: bool = False) -> Node:
        raise NotImplementedError

    def marks(self, base: Node, start: int) -> Node:
        raise NotImplementedError

    def reach(self, why: str) -> Node:
        raise NotImplementedError

    def mark(self, token: Token, alone: bool) -> str:
        raise NotImplementedError

    def subscript(self) -> tuple[Node, ...]:
        raise NotImplementedError

    def begins_factor(self) -> bool:
        raise NotImplementedError

    def closes_bar(self) -> bool:
        raise NotImplementedError

    def application(self) -> Node:
        raise NotImplementedError

    def atom(self) -> Node:
        raise NotImplementedError

    def big(self, operator: str) -> Node:
        raise NotImplementedError

    def condition(self) -> Condition:
        raise NotImplementedError

    def bracket_follows(self) -> bool:
        raise NotImplementedError


def letters_of(node: Node) -> list[Letter]:
    from identities.statements.syntax import walk

    found = [n for n in walk(node) if isinstance(n, Letter)]
    return sorted(found, key=lambda n: n.at)


def order_of(value: float) -> int:
    """An order as it is written, where it is 1, 2 or 3; 0, which no derivative has, stands for all others."""
    return int(value) if value in (1, 2, 3) else 0


def minus_one(at: At) -> Node:
    return Add(at, ((-1, Number(at, 1.0)),))


def is_minus_one(node: Node) -> bool:
    return node == minus_one(node.at)
