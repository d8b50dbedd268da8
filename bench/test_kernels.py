"""Closed forms against their own kernels, products and factorisations timed alone, in the families made of them.

    pytest bench/test_kernels.py -k "det_xax_dX and float64"

Columns: `closed`, and `alone`, the kernels of that closed form in a program of nothing else (`bench/kernels.py`).
"""

from __future__ import annotations

from typing import Any

import pytest

import identities
from bench.conftest import run_of
from bench.kernels import timed_alone
from identities.engine import bench
from identities.engine.identity import Claim

QUICK = ("tr_xtbxc_dX", "logdet_dX", "logdet_dX_posdef", "det_xax_dX", "bilinear_inv_dX", "quad_dx", "uv_dU")


def kernel_claims() -> list[Claim]:
    """Every first-order claim of these families that holds."""
    every = identities.catalogue().values()
    return [c for c in every if c.kind == "gradient" and c.status == "holds" and c.chapter in bench.FAMILIES]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    run = run_of(metafunc.config)
    names = QUICK if run.quick else [c.name for c in kernel_claims()]
    n, dtypes = run.n // 2, run.dtypes[:1] if run.quick else run.dtypes
    chosen = [(name, n, dtype) for name in names for dtype in dtypes]
    metafunc.parametrize("name, n, dtype", chosen, ids=[f"{name}-{n}-{dtype}" for name, n, dtype in chosen])


def test_kernels(measure: Any, name: str, n: int, dtype: str) -> None:
    claim = identities.claim(name)
    about = {"kind": "kernels", "name": name, "chapter": claim.chapter, "n": n, "dtype": dtype}
    measure(lambda: timed_alone(claim, n, dtype), **about)
