"""Other libraries in the same run: torch.autograd, torch.func and NumPy beside JAX and the closed form.

    pytest bench/test_peers.py -k "logistic"

Without torch (it is in the extra `bench`) its columns are left away, and the rows say so.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench import peers
from bench.conftest import run_of

# torch warns of batching rules that it lacks, and of what it would rather be asked
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

QUICK = ("tr_axb_dX", "logdet_dX", "uv_dU", "lse_dx")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    run = run_of(metafunc.config)
    peers.threads(run.machine["cores"])
    dtypes = run.dtypes[:1] if run.quick else run.dtypes
    if metafunc.function is test_twin:
        names = QUICK if run.quick else tuple(peers.TWINS)
        n = 128 if run.quick else 512
        chosen = [(name, n, dtype) for name in names for dtype in dtypes]
    else:
        largest = 64 if run.quick else 10**9
        sizes = [(name, n) for name, p in peers.PROBLEMS.items() for n in p.sizes if n <= largest]
        chosen = [(name, n, dtype) for name, n in sizes for dtype in dtypes]
    metafunc.parametrize("name, n, dtype", chosen, ids=[f"{name}-{n}-{dtype}" for name, n, dtype in chosen])


def test_twin(measure: Any, name: str, n: int, dtype: str) -> None:
    measure(lambda: peers.twin(name, n, dtype), kind="peers", name=name, chapter="peers", n=n, dtype=dtype)


def test_problem(measure: Any, name: str, n: int, dtype: str) -> None:
    measure(lambda: peers.problem(name, n, dtype), kind="peers", name=name, chapter="problems", n=n, dtype=dtype)
