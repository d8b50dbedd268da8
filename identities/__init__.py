"""The matrix-calculus book that checks itself.

Every identity is a function with its closed-form derivatives, each proved right, or proved
misprinted, against JAX's autodiff and against differences.

    identities.catalogue()                   every claim by name, in book order
    identities.claim("tr_axb_dX")            one claim: statement, sources, conditions, closed form
    identities.check("tr_axb_dX")            check it here and now; a Verdict says what was found
    identities.check_gradient(f, g, x)       check a gradient of your own; also check_jacobian,
                                             check_hessian, check_differential, check_custom_derivative
    identities.check_statement("d/dX tr(A*X) = A'")   a statement in plain text, LaTeX or Unicode
    identities.with_closed_form("logdet")    a function that JAX differentiates by its closed forms

The chapters are modules: `from identities.traces import tr_axb, tr_axb_dX`.  Importing any of this
changes no setting of JAX and compiles nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# The chapters, in book order.
CHAPTERS = (
    "calculus",
    "differentials",
    "determinants",
    "inverses",
    "eigenvalues",
    "linear_forms",
    "quadratic_forms",
    "nonlinear_forms",
    "least_squares",
    "factorization",
    "traces",
    "matrix_functions",
    "norms",
    "structured",
    "tensors",
    "functions",
    "networks",
    "gaussians",
)

if TYPE_CHECKING:
    from identities.book import catalogue as catalogue
    from identities.book import check as check
    from identities.book import claim as claim
    from identities.book import with_closed_form as with_closed_form
    from identities.engine.identity import Claim as Claim
    from identities.engine.identity import Identity as Identity
    from identities.engine.identity import identity as identity
    from identities.engine.identity import printed as printed
    from identities.engine.pairs import check_custom_derivative as check_custom_derivative
    from identities.engine.pairs import check_differential as check_differential
    from identities.engine.pairs import check_gradient as check_gradient
    from identities.engine.pairs import check_hessian as check_hessian
    from identities.engine.pairs import check_jacobian as check_jacobian
    from identities.engine.verdict import Verdict as Verdict
    from identities.engine.verdict import Verdicts as Verdicts
    from identities.statements.checking import check_statement as check_statement
    from identities.statements.errors import StatementError as StatementError
    from identities.statements.verdict import StatementVerdict as StatementVerdict

_HOME = {
    "catalogue": "book",
    "claim": "book",
    "check": "book",
    "with_closed_form": "book",
    "check_custom_derivative": "engine.pairs",
    "check_differential": "engine.pairs",
    "check_gradient": "engine.pairs",
    "check_hessian": "engine.pairs",
    "check_jacobian": "engine.pairs",
    "Claim": "engine.identity",
    "Identity": "engine.identity",
    "identity": "engine.identity",
    "printed": "engine.identity",
    "Verdict": "engine.verdict",
    "Verdicts": "engine.verdict",
    "check_statement": "statements.checking",
    "StatementError": "statements.errors",
    "StatementVerdict": "statements.verdict",
}

__all__ = ["CHAPTERS", *_HOME]


def __getattr__(name: str) -> Any:
    # Lazily, so that the pytest plugin and `identities --help` do not wait for JAX.
    if name in _HOME:
        return getattr(importlib.import_module(f"identities.{_HOME[name]}"), name)
    if name in CHAPTERS:
        return importlib.import_module(f"identities.{name}")
    raise AttributeError(f"module 'identities' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, *CHAPTERS])
