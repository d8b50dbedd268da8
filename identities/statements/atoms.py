"""What an operand can be: a number, a letter with its subscript, brackets, bars, matrices, cases."""

from __future__ import annotations

import dataclasses

from identities.statements.cursor import (
    CLOSING,
    RELATIONS,
    Cursor,
)
from identities.statements.syntax import (
    Apply,
    Average,
    Blocks,
    Cases,
    Columns,
    Condition,
    Constant,
    Delta,
    Entry,
    Iverson,
    Letter,
    Modulus,
    Node,
    Norm,
    Number,
    SingleEntry,
    UnitVector,
)
from identities.statements.tokens import ACCENTS, Token


class Atoms(Cursor):
    """Reads one operand."""

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
        """Whether a semicolon stands in this bracket: [a, b; c, d] is a matrix, [a, b] a row or a commutator."""
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
