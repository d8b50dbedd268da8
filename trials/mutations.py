"""The edits of the mutants: slips that people make, one at a time, in the syntax tree of a closed form."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from identities.engine.identity import Claim

SWAPPED = {"sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "tril": "triu", "triu": "tril"}
DROPPED = {"conj", "conjugate", "inv", "sqrt", "log", "exp", "tanh", "square", "diagonal", "sym"}
SYMMETRIC = ("Symmetric", "PosDef", "SymmetricInvertible", "SymmetricPositiveDeterminant", "DistinctEigenvalues")
SYMMETRIC += ("Diagonal", "SymmetricToeplitz")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One edit of one closed form: which node, by which operator, and the source that it leaves."""

    claim: str
    operator: str
    edit: str
    source: str
    chain: tuple[tuple[str, str], ...]  # the edited expression before and after, then those around it

    @property
    def key(self) -> str:
        return f"{self.claim}: {self.edit}"


Edit = tuple[str, ast.expr]  # the operator and the expression that takes the node's place


def definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The def of a closed form, without its decorators and its docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.decorator_list = []
    if tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        tree.body = tree.body[1:]
    return tree


def mutants(claim: Claim) -> list[Mutant]:
    """Every edit of a closed form, each source once."""
    tree = definition(claim.function)
    original = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    for position, node in enumerate(ast.walk(tree)):
        parents = _parents(tree)
        parent = parents.get(node)
        for operator, new in _edits(claim, node, parent):
            source = _replaced(tree, position, new)
            if source == original or source in found:
                continue
            before, after = ast.unparse(node), ast.unparse(new)
            chain, around = [(before, after)], parent
            while isinstance(around, ast.expr):
                inside = list(ast.walk(around)).index(node)
                chain.append((ast.unparse(around), _replaced(around, inside, new)))
                around = parents.get(around)
            line = getattr(node, "lineno", tree.lineno) - tree.lineno
            edit = f"{operator}, line {line}: {before} -> {after}"
            found[source] = Mutant(claim.name, operator, edit, source, tuple(chain))
    return list(found.values())


def _replaced(tree: ast.AST, position: int, new: ast.expr) -> str:
    """The source of a tree with another expression for one of its nodes."""
    edited = copy.deepcopy(tree)
    old = list(ast.walk(edited))[position]
    return ast.unparse(ast.fix_missing_locations(_Replace(old, new).visit(edited)))


def _parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.expr):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return copy.deepcopy(self.new) if node is self.old else self.generic_visit(node)


