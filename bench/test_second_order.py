"""Hessians and Jacobians: all entries at once, products with a vector, and forward against reverse mode.

    pytest bench/test_second_order.py -k logdet_d2X --bench-second-n 64

Columns: `closed`, all entries of the closed form; `autodiff`, jax.hessian or jax.jacfwd; `reverse`, jacrev of grad or
jacrev; `computed`, the first of them on f as an expert writes it.  Where the closed form is an operator, `operator` is
that alone (it is what a user gets), and `matvec` stands against `hvp`, a jvp of the gradient.  The item of the
modes takes one layer from few inputs and many outputs to many inputs and few outputs, at a constant number of entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import identities
from bench.conftest import run_of
from bench.dims import dims_of, operands_of
from bench.harness import Column, Item, computed_form, derivative, with_counts
from identities.engine.identity import Claim
from identities.operators import Operator

QUICK = (
    "ridge_sum_d2x",
    "logdet_d2X",
    "inv_dX",
    "bilinear_inv_d2X",
    "quad_d2x",
    "wls_d2A",
    "lsq_d2theta",
    "uv_d2U",
    "uv_d2V",
    "uv_d2U_V",
    "uv_masked_d2U",
    "tr_xtbx_d2X",
    "tr_xk_d2X",
    "norm_vec_d2v",
    "lse_d2x",
    "layer_dA",
)
ENTRIES = 2**18  # of the Jacobian of a layer
RATIOS = (64, 16, 4, 1)  # of its outputs to its inputs, and turned round


def second_order_claims() -> list[Claim]:
    """Every Hessian and Jacobian of the book that holds."""
    kinds = ("hessian", "jacobian")
    return [c for c in identities.catalogue().values() if c.kind in kinds and c.status == "holds"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    run = run_of(metafunc.config)
    dtypes = run.dtypes[:1] if run.quick else run.dtypes  # Hessians by autodiff take long to compile
    if metafunc.function is test_second_order:
        names = QUICK if run.quick else [c.name for c in second_order_claims()]
        chosen = [(name, run.second_n, dtype) for name in names for dtype in dtypes]
    else:
        side = int(ENTRIES**0.5)
        ratios = RATIOS[1:] if run.quick else RATIOS
        sizes = {int(side * r**0.5) for r in ratios} | {int(side / r**0.5) for r in ratios}
        chosen = [("layer_dx", n, dtype) for n in sorted(sizes) for dtype in dtypes]
    metafunc.parametrize("name, n, dtype", chosen, ids=[f"{name}-{n}-{dtype}" for name, n, dtype in chosen])


def second_order(claim: Claim, n: int, dtype: str) -> Item:
    """One claim: every entry of its Hessian or Jacobian, by each way there is."""
    sizes = dims_of(claim, n)
    f, computed = claim.identity.function, computed_form(claim)
    counts = sizes.counts
    columns = [
        Column("closed", with_counts(claim.function, counts), None),
        Column("autodiff", with_counts(derivative(claim, f), counts)),
    ]
    if claim.structure is None and claim.wirtinger is None:
        columns.append(Column("reverse", with_counts(reverse(claim, f), counts)))
    if computed is not None:
        columns.append(Column("computed", with_counts(derivative(claim, computed), counts)))
    operands = operands_of(claim, sizes, dtype)
    with jax.enable_x64(True):
        returned = jax.eval_shape(lambda x: claim.function(**x, **counts), operands)
    if isinstance(returned, Operator):
        columns += products(claim, counts, operands)
    return Item(
        "second",
        claim.name,
        claim.chapter,
        n,
        sizes.dims | counts,
        dtype,
        operands,
        columns,
        claim,
        counts,
        {"reduced": True} if sizes.reduced else {},
    )


def reverse(claim: Claim, f: Callable[..., Any]) -> Callable[..., Any]:
    """The same derivative by reverse mode alone: one pass an output, or one an entry of the gradient."""

    def derivative(**operands: Any) -> Any:
        first, last = claim.wrt[0], claim.wrt[-1]
        at = lambda a, b: f(**{**operands, first: a, last: b})  # noqa: E731
        if claim.kind == "jacobian":
            return jax.jacrev(lambda x: f(**{**operands, last: x}))(operands[last])
        if len(claim.wrt) == 1:
            return jax.jacrev(jax.grad(lambda x: f(**{**operands, last: x})))(operands[last])
        return jax.jacrev(lambda b: jax.grad(at)(operands[first], b))(operands[last])

    return derivative


def products(claim: Claim, counts: Any, operands: dict[str, np.ndarray]) -> list[Column]:
    """The operator as it is returned, and its product with a direction against autodiff's."""
    last = operands[claim.wrt[-1]]
    along = np.random.default_rng(1).standard_normal(last.shape).astype(last.dtype)

    def gradient(operands: dict[str, Any], x: Any) -> Any:
        at = {**operands, claim.wrt[-1]: x}
        if claim.kind == "jacobian":
            return claim.identity.function(**at, **counts)
        # grad by the first operand; where that is the last one too, x is its value
        first = claim.wrt[0]
        return jax.grad(lambda a: claim.identity.function(**{**at, first: a}, **counts))(at[first])

    hvp = lambda **x: jax.jvp(lambda y: gradient(x, y), (x[claim.wrt[-1]],), (jnp.asarray(along),))[1]  # noqa: E731
    return [
        Column("operator", lambda **x: claim.function(**x, **counts), None),
        Column("matvec", lambda **x: claim.function(**x, **counts).matvec(jnp.asarray(along)), None),
        Column("hvp", hvp, "matvec"),
    ]


def modes(claim: Claim, n: int, dtype: str) -> Item:
    """The Jacobian of a layer of n inputs and m outputs, m n constant: forward takes n passes, reverse m."""
    sizes = dims_of(claim, 1)
    dims = {"n": n, "m": ENTRIES // n}
    sizes = type(sizes)(dims, {}, n, False)
    f = claim.identity.function
    columns = [
        Column("closed", claim.function, None),
        Column("autodiff", derivative(claim, f)),
        Column("reverse", reverse(claim, f)),
    ]
    drawn = operands_of(claim, sizes, dtype)
    return Item("modes", claim.name, claim.chapter, n, dims, dtype, drawn, columns, claim)


def test_second_order(measure: Any, name: str, n: int, dtype: str) -> None:
    claim = identities.claim(name)
    about = {"kind": "second", "name": name, "chapter": claim.chapter, "n": n, "dtype": dtype}
    measure(lambda: second_order(claim, n, dtype), **about)


def test_modes(measure: Any, name: str, n: int, dtype: str) -> None:
    claim = identities.claim(name)
    about = {"kind": "modes", "name": name, "chapter": claim.chapter, "n": n, "dtype": dtype}
    measure(lambda: modes(claim, n, dtype), **about)
