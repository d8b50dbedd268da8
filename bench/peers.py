"""What other libraries do: torch and NumPy twins of headline functions, and the three problems of a paper.

`TWINS` holds, by claim, f in torch and the closed form in NumPy, both written as those who use them would.  torch is
asked twice: `torch.autograd` (the tape) and `torch.func` (the transforms).  `PROBLEMS` are the functions of Laue,
Mitterreiter and Giesen, "Computing Higher Order Derivatives of Matrix and Tensor Expressions" (NeurIPS 2018), and
least squares, with their full Hessians and a product of these with a direction.

torch computes in eager mode, with as many threads as XLA; on a GPU it takes part if it was built for CUDA, NumPy not.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import identities
from bench.dims import dims_of, operands_of
from bench.harness import Column, Item, derivative, with_counts


class Twin(NamedTuple):
    """f on torch tensors, and the closed form on NumPy arrays; operands as the claim names them."""

    f: Callable[..., Any]
    closed: Callable[..., Any]


@functools.cache
def torch() -> Any:
    """The module, or None where it is missing or cannot use the device that JAX uses."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    if jax.devices()[0].platform != "cpu" and not torch.cuda.is_available():
        return None
    return torch


def threads(number: int) -> None:
    """As many threads for torch as XLA has."""
    if torch() is not None:
        torch().set_num_threads(number)


TWINS: dict[str, Twin] = {
    "tr_axb_dX": Twin(lambda A, X, B: torch().trace(A @ X @ B), lambda A, X, B: A.T @ B.T),
    "tr_xtbx_dX": Twin(lambda X, B: torch().trace(X.T @ B @ X), lambda X, B: (B + B.T) @ X),
    "quad_dx": Twin(lambda x, B: x @ B @ x, lambda x, B: B @ x + B.T @ x),
    "bilinear_dX": Twin(lambda a, X, b: a @ X @ b, lambda a, X, b: np.outer(a, b)),
    "logdet_dX": Twin(lambda X: torch().logdet(X), lambda X: np.linalg.inv(X).T),
    "det_dX": Twin(lambda X: torch().linalg.det(X), lambda X: np.linalg.det(X) * np.linalg.inv(X).T),
    "bilinear_inv_dX": Twin(
        lambda a, X, b: a @ torch().linalg.solve(X, b),
        lambda a, X, b: -np.outer(np.linalg.solve(X.T, a), np.linalg.solve(X, b)),
    ),
    "tr_exp_dX": Twin(lambda X: torch().trace(torch().linalg.matrix_exp(X)), None),  # NumPy has no matrix exponential
    "tr_xk_dX": Twin(
        lambda X, k: torch().trace(torch().linalg.matrix_power(X, k)),
        lambda X, k: k * np.linalg.matrix_power(X, k - 1).T,
    ),
    "uv_dU": Twin(lambda X, U, V: ((X - U @ V) ** 2).sum(), lambda X, U, V: -2 * ((X - U @ V) @ V.T)),
    "lsq_dtheta": Twin(
        lambda y, Phi, theta: ((y - Phi @ theta) ** 2).sum(), lambda y, Phi, theta: -2 * ((y - Phi @ theta) @ Phi)
    ),
    "norm_frobenius_dX": Twin(lambda X: torch().linalg.norm(X), lambda X: X / np.linalg.norm(X)),
    "lse_dx": Twin(lambda x: torch().logsumexp(x, 0), lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum()),
}


class Problem(NamedTuple):
    """A function whose Hessian by one operand is wanted: all entries, and a product with a direction.

    `product(D, **operands)` is the Hessian applied to a direction, without its entries; `operator`, where the book
    returns it as one, the Hessian as it is returned.
    """

    wrt: str
    f: Callable[..., Any]
    closed: Callable[..., Any]
    product: Callable[..., Any]
    torch_f: Callable[..., Any]
    numpy_closed: Callable[..., Any]
    draw: Callable[[int, str], Mapping[str, np.ndarray]]
    sizes: tuple[int, ...]
    operator: Callable[..., Any] | None = None


FACTORS = 8
LARGEST = 2**28  # numbers in one array of torch, whose memory cannot be told before: 2 GiB in float64


def logistic(X: Any, y: Any, w: Any) -> Any:
    """The sum of log(1 + exp(-y_i x_i'w))."""
    return jnp.sum(jax.nn.softplus(-y * (X @ w)))