def _edits(claim: Claim, node: ast.AST, parent: ast.AST | None) -> Iterator[Edit]:
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        if not _vector(claim, node.value) and not _symmetric(claim, node.value):
            yield "transpose dropped", node.value
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield from _names(claim, node, parent)
    elif isinstance(node, ast.BinOp):
        yield from _binary(claim, node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        if not isinstance(node.operand, ast.Constant):
            yield "sign", node.operand
    elif isinstance(node, ast.Constant):
        yield from _constants(node, parent)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    if isinstance(parent, ast.Return) and isinstance(node, ast.expr) and not isinstance(node, ast.Tuple | ast.Call):
        yield "sign", ast.UnaryOp(ast.USub(), node)


def _dims(claim: Claim, node: ast.expr) -> tuple[Any, ...] | None:
    if isinstance(node, ast.Name) and node.id in claim.operands and not claim.operands[node.id].static:
        return claim.operands[node.id].dims
    if isinstance(node, ast.Name) and node.id in claim.tangents:
        return claim.operands[node.id[1:]].dims
    return None


def _vector(claim: Claim, node: ast.expr) -> bool:
    dims = _dims(claim, node)
    return dims is not None and len(dims) < 2


def _symmetric(claim: Claim, node: ast.expr) -> bool:
    if not isinstance(node, ast.Name) or node.id not in claim.operands:
        return False
    return getattr(claim.operands[node.id].word, "__name__", "") in SYMMETRIC


def _names(claim: Claim, node: ast.Name, parent: ast.AST | None) -> Iterator[Edit]:
    dims = _dims(claim, node)
    if dims is None or (isinstance(parent, ast.Attribute) and parent.attr in ("shape", "dtype", "ndim", "size")):
        return
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id == "len":
        return
    turned = isinstance(parent, ast.Attribute) and parent.attr in ("T", "mT")
    if len(dims) == 2 and not turned and not _symmetric(claim, node):
        yield "transpose added", ast.Attribute(node, "T", ast.Load())
    for name, other in claim.operands.items():
        if name != node.id and not other.static and other.dims == dims:
            yield "another operand", ast.Name(name, ast.Load())


def _binary(claim: Claim, node: ast.BinOp) -> Iterator[Edit]:
    left, right, op = node.left, node.right, node.op
    if isinstance(op, ast.MatMult):
        if not (_vector(claim, left) and _vector(claim, right)):
            yield "factors swapped", ast.BinOp(right, op, left)
        return
    if isinstance(op, ast.Add | ast.Sub):
        turned = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
        yield "sign", ast.BinOp(left, turned, right)
        yield "term dropped", left
        yield "term dropped", right if isinstance(op, ast.Add) else ast.UnaryOp(ast.USub(), right)
    elif isinstance(op, ast.Mult):
        for kept, dropped in ((left, right), (right, left)):
            if not isinstance(dropped, ast.Constant):
                yield "factor dropped", kept
        if isinstance(left, ast.Constant) or isinstance(right, ast.Constant):
            yield "coefficient", right if isinstance(left, ast.Constant) else left
    elif isinstance(op, ast.Div):
        yield "factor dropped", left
    elif isinstance(op, ast.Pow):
        yield "power", left


def _constants(node: ast.Constant, parent: ast.AST | None) -> Iterator[Edit]:
    if isinstance(node.value, str) and "->" in node.value:
        yield from (("index of an einsum", ast.Constant(text)) for text in _einsums(node.value))
    elif isinstance(node.value, int | float) and not isinstance(node.value, bool):
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult | ast.Div | ast.Pow):
            yield "coefficient", ast.Constant(node.value + 1)
        elif isinstance(parent, ast.keyword) and parent.arg == "axis" and node.value in (0, 1):
            yield "axis", ast.Constant(1 - node.value)


def _einsums(text: str) -> Iterator[str]:
    """Two indices exchanged in one operand, or in the output."""
    inputs, arrow, output = text.partition("->")
    parts = [*inputs.split(","), output]
    for place, part in enumerate(parts):
        letters = part.strip()
        for i in range(len(letters) - 1):
            if letters[i].isalpha() and letters[i + 1].isalpha() and letters[i] != letters[i + 1]:
                new = letters[:i] + letters[i + 1] + letters[i] + letters[i + 2 :]
                changed = [*parts[:place], new, *parts[place + 1 :]]
                yield ",".join(changed[:-1]) + arrow + changed[-1]


def _calls(node: ast.Call) -> Iterator[Edit]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "solve" and len(node.args) >= 2:
        yield "product for solve", ast.BinOp(node.args[0], ast.MatMult(), node.args[1])
    elif name == "range":
        for change in (ast.Add(), ast.Sub()):
            last = ast.BinOp(node.args[-1] if len(node.args) < 3 else node.args[1], change, ast.Constant(1))
            new = [*node.args[:-1], last] if len(node.args) < 3 else [node.args[0], last, node.args[2]]
            yield "bound of a sum", ast.Call(node.func, new, node.keywords)
    elif name == "outer" and len(node.args) == 2:
        yield "factors swapped", ast.Call(node.func, node.args[::-1], node.keywords)
    elif name in SWAPPED and isinstance(node.func, ast.Attribute):
        yield "another function", ast.Call(ast.Attribute(node.func.value, SWAPPED[name], ast.Load()), node.args, [])
    elif name in DROPPED and len(node.args) == 1:
        yield "function dropped", node.args[0]
