"""Code to copy: how a closed form is imported and called, and the same in NumPy where that exists.

A closed form has a NumPy form if its source, and that of the helpers it calls, uses only names that
exist in numpy or scipy under the same name and with the same keywords.  A test runs all of them.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from identities.engine.identity import Claim, Identity

# The modules of JAX that mirror another library, and how a script writes that library's name.
MIRRORS = {"jax.numpy": ("numpy", "np"), "jax.scipy": ("scipy", "scipy")}
# Fields of the named results of numpy.linalg: slogdet, eigh, qr, svd.
FIELDS = {"sign", "logabsdet", "eigenvalues", "eigenvectors", "Q", "R", "U", "S", "Vh"}
BUILTINS = {
    "abs",
    "bool",
    "enumerate",
    "float",
    "int",
    "len",
    "list",
    "max",
    "min",
    "range",
    "reversed",
    "sum",
    "tuple",
}
BUILTINS |= {"zip"}


class _NoForm(Exception):
    """The source needs something that NumPy does not have."""


def jax_form(claim: Claim) -> str:
    """Import and call."""
    parameters = ", ".join(inspect.signature(claim.function).parameters)
    return f"from {claim.function.__module__} import {claim.name}\n\n{claim.name}({parameters})"


def numpy_form(claim: Claim) -> str | None:
    """The closed form in NumPy (and SciPy where it needs it), as a script; None where there is none."""
    imports: dict[str, None] = {}
    sources: dict[str, str] = {}
    try:
        _collect(claim.function, imports, sources)
    except (_NoForm, OSError):
        return None
    head = sorted(line for line in imports if line.startswith("import "))
    linalg = sorted(name for name in imports if not name.startswith("import "))
    head += [f"from scipy.linalg import {', '.join(linalg)}"] if linalg else []
    return "\n\n\n".join((["\n".join(head)] if head else []) + list(sources.values()))


def _collect(function: Callable[..., Any], imports: dict[str, None], sources: dict[str, str]) -> None:
    """The function's source in NumPy behind that of the helpers which it calls."""
    function = inspect.unwrap(function)
    code = textwrap.dedent(inspect.getsource(function))
    node = ast.parse(code).body[0]
    if not isinstance(node, ast.FunctionDef):
        raise _NoForm
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    reader = _Reader(node, function.__globals__, imports, sources)
    for statement in body:
        reader.visit(statement)
    sources[node.name] = _rewritten(code, node, body, reader.changes)


class _Reader(ast.NodeVisitor):
    """Goes through a function, refuses what NumPy does not have, and notes what has to be written otherwise."""

    def __init__(self, node: ast.FunctionDef, names: dict[str, Any], imports: dict[str, None], sources: dict[str, str]):
        self.names, self.imports, self.sources = names, imports, sources
        self.changes: list[tuple[ast.expr, str]] = []
        self.local = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
        self.local |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.local |= {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef)}  # itself too, if it recurs

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """jnp.linalg.solve becomes np.linalg.solve, and X.T stays."""
        parts = _dotted(node)
        twin = None if not parts or parts[0] in self.local else _twin(parts, self.names)
        if twin is not None:
            written, module, _ = twin
            self.imports["import numpy as np" if written.startswith("np.") else f"import {module}"] = None
            self.changes.append((node, written))
            return
        if not hasattr(np.ndarray, node.attr) and node.attr not in FIELDS:
            raise _NoForm
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        """Refuse a keyword that NumPy's function of the same name does not take."""
        parts = _dotted(node.func)
        twin = _twin(parts, self.names) if len(parts) > 1 and parts[0] not in self.local else None
        if twin is not None and node.keywords:
            try:
                known = set(inspect.signature(twin[2]).parameters)
            except (TypeError, ValueError):  # written in C, without a signature
                known = {str(keyword.arg) for keyword in node.keywords}
            if any(keyword.arg not in known for keyword in node.keywords):
                raise _NoForm
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """A global name: a function of SciPy, a helper whose source comes along, or a builtin."""
        name = node.id
        if name in self.local:
            return
        if name not in self.names:
            if name in BUILTINS and hasattr(builtins, name):
                return
            raise _NoForm
        found = self.names[name]
        found = found.function if isinstance(found, Identity) else found
        origin = str(getattr(found, "__module__", ""))
        if origin.startswith("jax"):
            theirs, ours = (importlib.import_module(m) for m in ("scipy.linalg", "jax.scipy.linalg"))
            if getattr(ours, name, None) is not found or not hasattr(theirs, name):
                raise _NoForm
            self.imports[name] = None
        elif isinstance(found, FunctionType):
            if name not in self.sources:
                _collect(found, self.imports, self.sources)
        else:
            raise _NoForm


def _dotted(node: ast.expr) -> list[str]:
    """["jnp", "linalg", "solve"] of jnp.linalg.solve; [] where something else than a name begins it."""
    if isinstance(node, ast.Name):
        return [node.id]
    before = _dotted(node.value) if isinstance(node, ast.Attribute) else []
    return [*before, node.attr] if before and isinstance(node, ast.Attribute) else []


def _twin(parts: list[str], names: dict[str, Any]) -> tuple[str, str, Any] | None:
    """What a dotted name of JAX is called in NumPy or SciPy, the module to import, and the object.

    None for a name that is not one of JAX; raises _NoForm where the other library lacks it.
    """
    owner = names.get(parts[0]) if parts else None
    if not isinstance(owner, ModuleType) or not owner.__name__.startswith("jax"):
        return None
    path = ".".join([owner.__name__, *parts[1:]])
    for ours, (theirs, written) in MIRRORS.items():
        if path.startswith(f"{ours}."):
            tail = path.removeprefix(f"{ours}.").split(".")
            module, found = theirs, importlib.import_module(theirs)
            for part in tail:
                if isinstance(found, ModuleType) and importlib.util.find_spec(f"{module}.{part}"):
                    module = f"{module}.{part}"
                    found = importlib.import_module(module)
                elif hasattr(found, part):
                    found = getattr(found, part)
                else:
                    raise _NoForm
            return ".".join([written, *tail]), module, found
    raise _NoForm


def _rewritten(code: str, node: ast.FunctionDef, body: list[ast.stmt], changes: list[tuple[ast.expr, str]]) -> str:
    """The source without decorators, annotations and docstring, with the changes made; comments stay."""
    lines = [line.encode() for line in code.splitlines()]
    for part, text in sorted(changes, key=lambda change: (change[0].lineno, change[0].col_offset), reverse=True):
        if part.end_lineno != part.lineno:
            raise _NoForm
        line = lines[part.lineno - 1]
        lines[part.lineno - 1] = line[: part.col_offset] + text.encode() + line[part.end_col_offset :]
    parameters = ", ".join(argument.arg for argument in node.args.args)
    first = body[0].lineno
    while first > 1 and lines[first - 2].strip().startswith(b"#"):
        first -= 1
    kept = b"\n".join(lines[first - 1 : node.end_lineno]).decode()
    return f"def {node.name}({parameters}):\n{kept}"