def logistic_d2w(X: Any, y: Any, w: Any) -> Any:
    """X' diag(s(1 - s)) X with s the logistic function of X w; labels are 1 or -1 and drop out."""
    s = jax.nn.sigmoid(X @ w)
    return X.T @ ((s * (1 - s))[:, None] * X)


def logistic_product(D: Any, X: Any, y: Any, w: Any) -> Any:
    """Three products with a vector."""
    s = jax.nn.sigmoid(X @ w)
    return (s * (1 - s) * (X @ D)) @ X


def logistic_d2w_numpy(X: Any, y: Any, w: Any) -> Any:
    s = 1 / (1 + np.exp(-(X @ w)))
    return X.T @ ((s * (1 - s))[:, None] * X)


def logistic_draw(n: int, dtype: str) -> dict[str, np.ndarray]:
    """2n samples of n features."""
    rng = np.random.default_rng(n)
    X, w = rng.standard_normal((2 * n, n)) / np.sqrt(n), rng.standard_normal(n)
    y = np.where(rng.uniform(size=2 * n) < 1 / (1 + np.exp(-X @ w)), 1.0, -1.0)
    return {name: v.astype(dtype) for name, v in (("X", X), ("y", y), ("w", w))}


def least_squares_draw(n: int, dtype: str) -> dict[str, np.ndarray]:
    """2n samples of n features."""
    rng = np.random.default_rng(n)
    drawn = {"y": rng.standard_normal(2 * n), "Phi": rng.standard_normal((2 * n, n)) / np.sqrt(n)}
    return {name: v.astype(dtype) for name, v in (drawn | {"theta": rng.standard_normal(n)}).items()}


def factorization_draw(n: int, dtype: str) -> dict[str, np.ndarray]:
    """X of n x n, and factors of rank 8 at every n: at n / 8 the Hessian of n = 512 would have 2^30 entries."""
    rng = np.random.default_rng(n)
    shapes = {"X": (n, n), "U": (n, FACTORS), "V": (FACTORS, n)}
    return {name: (rng.standard_normal(shape) / np.sqrt(shape[1])).astype(dtype) for name, shape in shapes.items()}


def drawn(name: str) -> Callable[[int, str], dict[str, np.ndarray]]:
    """The draws of a claim of the book."""

    def draw(n: int, dtype: str) -> dict[str, np.ndarray]:
        claim = identities.claim(name)
        return operands_of(claim, dims_of(claim, n), dtype)

    return draw


def uv_d2U_numpy(X: Any, U: Any, V: Any) -> Any:
    m, k = U.shape
    H = np.zeros((m, k, m, k), U.dtype)
    H[np.arange(m), :, np.arange(m), :] = 2 * (V @ V.T)
    return H


PROBLEMS: dict[str, Problem] = {
    "quadratic form": Problem(
        "x",
        lambda x, B: x @ B @ x,
        lambda x, B: B + B.T,
        lambda D, x, B: B @ D + D @ B,
        lambda x, B: x @ B @ x,
        lambda x, B: B + B.T,
        drawn("quad_d2x"),
        (32, 64, 128, 256, 512, 1024),
    ),
    "logistic regression": Problem(
        "w",
        logistic,
        logistic_d2w,
        logistic_product,
        lambda X, y, w: torch().nn.functional.softplus(-y * (X @ w)).sum(),
        logistic_d2w_numpy,
        logistic_draw,
        (32, 64, 128, 256, 512),
    ),
    "least squares": Problem(
        "theta",
        lambda y, Phi, theta: jnp.sum((y - Phi @ theta) ** 2),
        identities.claim("lsq_d2theta").function,
        lambda D, y, Phi, theta: 2 * ((Phi @ D) @ Phi),
        lambda y, Phi, theta: ((y - Phi @ theta) ** 2).sum(),
        lambda y, Phi, theta: 2 * (Phi.T @ Phi),
        least_squares_draw,
        (32, 64, 128, 256, 512),
    ),
    "matrix factorization": Problem(
        "U",
        lambda X, U, V: jnp.sum((X - U @ V) ** 2),
        lambda X, U, V: identities.claim("uv_d2U").function(X, U, V).todense(),
        lambda D, X, U, V: identities.claim("uv_d2U").function(X, U, V).matvec(D),
        lambda X, U, V: ((X - U @ V) ** 2).sum(),
        uv_d2U_numpy,
        factorization_draw,
        (16, 32, 64, 128, 256, 512),
        identities.claim("uv_d2U").function,
    ),
}


