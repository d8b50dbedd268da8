"""Many small problems at once: closed forms and autodiff under jax.vmap, as filters, mixtures and ensembles use them.

    pytest bench/test_batched.py -k "logdet_dX and float64"

Columns: `closed`, `autodiff` and `computed`, each mapped over a batch of draws.  On a CPU the batch is 64: from about
500 on, XLA's batched LAPACK calls may wait for each other for ever where they share two threads.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import identities
from bench.conftest import run_of
from bench.dims import dims_of, operands_of
from bench.harness import Column, Item, computed_form, derivative, with_counts
from identities.engine.identity import Claim

NAMES = (
    "logdet_dX",
    "logdet_dX_posdef",
    "det_dX",
    "bilinear_inv_dX",
    "tr_axinvb_dX",
    "quad_dx",
    "tr_axb_dX",
    "tr_exp_dX",
    "ridge_minimum_dX",
    "uv_dU",
    "eigh_largest_dA",
    "gauss_loglik_dm",
    "gauss_loglik_dS",
)
QUICK = ("bilinear_inv_dX", "tr_axb_dX")
N, BATCH, BATCH_ON_GPU = 16, 64, 10_000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    run = run_of(metafunc.config)
    dtypes = run.dtypes[:1] if run.quick else run.dtypes
    chosen = [(name, N, dtype) for name in (QUICK if run.quick else NAMES) for dtype in dtypes]
    metafunc.parametrize("name, n, dtype", chosen, ids=[f"{name}-{n}-{dtype}" for name, n, dtype in chosen])


def batched(claim: Claim, n: int, dtype: str, batch: int) -> Item:
    """One claim, mapped over a batch of draws of its own."""
    sizes = dims_of(claim, n)
    draws = [operands_of(claim, sizes, dtype, seed) for seed in range(batch)]
    operands = {name: np.stack([draw[name] for draw in draws]) for name in draws[0]}
    literal, computed = claim.identity.function, computed_form(claim)
    forms = {"closed": claim.function, "autodiff": derivative(claim, literal)}
    forms |= {"computed": derivative(claim, computed)} if computed else {}
    columns = [
        Column(name, mapped(with_counts(form, sizes.counts)), None if name == "closed" else "closed")
        for name, form in forms.items()
    ]
    dims = {"batch": batch} | sizes.dims | sizes.counts
    return Item("batched", claim.name, claim.chapter, n, dims, dtype, operands, columns)


def mapped(function: Any) -> Any:
    """The function over the leading axis of every operand."""
    over = jax.vmap(lambda operands: function(**operands))
    return lambda **operands: over(operands)


def test_batched(measure: Any, request: pytest.FixtureRequest, name: str, n: int, dtype: str) -> None:
    batch = BATCH if run_of(request.config).machine["device"] == "cpu" else BATCH_ON_GPU
    claim = identities.claim(name)
    about = {"kind": "batched", "name": name, "chapter": claim.chapter, "n": n, "dtype": dtype}
    measure(lambda: batched(claim, n, dtype, batch), **about)
