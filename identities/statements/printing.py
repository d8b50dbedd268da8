"""A syntax tree, written as LaTeX that is read into the same tree: `read(latex(tree)) == tree`.

Brackets stand wherever a part could be taken for more or less than it is; a derivative has its function above the
line, so that its end is seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from identities.statements.syntax import (
    Add,
    Apply,
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
from identities.statements.tokens import ACCENTS, FUNCTIONS, GREEK

MARKS = {"T": r"\top", "H": "H", "*": "*", "+": "+"}
RELATIONS = {"=": "=", "≠": r"\ne", "<": "<", ">": ">", "≤": r"\leq", "≥": r"\geq"}
CONSTANTS = {"I": "I", "1": r"\mathbf{1}", "pi": r"\pi", "i": "i", "infinity": r"\infty"}
CLOSED = (Letter, Number, Constant, Delta, SingleEntry, UnitVector, Blocks, Norm, Modulus, Iverson, Columns, Average)
ACCENTED = re.compile(rf"({'|'.join(sorted(ACCENTS))})\((\w+)\)(.*)")


def latex(node: Node) -> str:
    """A statement, a side or a definition."""
    if isinstance(node, Statement):
        premises = [f"{latex(one)} \\Rightarrow " for one in node.premises]
        sides = " = ".join(map(latex, node.sides))
        return "".join(premises) + ", ".join([sides, *map(latex, node.definitions)])
    if isinstance(node, Definition):
        return f"{latex(node.left)} = {latex(node.right)}"
    return _side(node)


def _side(node: Node) -> str:
    if not isinstance(node, Add):
        return _term(node)
    parts = []
    for k, (sign, term) in enumerate(node.terms):
        shown = "-" if sign < 0 else "+" if k or len(node.terms) == 1 else ""
        parts.append(f"{shown} {_term(term)}".strip())
    return " ".join(parts)


def _term(node: Node) -> str:
    if isinstance(node, Kronecker):
        return _chain(node, node.left, r"\otimes", node.right)
    if isinstance(node, Elementwise):
        return _chain(node, node.left, r"\circ" if node.operator == "∘" else r"\oslash", node.right)
    if isinstance(node, LeftDivision):
        return f"{_product(node.matrix)} \\backslash {_product(node.right)}"
    if isinstance(node, Big):
        return _big(node)
    return _product(node)


def _chain(node: Node, left: Node, operator: str, right: Node) -> str:
    """`A \\circ B \\circ C` is read from the left."""
    same = type(left) is type(node) and getattr(left, "operator", "") == getattr(node, "operator", "")
    return f"{_term(left) if same else _product(left)} {operator} {_product(right)}"


def _product(node: Node) -> str:
    if not isinstance(node, Product):
        return _factor(node)
    shown = ""
    for k, factor in enumerate(node.factors):
        one = _factor(factor)
        before = node.factors[k - 1] if k else None
        named = before.base if isinstance(before, Entry) else before
        if not k:
            shown = one
        elif one[0].isdigit() or one[0] == "." or (isinstance(named, Letter) and one[0] in "(["):
            shown += f" \\cdot {one}"  # a letter before a bracket could be a function
        else:
            shown += f" {one}"
    return shown


def _factor(node: Node) -> str:
    if isinstance(node, CLOSED):
        return _closed(node)
    if isinstance(node, Quotient):
        above = _side(node.above)
        if above.startswith((r"\partial", r"\mathrm{d}", "d")):  # else it is a derivative
            above = f"({above})"
        return f"\\frac{{{above}}}{{{_side(node.below)}}}"
    if isinstance(node, Derivative):
        return _derivative(node)
    if isinstance(node, Differential):
        along = ", ".join(f"\\partial {_letter(name)}" for name in node.along)
        body = _closed(node.body) if isinstance(node.body, Letter) else f"({_side(node.body)})"
        return f"\\partial {body}" + (f"[{along}]" if along else "")
    if isinstance(node, Power) and node.elementwise and isinstance(node.base, Apply):
        name, arguments = _function(node.base)
        return f"{name}^{{{_side(node.exponent)}}}{arguments}"
    if isinstance(node, Power):
        exponent = _side(node.exponent)
        if isinstance(node.exponent, Letter) and node.exponent.name in ("T", "H"):
            exponent = f"({exponent})"
        return f"{_base(node.base)}^{{{exponent}}}"
    if isinstance(node, Marked):
        return f"{_base(node.base)}^{{{MARKS[node.mark]}}}"
    if isinstance(node, Entry):
        base = _base(node.base)
        return f"{{{base}}}_{_indices(node.indices)}" if "_" in base else f"{base}_{_indices(node.indices)}"
    if isinstance(node, Apply):
        return _applied(node)
    if isinstance(node, Cases):
        return _cases(node)
    if isinstance(node, Minimum):
        return f"(\\min_{{{_letter(node.letter)}}} ({_side(node.body)}))"
    if isinstance(node, Given):
        inside = ", ".join(map(latex, node.definitions))
        return f"({_product(node.body)}|_{{{inside}}})"
    return f"({_side(node)})"


def _base(node: Node) -> str:
    """What a mark, a power or a subscript stands on."""
    if isinstance(node, (Entry, Blocks, Letter, Number, Constant)):
        return _factor(node)
    if isinstance(node, (Power, Marked)) and not (isinstance(node, Power) and node.elementwise):
        return f"{{{_factor(node)}}}"
    if isinstance(node, Apply) and node.function not in ("factorial", "S", "density"):
        return _applied(node)
    shown = _factor(node)
    closed = isinstance(node, (Norm, Modulus, Average, Iverson)) or (shown[0] == "(" and not isinstance(node, Quotient))
    return shown if closed and _encloses(shown) else f"({shown})"


def _encloses(shown: str) -> bool:
    """Whether the first bracket closes with the last character, or no bracket opens it."""
    if shown[0] != "(":
        return True
    depth = 0
    for k, c in enumerate(shown):
        depth += {"(": 1, ")": -1}.get(c, 0)
        if not depth:
            return k == len(shown) - 1
    return False


def _closed(node: Node) -> str:
    if isinstance(node, Letter):
        return _letter(node.name)
    if isinstance(node, Number):
        whole = node.value == int(node.value) if abs(node.value) < 1e300 else True
        return str(int(node.value)) if whole else format(node.value, ".17f").rstrip("0")
    if isinstance(node, Constant):
        return CONSTANTS[node.name]
    if isinstance(node, Delta):
        return f"\\delta_{_indices((node.left, node.right))}"
    if isinstance(node, SingleEntry):
        return f"J^{{{_side(node.row)}{_side(node.column)}}}"
    if isinstance(node, UnitVector):
        return f"e_{_indices((node.index,))}"
    if isinstance(node, Blocks):
        rows = r" \\ ".join(" & ".join(map(_side, row)) for row in node.rows)
        return f"\\begin{{bmatrix}} {rows} \\end{{bmatrix}}"
    if isinstance(node, Norm):
        kind = {"inf": r"\infty"}.get(node.kind, node.kind)
        return f"\\left\\|{_side(node.argument)}\\right\\|" + (f"_{{{kind}}}" if kind else "")
    if isinstance(node, Modulus):
        return f"\\left|{_side(node.argument)}\\right|"
    if isinstance(node, Iverson):
        return f"[{_condition(node.condition)}]"
    if isinstance(node, Columns):
        letter = _letter(node.letter)
        return f"[{letter}_1, \\dots, {letter}_n]"
    assert isinstance(node, Average)
    return f"\\operatorname{{{node.operator}}}[{', '.join(map(_side, node.arguments))}]"


def _letter(name: str) -> str:
    """alpha is \\alpha, hat(x) is \\hat{x}, l_1 and l1 are l_{1}."""
    accented = ACCENTED.fullmatch(name)
    if accented:
        core, rest = f"\\{accented[1]}{{{_letter(accented[2])}}}", accented[3]
        return core + (f"_{{{rest[1:]}}}" if rest.startswith("_") else rest)
    core, _, rest = name.partition("_")
    numbered = re.fullmatch(r"([A-Za-z]+?)(\d+)", core)
    if numbered and not rest:
        core, rest = numbered[1], numbered[2]
    prime = core[len(core.rstrip("'")) :]
    core = core.rstrip("'")
    shown = (f"\\{core}" if core in GREEK else core) + prime
    return f"{shown}_{{{rest}}}" if rest else shown


def _indices(indices: Sequence[Node]) -> str:
    shown = [_side(one) if isinstance(one, (Letter, Number)) else f"({_side(one)})" for one in indices]
    return f"{{{', '.join(shown)}}}"


def _condition(node: Condition) -> str:
    return f"{_side(node.left)} {RELATIONS[node.relation]} {_side(node.right)}"


def _big(node: Big) -> str:
    name = f"\\{node.operator}"
    below, above = "", ""
    if node.conditions:
        below = ", ".join(map(_condition, node.conditions))
    elif node.indices:
        below = ", ".join(map(_bound, node.indices))
    if len(node.indices) == 1 and node.indices[0].high is not None:
        above = f"^{{{_side(node.indices[0].high)}}}"
    under = f"_{{{below}}}" if below else ""
    return f"{name}{under}{above} {_term(node.body)}"


def _bound(one: Index) -> str:
    return _letter(one.name) + (f"={_side(one.low)}" if one.low is not None else "")


def _derivative(node: Derivative) -> str:
    first = node.targets[0]
    if first.mark == "gradient":
        order = "^{2}" if len(node.targets) == 2 else ""
        return f"(\\nabla_{{{_letter(first.letter)}}}{order} {_base(node.body)})"
    d = r"\mathrm{d}" if node.total else r"\partial"
    body = _side(node.body)
    body = f"({body})" if isinstance(node.body, Add) else body
    if node.order is not None:
        order = f"^{{{_side(node.order)}}}"
        return f"\\frac{{{d}{order} {body}}}{{{d} {_target(first)}{order}}}"
    order = f"^{{{len(node.targets)}}}" if len(node.targets) > 1 else ""
    below = " ".join(f"{d} {_target(target)}" for target in node.targets)
    return f"\\frac{{{d}{order} {body}}}{{{below}}}"


def _target(target: Target) -> str:
    shown = _letter(target.letter) + (f"_{_indices(target.indices)}" if target.indices else "")
    if target.mark in ("Re", "Im", "vec"):
        return (
            f"\\operatorname{{{target.mark}}}({shown})"
            if not target.indices
            else f"\\operatorname{{{target.mark}}} {shown}"
        )
    return shown + (f"^{{{target.mark}}}" if target.mark else "")


def _function(node: Apply) -> tuple[str, str]:
    """The name, and the arguments in brackets."""
    name, primes = node.function, "'" * node.primed
    shown = f"\\operatorname{{{name}}}" if name in FUNCTIONS or (len(name) > 1 and name not in GREEK) else _letter(name)
    return shown + primes, f"({', '.join(map(_side, node.arguments))})"


def _applied(node: Apply) -> str:
    name = node.function
    if name == "factorial":
        return f"{_base(node.arguments[0])}!"
    if name in ("floor", "ceil"):
        return f"\\l{name} {_side(node.arguments[0])} \\r{name}"
    if name == "sqrt":
        return f"\\sqrt{{{_side(node.arguments[0])}}}"
    if name == "S" and len(node.arguments) == 2:
        return f"S^{{{_side(node.arguments[0])}{_side(node.arguments[1])}}}"
    if name == "density":
        point, mean, covariance = map(_side, node.arguments)
        return f"\\mathcal{{N}}_{{{point}}}({mean}, {covariance})"
    power = ""
    if name.endswith("^-1"):
        node, power = Apply(node.at, name[:-3], node.arguments, node.primed), "^{-1}"
    shown, arguments = _function(node)
    return f"{shown}{power}{arguments}"


def _cases(node: Cases) -> str:
    rows = []
    for value, conditions in node.rows:
        when = "\\text{if } " + ", ".join(map(_condition, conditions)) if conditions else "\\text{otherwise}"
        rows.append(f"{_side(value)} & {when}")
    join = r" \\ ".join(rows)
    return f"\\begin{{cases}} {join} \\end{{cases}}"