def torch_column(name: str, call: Callable[..., Any]) -> Column:
    """A column of torch: operands become tensors off the clock, and every call is waited for."""
    device = "cpu" if jax.devices()[0].platform == "cpu" else "cuda"

    def prepare(operands: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {n: torch().tensor(np.asarray(v), device=device) for n, v in operands.items()}

    def blocked(**operands: Any) -> Any:
        found = call(**operands)
        if device == "cuda":
            torch().cuda.synchronize()
        return found

    return Column(name, blocked, plain=True, prepare=prepare)


def torch_gradients(f: Callable[..., Any], wrt: str) -> list[Column]:
    """The gradient by torch's tape, and by its transforms; nothing where torch is missing."""
    if torch() is None:
        return []

    def tape(**operands: Any) -> Any:
        x = operands[wrt].detach().requires_grad_()
        return torch().autograd.grad(f(**{**operands, wrt: x}), x)[0]

    def transform(**operands: Any) -> Any:
        return torch().func.grad(lambda x: f(**{**operands, wrt: x}))(operands[wrt])

    return [torch_column("torch.autograd", tape), torch_column("torch.func", transform)]


def torch_hessians(f: Callable[..., Any], wrt: str) -> list[Column]:
    """The Hessian by torch's tape (vectorized, as its documentation advises), and by its transforms."""
    if torch() is None:
        return []

    def tape(**operands: Any) -> Any:
        at = lambda x: f(**{**operands, wrt: x})  # noqa: E731
        return torch().autograd.functional.hessian(at, operands[wrt], vectorize=True)

    def transform(**operands: Any) -> Any:
        return torch().func.hessian(lambda x: f(**{**operands, wrt: x}))(operands[wrt])

    return [torch_column("torch.autograd", tape), torch_column("torch.func", transform)]


def numpy_column(closed: Callable[..., Any] | None) -> list[Column]:
    """The closed form in NumPy, on a CPU alone."""
    on_cpu = jax.devices()[0].platform == "cpu"
    return [Column("numpy", closed, plain=True)] if closed and on_cpu else []


def twin(name: str, n: int, dtype: str) -> Item:
    """A claim of the book beside its twins."""
    claim, peer = identities.claim(name), TWINS[name]
    sizes = dims_of(claim, n)
    f = functools.partial(peer.f, **sizes.counts)
    closed = functools.partial(peer.closed, **sizes.counts) if peer.closed else None
    columns = [
        Column("closed", with_counts(claim.function, sizes.counts), None),
        Column("autodiff", with_counts(derivative(claim, claim.identity.function), sizes.counts)),
        *torch_gradients(f, claim.wrt[0]),
        *numpy_column(closed),
    ]
    dims = sizes.dims | sizes.counts
    drawn = operands_of(claim, sizes, dtype)
    return Item("peers", name, claim.chapter, n, dims, dtype, drawn, columns, claim, sizes.counts, without())


def problem(name: str, n: int, dtype: str) -> Item:
    """One of the three problems: its full Hessian, by every way there is."""
    p = PROBLEMS[name]
    operands = p.draw(n, dtype)
    at = lambda operands: lambda x: p.f(**{**operands, p.wrt: x})  # noqa: E731
    along = np.random.default_rng(1).standard_normal(operands[p.wrt].shape).astype(dtype)
    passes = operands[p.wrt].size * max(v.size for v in operands.values())  # each of them carries the largest array
    columns = [
        Column("closed", p.closed, None),
        Column("autodiff", lambda **x: jax.hessian(at(x))(x[p.wrt])),
        Column("reverse", lambda **x: jax.jacrev(jax.grad(at(x)))(x[p.wrt])),
        *(torch_hessians(p.torch_f, p.wrt) if passes <= LARGEST else []),
        *numpy_column(p.numpy_closed),
        *([Column("operator", p.operator, None)] if p.operator else []),
        Column("matvec", lambda **x: p.product(jnp.asarray(along), **x), None),
        Column("hvp", lambda **x: jax.jvp(jax.grad(at(x)), (x[p.wrt],), (jnp.asarray(along),))[1], "matvec"),
    ]
    dims = {f"{name} {i}": s for name, v in operands.items() for i, s in enumerate(v.shape)}
    return Item("peers", name, "problems", n, dims, dtype, operands, columns, notes=without())


def without() -> dict[str, Any]:
    """A note where torch took no part."""
    return {} if torch() is not None else {"without": "torch, which is not installed or was not built for this device"}
