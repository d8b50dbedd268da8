"""What stands before its operand: functions, roots, sums, expectations, derivatives, differentials, nabla."""

from __future__ import annotations

import dataclasses

from identities.statements.atoms import Atoms
from identities.statements.cursor import (
    CLOSING,
    is_minus_one,
    letters_of,
    order_of,
)
from identities.statements.syntax import (
    Add,
    Apply,
    Average,
    Big,
    Condition,
    Derivative,
    Differential,
    Index,
    Letter,
    Marked,
    Minimum,
    Node,
    Number,
    Power,
    Quotient,
    Target,
)
from identities.statements.tokens import FUNCTIONS, Token


class Prefixes(Atoms):
    """Reads what reaches to the right."""

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
            if isinstance(power, (Number, Add)) and is_minus_one(power):
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
        if len(names) == 1 and self.at("="):
            self.take()
            low = self.side()
            return [dataclasses.replace(names[0], low=low)], []
        self.place = start
        found = self.condition()
        bound = dict.fromkeys(n.name for n in letters_of(found.left))
        return [Index(found.at, name) for name in bound], [found]

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
            targets += [target] * (order_of(repeated.value) if isinstance(repeated, Number) else 1)
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
            inside = {n.name for n in letters_of(body)} if isinstance(body, Apply) else set()
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
                targets += [target] * (order_of(repeated.value) if isinstance(repeated, Number) else 1)
            else:
                targets.append(target)
                open_order = repeated
        self.expect("}")
        stated = order_of(order.value) if isinstance(order, Number) else None
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
