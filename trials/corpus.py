"""Wrong gradients that people really write, and right ones beside them: what a checker of derivatives is tried on.

    from trials.corpus import CASES, NUMPY
    case = CASES["tr AX"]
    case.function(NUMPY, **case.draw())  # a case runs in NumPy, JAX and torch: its functions take the library first
    case.prove()  # the right forms agree with differences and the wrong ones do not, in NumPy alone

The first operand is the one by which a case is differentiated.  Four kinds of form: `gradient(xp, X, ...)` of a real
scalar (by a complex operand 2 df/dz*), `jacobian(xp, X, ...)` with the axes of the output and then those of X, and the
rules `jvp(xp, dX, X, ...)` and `vjp(xp, g, X, ...)`, which a custom_jvp or custom_vjp would hold.  A slip tells what a
diagnosis should say of it (a regular expression), or "" where there is no name for it.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

Form = Callable[..., Any]
Sampler = Callable[[np.random.Generator], np.ndarray]
KINDS = ("gradient", "jacobian", "jvp", "vjp")
WRONG_BY = 1e-3  # of the largest entry of the right derivative: by this much at least a wrong one differs somewhere
RIGHT_TO = 1e-6  # of the largest entry: to this much a right one agrees with differences
DENSE = 512  # entries of a derivative that are differenced one by one; of a larger one, three directions are


# One formula for three libraries


LINEAR = [
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "matrix_power",
    "norm",
    "pinv",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
]


@dataclasses.dataclass(frozen=True)
class Library:
    """NumPy, jax.numpy or torch under one set of names: those of the module, of its `linalg`, and of its own."""

    module: ModuleType
    own: Mapping[str, Callable[..., Any]]  # expm; like: a constant as an array of the dtype of another

    def __getattr__(self, name: str) -> Any:
        if name in self.own:
            return self.own[name]
        return getattr(self.module.linalg if name in LINEAR else self.module, name)

    def eye(self, n: int, like: Any) -> Any:
        return self.like(np.eye(n), like)


def _numpy_expm(X: np.ndarray) -> np.ndarray:
    from scipy.linalg import expm

    return np.asarray(expm(X))


NUMPY = Library(np, {"expm": _numpy_expm, "like": lambda value, like: np.asarray(value, like.dtype)})


@functools.cache
def jax_library() -> Library:
    import jax.numpy as jnp
    from jax.scipy.linalg import expm

    return Library(jnp, {"expm": expm, "like": lambda value, like: jnp.asarray(value, like.dtype)})


@functools.cache
def torch_library() -> Library:
    import torch

    return Library(
        torch,
        {
            "expm": torch.linalg.matrix_exp,
            "like": lambda value, like: torch.as_tensor(value, dtype=like.dtype),
            # torch 2.13 fails at the Kronecker product of a transpose
            "kron": lambda A, B: torch.kron(A.contiguous(), B.contiguous()),
        },
    )


# A case


@dataclasses.dataclass(frozen=True)
class Slip:
    """One wrong form: what was done to it, what a diagnosis should say, and the form (or an edit of the right one)."""

    name: str
    says: str
    form: Form | None = None
    edit: Callable[[Library, Any], Any] | None = None
    # a vjp that ignores its cotangent: the gradient that it yields is right, so a check of gradients cannot take it
    gradient_is_right: bool = False


@dataclasses.dataclass(frozen=True)
class Case:
    """A function, where it is differentiated, right forms of its derivative by name, and wrong ones."""

    name: str
    family: str
    kind: str
    function: Form
    operands: Mapping[str, Sampler]
    right: Mapping[str, Form]
    slips: Mapping[str, Slip]
    why: str = ""

    @property
    def wrong(self) -> dict[str, Form]:
        return {name: self._of(slip) for name, slip in self.slips.items()}

    @property
    def forms(self) -> dict[str, Form]:
        return {**self.right, **self.wrong}

    def _of(self, slip: Slip) -> Form:
        if slip.form is not None:
            return slip.form
        first, edit = next(iter(self.right.values())), slip.edit
        assert edit is not None

        def edited(xp: Library, *arguments: Any) -> Any:
            return edit(xp, first(xp, *arguments))

        # a check reads the names of the operands from the form
        edited.__signature__ = inspect.signature(first)  # type: ignore[attr-defined]
        return edited

    def draw(self, dtype: str = "float64") -> dict[str, np.ndarray]:
        """The operands, the same at every call, rounded to a precision."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        drawn = {name: np.asarray(sampler(rng)) for name, sampler in self.operands.items()}
        pair = np.complex64 if dtype == "float32" else np.complex128
        return {name: v.astype(pair if v.dtype.kind == "c" else dtype) for name, v in drawn.items()}

    @property
    def is_complex(self) -> bool:
        return next(iter(self.draw().values())).dtype.kind == "c"

    def derivative(self, form: Form, operands: Mapping[str, np.ndarray], c: float = 1.7) -> np.ndarray:
        """What a form says of all entries, in NumPy: the axes of the output and then those of the operand.

        A rule is handed `c` times each unit; with a `c` that is not 1, a rule that forgets what it is handed shows.
        """
        X, *others = operands.values()
        if self.kind in ("gradient", "jacobian"):
            return np.asarray(form(NUMPY, X, *others))
        if self.kind == "jvp":
            columns = [form(NUMPY, c * unit, X, *others) / c for unit in _units(X)]
            return np.stack(columns, -1).reshape(*np.shape(columns[0]), *X.shape)
        value = np.asarray(self.function(NUMPY, X, *others))
        rows = [form(NUMPY, c * unit, X, *others) / c for unit in _units(value)]
        return np.stack(rows).reshape(*value.shape, *X.shape)

    def prove(self) -> None:
        """Show, in float64 and by NumPy alone, that right is right and wrong is wrong.  Raises AssertionError."""
        operands = self.draw()
        rights = {name: self.derivative(form, operands) for name, form in self.right.items()}
        differences = self._differences(operands, next(iter(rights.values())).size <= DENSE)
        for name, found in rights.items():
            top = float(np.max(np.abs(found)))
            for along, moved, error in differences:
                gap = float(np.max(np.abs(self._contract(found, along) - moved)))
                reach = top * max(1.0, float(np.linalg.norm(along)))
                # a derivative that is zero is held against the rounding of the function
                assert gap <= RIGHT_TO * reach + 10 * error, f"{self.name}: {name} is off by {gap:.2g}"
                assert error <= RIGHT_TO * max(reach, float(np.max(np.abs(moved)))) or not top, (
                    f"{self.name}: differences cannot tell"
                )
        right = next(iter(rights.values()))
        for name, form in self.wrong.items():
            found = self.derivative(form, operands)
            assert found.shape == right.shape, f"{self.name}: {name} has another shape"
            assert np.all(np.isfinite(found)), f"{self.name}: {name} is not finite"
            gap = float(np.max(np.abs(found - right)))
            assert gap > WRONG_BY * float(np.max(np.abs(right))), f"{self.name}: {name} is right to {gap:.2g}"

    def _contract(self, derivative: np.ndarray, along: np.ndarray) -> np.ndarray:
        if self.kind == "gradient" or (self.kind == "vjp" and derivative.shape == along.shape):
            return np.asarray(np.real(np.vdot(derivative, along)))
        return np.tensordot(derivative, along, along.ndim)

    def _differences(self, operands: Mapping[str, np.ndarray], dense: bool) -> list[tuple[np.ndarray, Any, float]]:
        """Central differences along units or random directions, each with its error, at the best of some steps."""
        X, *others = operands.values()
        rng = np.random.default_rng(1)
        turns = (1.0, 1j) if X.dtype.kind == "c" else (1.0,)
        directions = [turn * unit for unit in _units(X) for turn in turns] if dense else []
        for _ in range(3):
            directions.append(sum(turn * rng.standard_normal(X.shape) for turn in turns))
        found = []
        for d in directions:
            best: tuple[Any, float] = (np.nan, np.inf)
            for h in (3e-2, 3e-3, 3e-4, 3e-5, 3e-6, 3e-7):
                with np.errstate(all="ignore"):
                    f = {k: np.asarray(self.function(NUMPY, X + k * h * d, *others)) for k in (-4, -2, -1, 1, 2, 4)}
                    near = (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * h)
                    far = (8 * (f[2] - f[-2]) - (f[4] - f[-4])) / (24 * h)
                    noise = 4 * np.finfo(float).eps * float(np.max(np.abs(f[4]))) / h
                    error = float(np.max(np.abs(near - far))) + noise
                if error < best[1]:
                    best = (near, error)
            found.append((d, *best))
        return found


def _units(X: np.ndarray) -> list[np.ndarray]:
    return [unit.reshape(X.shape) for unit in np.eye(X.size, dtype=X.dtype)]


CASES: dict[str, Case] = {}


def case(
    name: str,
    family: str,
    function: Form,
    operands: Mapping[str, Sampler],
    right: Form | Mapping[str, Form],
    wrong: Sequence[Slip] = (),
    kind: str = "gradient",
    why: str = "",
) -> None:
    """Add a case.  `right` is one form or several by name."""
    assert name not in CASES and kind in KINDS
    rights = dict(right) if isinstance(right, Mapping) else {"as derived": right}
    CASES[name] = Case(name, family, kind, function, operands, rights, {s.name: s for s in wrong}, why)


jacobian = functools.partial(case, kind="jacobian")
jvp_rule = functools.partial(case, kind="jvp")
vjp_rule = functools.partial(case, kind="vjp")


# Slips that fit everywhere


def slip(name: str, says: str, form: Form, **more: Any) -> Slip:
    return Slip(name, says, form, **more)


NEGATED = Slip("negated", "wrong sign", edit=lambda xp, g: -g)
HALVED = Slip("the factor 2 forgotten", "1/2", edit=lambda xp, g: g / 2)
DOUBLED = Slip("a factor 2 too many", "it is 2 times", edit=lambda xp, g: 2 * g)
TRANSPOSED = Slip("transposed", "transposed: its transpose is right", edit=lambda xp, g: g.T)
CONJUGATED = Slip("conjugated", "conjugated", edit=lambda xp, g: xp.conj(g))
HALF_CONVENTION = Slip("df/dz* for 2 df/dz*", "1/2", edit=lambda xp, g: g / 2)


def percent(*index: int) -> Slip:
    """One entry off by a percent."""

    def edit(xp: Library, g: Any) -> Any:
        bump = np.ones(tuple(g.shape))
        bump[index] = 1.01
        return g * xp.like(bump, g)

    return Slip(f"a percent off at {list(index)}", rf"one entry is wrong: \[{', '.join(map(str, index))}\]", edit=edit)


# Operands


def normal(*shape: int, size: float = 1.0) -> Sampler:
    return lambda rng: size * rng.standard_normal(shape)


def positive(*shape: int) -> Sampler:
    return lambda rng: rng.uniform(0.5, 2.0, shape)


def simplex(n: int) -> Sampler:
    return lambda rng: rng.dirichlet(np.ones(n))


def complex_normal(*shape: int) -> Sampler:
    return lambda rng: (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def _rotation(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def invertible(n: int) -> Sampler:
    """A general matrix with singular values from 1/2 to 2."""
    return lambda rng: _rotation(rng, n) @ np.diag(np.linspace(0.5, 2.0, n)) @ _rotation(rng, n)


def complex_invertible(n: int) -> Sampler:
    return lambda rng: (_rotation(rng, n) + 1j * _rotation(rng, n) / 2) @ np.diag(np.linspace(0.5, 2.0, n))


def positive_definite(n: int) -> Sampler:
    def sample(rng: np.random.Generator) -> np.ndarray:
        Q = _rotation(rng, n)
        S = Q @ np.diag(np.linspace(0.5, 2.0, n)) @ Q.T
        return np.asarray((S + S.T) / 2)

    return sample


def symmetric(n: int) -> Sampler:
    def sample(rng: np.random.Generator) -> np.ndarray:
        S = rng.standard_normal((n, n))
        return np.asarray((S + S.T) / 2)

    return sample


def mask(*shape: int) -> Sampler:
    return lambda rng: (rng.uniform(size=shape) < 0.7).astype(float)


def one_hot(n: int, k: int) -> Sampler:
    return lambda rng: np.eye(k)[rng.integers(k, size=n)]


def signs(n: int) -> Sampler:
    return lambda rng: rng.choice([-1.0, 1.0], n)


def fixed(value: Any) -> Sampler:
    return lambda rng: np.array(value)


# Traces

case(
    "tr AX",
    "traces",
    lambda xp, X, A: xp.trace(A @ X),
    {"X": normal(3, 3), "A": normal(3, 3)},
    lambda xp, X, A: A.T,
    [slip("A for A'", "transposed", lambda xp, X, A: A)],
)
case(
    "tr AXB",
    "traces",
    lambda xp, X, A, B: xp.trace(A @ X @ B),
    {"X": normal(4, 4), "A": normal(4, 4), "B": normal(4, 4)},
    lambda xp, X, A, B: A.T @ B.T,
    [
        slip("factors in the wrong order", "operands swapped", lambda xp, X, A, B: B.T @ A.T),
        slip("BA for (BA)'", "transposed", lambda xp, X, A, B: B @ A),
    ],
)
case(
    "tr AXB, 2 by 7",
    "traces",
    lambda xp, X, A, B: xp.trace(A @ X @ B),
    {"X": normal(2, 7), "A": normal(5, 2), "B": normal(7, 5)},
    {"as derived": lambda xp, X, A, B: A.T @ B.T, "one product": lambda xp, X, A, B: (B @ A).T},
    [NEGATED],
)
case(
    "tr AXB, 512 by 512",
    "traces",
    lambda xp, X, A, B: xp.trace(A @ X @ B),
    {"X": normal(512, 512), "A": normal(512, 512), "B": normal(512, 512)},
    lambda xp, X, A, B: A.T @ B.T,
    [percent(17, 300)],
)
case(
    "tr X^2",
    "traces",
    lambda xp, X: xp.trace(X @ X),
    {"X": normal(5, 5)},
    {"as derived": lambda xp, X: 2 * X.T, "as a sum": lambda xp, X: X.T + X.T},
    [slip("X for X'", "transposed", lambda xp, X: 2 * X), slip("one X held fixed", "1/2", lambda xp, X: X.T)],
)
case(
    "tr X^3",
    "traces",
    lambda xp, X: xp.trace(X @ X @ X),
    {"X": normal(8, 8)},
    {"as derived": lambda xp, X: 3 * (X @ X).T, "transposed first": lambda xp, X: 3 * X.T @ X.T},
    [slip("the power for the factor", "2/3", lambda xp, X: 2 * (X @ X).T)],
)
case(
    "tr X'AX",
    "traces",
    lambda xp, X, A: xp.trace(X.T @ A @ X),
    {"X": normal(4, 3), "A": normal(4, 4)},
    {"as derived": lambda xp, X, A: (A + A.T) @ X, "two products": lambda xp, X, A: A @ X + A.T @ X},
    [
        slip("the formula for symmetric A", "right only for symmetric A", lambda xp, X, A: 2 * A @ X),
        slip("the second term missing", "only the first of two terms", lambda xp, X, A: A @ X),
    ],
)
case(
    "tr AX'BX",
    "traces",
    lambda xp, X, A, B: xp.trace(A @ X.T @ B @ X),
    {"X": normal(5, 3), "A": normal(3, 3), "B": normal(5, 5)},
    {
        "as derived": lambda xp, X, A, B: B @ X @ A + B.T @ X @ A.T,
        "by einsum": lambda xp, X, A, B: xp.einsum("ij,jk,kl->il", B, X, A) + xp.einsum("ji,jk,lk->il", B, X, A),
    },
    [slip("the second term missing", "term", lambda xp, X, A, B: B @ X @ A)],
)
case(
    "(tr X)^2",
    "traces",
    lambda xp, X: xp.trace(X) ** 2,
    {"X": normal(6, 6)},
    lambda xp, X: 2 * xp.trace(X) * xp.eye(6, X),
    [slip("the gradient of tr X", "", lambda xp, X: 2 * xp.eye(6, X))],
)
case(
    "tr AX, the free-entry convention",
    "traces",
    lambda xp, X, A: xp.trace(A @ X),
    {"X": symmetric(4), "A": normal(4, 4)},
    lambda xp, X, A: A.T,
    [
        slip(
            "A + A' - diag A, meant for the free entries",
            "free-entry convention",
            lambda xp, X, A: A + A.T - xp.diag(xp.diagonal(A)),
        )
    ],
)

# Determinants


def cofactors(xp, X):
    """The signed minors one by one: right where X is singular too."""
    n = X.shape[0]
    others = [[k for k in range(n) if k != i] for i in range(n)]
    rows = [[(-1.0) ** (i + j) * xp.det(X[others[i], :][:, others[j]]) for j in range(n)] for i in range(n)]
    return xp.stack([xp.stack(row) for row in rows])


def logdet(xp, X):
    return xp.slogdet(X)[1]


case(
    "det X",
    "determinants",
    lambda xp, X: xp.det(X),
    {"X": invertible(3)},
    {"by the inverse": lambda xp, X: xp.det(X) * xp.inv(X).T, "by cofactors": cofactors},
    [
        slip("inverse for inverse transpose", "transposed", lambda xp, X: xp.det(X) * xp.inv(X)),
        slip("the factor det X dropped", "", lambda xp, X: xp.inv(X).T),
    ],
)
case(
    "det at a singular matrix",
    "determinants",
    lambda xp, X: xp.det(X),
    {"X": fixed(np.diag([1.0, 2.0, 0.0, 3.0]))},
    cofactors,
    [slip("a pseudo-inverse for the adjugate", "", lambda xp, X: xp.det(X) * xp.pinv(X).T)],
    why="jax.grad gives zeros here; the cofactors are 6 at [2, 2]",
)
case(
    "log |det X|",
    "determinants",
    logdet,
    {"X": invertible(5)},
    {"by the inverse": lambda xp, X: xp.inv(X).T, "by a solve": lambda xp, X: xp.solve(X.T, xp.eye(5, X))},
    [slip("inverse for inverse transpose", "transposed|X stands where X'", lambda xp, X: xp.inv(X)), NEGATED],
)
case(
    "log |det X|, 128 by 128",
    "determinants",
    logdet,
    {"X": invertible(128)},
    lambda xp, X: xp.inv(X).T,
    [slip("inverse for inverse transpose", "transposed|X stands where X'", lambda xp, X: xp.inv(X))],
)
case(
    "log |det X|, 512 by 512",
    "determinants",
    logdet,
    {"X": invertible(512)},
    lambda xp, X: xp.inv(X).T,
    [slip("inverse for inverse transpose", "transposed|X stands where X'", lambda xp, X: xp.inv(X))],
)
case(
    "log det of a covariance",
    "determinants",
    logdet,
    {"X": positive_definite(4)},
    {"by the inverse": lambda xp, X: xp.inv(X), "by a solve": lambda xp, X: xp.solve(X, xp.eye(4, X))},
    [
        slip(
            "2 X^-1 - diag X^-1, meant for the free entries",
            "free-entry convention",
            lambda xp, X: 2 * xp.inv(X) - xp.diag(xp.diagonal(xp.inv(X))),
        )
    ],
)
case(
    "det X'AX",
    "determinants",
    lambda xp, X, A: xp.det(X.T @ A @ X),
    {"X": normal(5, 3), "A": normal(5, 5)},
    lambda xp, X, A: xp.det(X.T @ A @ X) * (A @ X @ xp.inv(X.T @ A @ X) + A.T @ X @ xp.inv(X.T @ A.T @ X)),
    [
        slip(
            "the formula for symmetric A",
            "right only for symmetric A",
            lambda xp, X, A: 2 * xp.det(X.T @ A @ X) * A @ X @ xp.inv(X.T @ A @ X),
        ),
        slip(
            "the formula for square X",
            "right only at square shapes",
            lambda xp, X, A: 2 * xp.det(X.T @ A @ X) * xp.pinv(X).T,
        ),
    ],
)
case(
    "log det X'X",
    "determinants",
    lambda xp, X: logdet(xp, X.T @ X),
    {"X": normal(6, 3)},
    {"by the inverse": lambda xp, X: 2 * X @ xp.inv(X.T @ X), "by the pseudo-inverse": lambda xp, X: 2 * xp.pinv(X).T},
    [HALVED],
)
case(
    "det (I + uv')",
    "determinants",
    lambda xp, u, v: xp.det(xp.eye(4, u) + xp.outer(u, v)),
    {"u": fixed([1.0, 2.0, -3.0, 0.5]), "v": fixed([0.5, 0.25, 0.75, 0.502])},
    {
        "as derived": lambda xp, u, v: v,
        "by a solve": lambda xp, u, v: (
            xp.det(xp.eye(4, u) + xp.outer(u, v)) * xp.solve(xp.eye(4, u) + xp.outer(v, u), v)
        ),
    },
    [slip("u for v", "operands swapped", lambda xp, u, v: u)],
    why="the determinant is 0.001 here, a difference of numbers near 1",
)

# Inverses


def inverse_jacobian(xp, X):
    Y = xp.inv(X)
    return -xp.einsum("ik,lj->ijkl", Y, Y)


case(
    "a'X^-1 b",
    "inverses",
    lambda xp, X, a, b: a @ xp.solve(X, b),
    {"X": invertible(4), "a": normal(4), "b": normal(4)},
    {
        "by solves": lambda xp, X, a, b: -xp.outer(xp.solve(X.T, a), xp.solve(X, b)),
        "as printed": lambda xp, X, a, b: -xp.inv(X).T @ xp.outer(a, b) @ xp.inv(X).T,
    },
    [
        slip(
            "the sign of the inverse forgotten",
            "wrong sign",
            lambda xp, X, a, b: xp.outer(xp.solve(X.T, a), xp.solve(X, b)),
        ),
        slip(
            "inverse for inverse transpose",
            "X stands where X'",
            lambda xp, X, a, b: -xp.inv(X) @ xp.outer(a, b) @ xp.inv(X),
        ),
    ],
)
case(
    "tr X^-1",
    "inverses",
    lambda xp, X: xp.trace(xp.inv(X)),
    {"X": invertible(6)},
    {"as derived": lambda xp, X: -(xp.inv(X) @ xp.inv(X)).T, "by a solve": lambda xp, X: -xp.solve(X.T, xp.inv(X).T)},
    [
        slip("not transposed", "transposed|X stands where X'", lambda xp, X: -xp.inv(X) @ xp.inv(X)),
        slip("one inverse for two", "", lambda xp, X: -xp.inv(X).T),
    ],
)
case(
    "tr X^-1 at the Hilbert matrix",
    "inverses",
    lambda xp, X: xp.trace(xp.inv(X)),
    {"X": fixed([[1 / (i + j + 1) for j in range(4)] for i in range(4)])},
    lambda xp, X: -(xp.inv(X) @ xp.inv(X)).T,
    [NEGATED],
    why="its condition number is 15,000",
)
case(
    "tr AX^-1 B, 32 by 32",
    "inverses",
    lambda xp, X, A, B: xp.trace(A @ xp.inv(X) @ B),
    {"X": invertible(32), "A": normal(3, 32), "B": normal(32, 3)},
    {
        "as derived": lambda xp, X, A, B: -(xp.inv(X) @ B @ A @ xp.inv(X)).T,
        "transposed first": lambda xp, X, A, B: -xp.inv(X).T @ A.T @ B.T @ xp.inv(X).T,
    },
    [slip("not transposed", "transposed", lambda xp, X, A, B: -xp.inv(X) @ B @ A @ xp.inv(X)), percent(0, 13)],
)
case(
    "|X^-1|^2",
    "inverses",
    lambda xp, X: xp.sum(xp.inv(X) ** 2),
    {"X": invertible(3)},
    lambda xp, X: -2 * xp.inv(X).T @ xp.inv(X) @ xp.inv(X).T,
    [slip("a transpose misplaced", "", lambda xp, X: -2 * xp.inv(X).T @ xp.inv(X).T @ xp.inv(X))],
)
case(
    "tr (X + A)^-1",
    "inverses",
    lambda xp, X, A: xp.trace(xp.inv(X + A)),
    {"X": positive_definite(4), "A": positive_definite(4)},
    lambda xp, X, A: -(xp.inv(X + A) @ xp.inv(X + A)).T,
    [slip("the inverse of X alone", "", lambda xp, X, A: -(xp.inv(X) @ xp.inv(X)).T)],
)
jacobian(
    "X^-1",
    "inverses",
    lambda xp, X: xp.inv(X),
    {"X": invertible(3)},
    {
        "as derived": (inverse_jacobian),
        "by Kronecker": lambda xp, X: -xp.kron(xp.inv(X), xp.inv(X).T).reshape(3, 3, 3, 3),
    },
    [
        slip(
            "indices swapped",
            "axes are in the wrong order",
            lambda xp, X: -xp.einsum("il,kj->ijkl", xp.inv(X), xp.inv(X)),
        ),
        slip("the sign forgotten", "wrong sign", lambda xp, X: -inverse_jacobian(xp, X)),
    ],
)
jacobian("X^-1, 16 by 16", "inverses", lambda xp, X: xp.inv(X), {"X": invertible(16)}, inverse_jacobian, [NEGATED])
jacobian(
    "A^-1 b by b",
    "inverses",
    lambda xp, b, A: xp.solve(A, b),
    {"b": normal(4), "A": invertible(4)},
    {"as derived": lambda xp, b, A: xp.inv(A), "by a solve": lambda xp, b, A: xp.solve(A, xp.eye(4, b))},
    [slip("A^-T for A^-1", "transposed|A stands where A'", lambda xp, b, A: xp.inv(A).T)],
)
jacobian(
    "A^-1 b by A",
    "inverses",
    lambda xp, A, b: xp.solve(A, b),
    {"A": invertible(4), "b": normal(4)},
    lambda xp, A, b: -xp.einsum("ik,l->ikl", xp.inv(A), xp.solve(A, b)),
    [
        slip("the sign forgotten", "wrong sign", lambda xp, A, b: xp.einsum("ik,l->ikl", xp.inv(A), xp.solve(A, b))),
        slip("b for the solution", "", lambda xp, A, b: -xp.einsum("ik,l->ikl", xp.inv(A), b)),
    ],
)

# Eigenvalues


def sym(X):
    return (X + X.T) / 2


def spectral(xp, X, g):
    """V diag(g(w)) V' of the symmetric part."""
    w, V = xp.eigh(sym(X))
    return (V * g(w)) @ V.T


case(
    "the largest eigenvalue",
    "eigenvalues",
    lambda xp, X: xp.eigvalsh(sym(X))[-1],
    {"X": symmetric(5)},
    lambda xp, X: xp.outer(xp.eigh(sym(X))[1][:, -1], xp.eigh(sym(X))[1][:, -1]),
    [
        slip(
            "off-diagonal entries doubled",
            "free-entry convention",
            lambda xp, X: (
                2 * xp.outer(xp.eigh(sym(X))[1][:, -1], xp.eigh(sym(X))[1][:, -1])
                - xp.diag(xp.eigh(sym(X))[1][:, -1] ** 2)
            ),
        ),
        slip("a row of V for a column", "", lambda xp, X: xp.outer(xp.eigh(sym(X))[1][-1], xp.eigh(sym(X))[1][-1])),
    ],
)
case(
    "sum of log eigenvalues",
    "eigenvalues",
    lambda xp, X: xp.sum(xp.log(xp.eigvalsh(sym(X)))),
    {"X": positive_definite(6)},
    {"as derived": lambda xp, X: xp.inv(sym(X)), "by the spectrum": lambda xp, X: spectral(xp, X, lambda w: 1 / w)},
    [NEGATED],
)
case(
    "sum of exp eigenvalues",
    "eigenvalues",
    lambda xp, X: xp.sum(xp.exp(xp.eigvalsh(sym(X)))),
    {"X": symmetric(8)},
    {"as derived": lambda xp, X: spectral(xp, X, xp.exp), "by expm": lambda xp, X: xp.expm(sym(X))},
    [
        slip(
            "V' and V exchanged",
            "",
            lambda xp, X: (xp.eigh(sym(X))[1].T * xp.exp(xp.eigh(sym(X))[0])) @ xp.eigh(sym(X))[1],
        )
    ],
)
case(
    "the spread of eigenvalues, 48 by 48",
    "eigenvalues",
    lambda xp, X: xp.eigvalsh(sym(X))[-1] - xp.eigvalsh(sym(X))[0],
    {"X": symmetric(48)},
    lambda xp, X: (
        xp.outer(xp.eigh(sym(X))[1][:, -1], xp.eigh(sym(X))[1][:, -1])
        - xp.outer(xp.eigh(sym(X))[1][:, 0], xp.eigh(sym(X))[1][:, 0])
    ),
    [
        slip(
            "a sum for the difference",
            "",
            lambda xp, X: (
                xp.outer(xp.eigh(sym(X))[1][:, -1], xp.eigh(sym(X))[1][:, -1])
                + xp.outer(xp.eigh(sym(X))[1][:, 0], xp.eigh(sym(X))[1][:, 0])
            ),
        )
    ],
)
case(
    "a matrix from its eigenvectors, at I",
    "eigenvalues",
    lambda xp, X, C: xp.sum(C * spectral(xp, X, lambda w: w)),
    {"X": fixed(np.eye(3)), "C": normal(3, 3)},
    lambda xp, X, C: sym(C),
    [slip("the symmetric part forgotten", "", lambda xp, X, C: C)],
    why="jax.grad gives NaN where eigenvalues are equal; the function is linear",
)

# Linear forms

case(
    "a'Xb",
    "linear forms",
    lambda xp, X, a, b: a @ X @ b,
    {"X": normal(4, 4), "a": normal(4), "b": normal(4)},
    {"as derived": lambda xp, X, a, b: xp.outer(a, b), "by broadcasting": lambda xp, X, a, b: a[:, None] * b[None, :]},
    [slip("ba' for ab'", "transposed|operands swapped", lambda xp, X, a, b: xp.outer(b, a))],
)
case(
    "a'X'b, 3 by 5",
    "linear forms",
    lambda xp, X, a, b: a @ X.T @ b,
    {"X": normal(3, 5), "a": normal(5), "b": normal(3)},
    lambda xp, X, a, b: xp.outer(b, a),
    [NEGATED],
)
case(
    "a'x, n = 2",
    "linear forms",
    lambda xp, x, a: a @ x,
    {"x": normal(2), "a": normal(2)},
    lambda xp, x, a: a,
    [slip("x for a", "operands swapped", lambda xp, x, a: x)],
)
jacobian(
    "Ax by x",
    "linear forms",
    lambda xp, x, A: A @ x,
    {"x": normal(4), "A": normal(4, 4)},
    lambda xp, x, A: A,
    [slip("A' for A", "transposed|A stands where A'", lambda xp, x, A: A.T)],
)

# Quadratic forms


def quad(xp, x, A):
    return x @ A @ x


def quad_gradient(xp, x, A):
    return (A + A.T) @ x


QUAD_SLIPS = (
    slip("the formula for symmetric A", "right only for symmetric A", lambda xp, x, A: 2 * A @ x),
    slip("the second term missing", "only the first of two terms", lambda xp, x, A: A @ x),
)
case(
    "x'Ax",
    "quadratic forms",
    quad,
    {"x": normal(3), "A": normal(3, 3)},
    {"as derived": (quad_gradient), "two products": lambda xp, x, A: A @ x + x @ A},
    QUAD_SLIPS,
)
case(
    "x'Ax, n = 512",
    "quadratic forms",
    quad,
    {"x": normal(512), "A": normal(512, 512)},
    quad_gradient,
    [QUAD_SLIPS[0], percent(100)],
)
case(
    "x'Ax at a symmetric A",
    "quadratic forms",
    quad,
    {"x": normal(4), "A": symmetric(4)},
    {"as derived": quad_gradient, "for symmetric A": lambda xp, x, A: 2 * A @ x},
    [HALVED],
    why="2Ax is right at this A",
)
case(
    "x'Ax by A",
    "quadratic forms",
    lambda xp, A, x: x @ A @ x,
    {"A": normal(5, 5), "x": normal(5)},
    {"as derived": lambda xp, A, x: xp.outer(x, x), "by broadcasting": lambda xp, A, x: x[:, None] * x[None, :]},
    [DOUBLED, slip("only the diagonal", "only the diagonal is right", lambda xp, A, x: xp.diag(x * x)), percent(0, 2)],
)
case(
    "(x-s)'W(x-s) by s",
    "quadratic forms",
    lambda xp, s, x, W: (x - s) @ W @ (x - s),
    {"s": normal(4), "x": normal(4), "W": normal(4, 4)},
    {
        "as derived": lambda xp, s, x, W: -(W + W.T) @ (x - s),
        "two products": lambda xp, s, x, W: W @ (s - x) + W.T @ (s - x),
    },
    [
        slip("the inner sign forgotten", "wrong sign", lambda xp, s, x, W: (W + W.T) @ (x - s)),
        slip("the formula for symmetric W", "right only for symmetric W", lambda xp, s, x, W: -2 * W @ (x - s)),
    ],
)
case(
    "b'X'DXc",
    "quadratic forms",
    lambda xp, X, D, b, c: b @ X.T @ D @ X @ c,
    {"X": normal(4, 3), "D": normal(4, 4), "b": normal(3), "c": normal(3)},
    lambda xp, X, D, b, c: D.T @ X @ xp.outer(b, c) + D @ X @ xp.outer(c, b),
    [slip("the second term missing", "term", lambda xp, X, D, b, c: D.T @ X @ xp.outer(b, c))],
)
case(
    "(Xb+c)'D(Xb+c)",
    "quadratic forms",
    lambda xp, X, D, b, c: (X @ b + c) @ D @ (X @ b + c),
    {"X": normal(4, 3), "D": normal(4, 4), "b": normal(3), "c": normal(4)},
    lambda xp, X, D, b, c: xp.outer((D + D.T) @ (X @ b + c), b),
    [
        slip(
            "the formula for symmetric D",
            "right only for symmetric D",
            lambda xp, X, D, b, c: 2 * xp.outer(D @ (X @ b + c), b),
        ),
        slip("c forgotten", "", lambda xp, X, D, b, c: xp.outer((D + D.T) @ (X @ b), b)),
    ],
)

# Nonlinear forms


def rayleigh_gradient(xp, x, A):
    return (A + A.T) @ x / (x @ x) - 2 * (x @ A @ x) * x / (x @ x) ** 2


case(
    "sin a'x",
    "nonlinear forms",
    lambda xp, x, a: xp.sin(a @ x),
    {"x": normal(4), "a": normal(4)},
    lambda xp, x, a: xp.cos(a @ x) * a,
    [slip("-cos for cos", "wrong sign", lambda xp, x, a: -xp.cos(a @ x) * a)],
)
case(
    "sum sin 100x",
    "nonlinear forms",
    lambda xp, x: xp.sum(xp.sin(100 * x)),
    {"x": normal(6)},
    lambda xp, x: 100 * xp.cos(100 * x),
    [slip("the inner derivative forgotten", "1/100|0.01", lambda xp, x: xp.cos(100 * x))],
    why="a high frequency, as in positional encodings",
)
case(
    "sum tanh (Ax+b)",
    "nonlinear forms",
    lambda xp, x, A, b: xp.sum(xp.tanh(A @ x + b)),
    {"x": normal(4), "A": normal(4, 4), "b": normal(4)},
    {
        "as derived": lambda xp, x, A, b: A.T @ (1 - xp.tanh(A @ x + b) ** 2),
        "by cosh": lambda xp, x, A, b: A.T @ (1 / xp.cosh(A @ x + b) ** 2),
    },
    [
        slip("1 - t for 1 - t^2", "", lambda xp, x, A, b: A.T @ (1 - xp.tanh(A @ x + b))),
        slip("A for A'", "", lambda xp, x, A, b: A @ (1 - xp.tanh(A @ x + b) ** 2)),
    ],
)
case(
    "log x'Ax",
    "nonlinear forms",
    lambda xp, x, A: xp.log(x @ A @ x),
    {"x": normal(5), "A": positive_definite(5)},
    {
        "as derived": lambda xp, x, A: (A + A.T) @ x / (x @ A @ x),
        "for symmetric A": lambda xp, x, A: 2 * A @ x / (x @ A @ x),
    },
    [slip("the factor 2 forgotten", "1/2|only the first of two terms", lambda xp, x, A: A @ x / (x @ A @ x))],
)
case(
    "Rayleigh quotient",
    "nonlinear forms",
    lambda xp, x, A: (x @ A @ x) / (x @ x),
    {"x": normal(5), "A": normal(5, 5)},
    {
        "as derived": (rayleigh_gradient),
        "by the quotient": lambda xp, x, A: ((A + A.T) @ x - 2 * (x @ A @ x) / (x @ x) * x) / (x @ x),
    },
    [slip("the denominator held fixed", "", lambda xp, x, A: (A + A.T) @ x / (x @ x))],
)
case(
    "Gaussian kernel",
    "nonlinear forms",
    lambda xp, x, s: xp.exp(-xp.sum((x - s) ** 2) / 2),
    {"x": normal(3), "s": normal(3)},
    {
        "as derived": lambda xp, x, s: -(x - s) * xp.exp(-xp.sum((x - s) ** 2) / 2),
        "s - x": lambda xp, x, s: (s - x) * xp.exp(-xp.sum((x - s) ** 2) / 2),
    },
    [NEGATED, slip("the inner derivative forgotten", "", lambda xp, x, s: x * 0 + xp.exp(-xp.sum((x - s) ** 2) / 2))],
)
case(
    "a saturated tanh",
    "nonlinear forms",
    lambda xp, x, A, y: xp.sum((y - xp.tanh(3 * A @ x)) ** 2),
    {"x": positive(4), "A": normal(3, 4), "y": normal(3)},
    lambda xp, x, A, y: -6 * A.T @ ((y - xp.tanh(3 * A @ x)) * (1 - xp.tanh(3 * A @ x) ** 2)),
    [],
    why="1 - t^2 loses most of its digits",
)

# Least squares


def squares(xp, r):
    return xp.sum(r * r)


case(
    "|Ax-b|^2 by x",
    "least squares",
    lambda xp, x, A, b: squares(xp, A @ x - b),
    {"x": normal(3), "A": normal(5, 3), "b": normal(5)},
    {
        "as derived": lambda xp, x, A, b: 2 * A.T @ (A @ x - b),
        "normal equations": lambda xp, x, A, b: 2 * (A.T @ A @ x - A.T @ b),
    },
    [HALVED, slip("b - Ax for Ax - b", "wrong sign", lambda xp, x, A, b: 2 * A.T @ (b - A @ x))],
)
case(
    "|Ax-b|^2 by A",
    "least squares",
    lambda xp, A, x, b: squares(xp, A @ x - b),
    {"A": normal(5, 3), "x": normal(3), "b": normal(5)},
    {
        "as derived": lambda xp, A, x, b: 2 * xp.outer(A @ x - b, x),
        "by broadcasting": lambda xp, A, x, b: 2 * (A @ x - b)[:, None] * x[None, :],
    },
    [HALVED],
)
case(
    "|AX-B|^2, 512 by 512",
    "least squares",
    lambda xp, X, A, B: squares(xp, A @ X - B),
    {"X": normal(512, 512), "A": normal(512, 512), "B": normal(512, 512)},
    lambda xp, X, A, B: 2 * A.T @ (A @ X - B),
    [percent(200, 8), slip("A for A'", "", lambda xp, X, A, B: 2 * A @ (A @ X - B))],
)
case(
    "ridge regression",
    "least squares",
    lambda xp, x, A, b: squares(xp, A @ x - b) + 0.1 * squares(xp, x),
    {"x": normal(4), "A": normal(8, 4), "b": normal(8)},
    {
        "as derived": lambda xp, x, A, b: 2 * A.T @ (A @ x - b) + 0.2 * x,
        "normal equations": lambda xp, x, A, b: 2 * (A.T @ A + 0.1 * xp.eye(4, x)) @ x - 2 * A.T @ b,
    },
    [
        slip("the penalty's 2 forgotten", "", lambda xp, x, A, b: 2 * A.T @ (A @ x - b) + 0.1 * x),
        slip("the penalty forgotten", "", lambda xp, x, A, b: 2 * A.T @ (A @ x - b)),
    ],
)
case(
    "mean squared error",
    "least squares",
    lambda xp, x, A, b: squares(xp, A @ x - b) / b.shape[0],
    {"x": normal(3), "A": normal(7, 3), "b": normal(7)},
    lambda xp, x, A, b: 2 * A.T @ (A @ x - b) / b.shape[0],
    [
        slip("not divided by n", "depends on the size", lambda xp, x, A, b: 2 * A.T @ (A @ x - b)),
        slip(
            "divided by the other dimension",
            "depends on the size|square shapes",
            lambda xp, x, A, b: 2 * A.T @ (A @ x - b) / x.shape[0],
        ),
        slip("divided by n - 1", "depends on the size", lambda xp, x, A, b: 2 * A.T @ (A @ x - b) / (b.shape[0] - 1)),
    ],
)
case(
    "weighted least squares",
    "least squares",
    lambda xp, x, A, b, W: (A @ x - b) @ W @ (A @ x - b),
    {"x": normal(3), "A": normal(6, 3), "b": normal(6), "W": normal(6, 6)},
    lambda xp, x, A, b, W: A.T @ ((W + W.T) @ (A @ x - b)),
    [
        slip(
            "the formula for symmetric W",
            "right only for symmetric W",
            lambda xp, x, A, b, W: 2 * A.T @ (W @ (A @ x - b)),
        )
    ],
)
case(
    "features not standardised",
    "least squares",
    lambda xp, x, A, b: squares(xp, A @ x - b),
    {"x": normal(5), "A": normal(64, 5, size=1000.0), "b": normal(64, size=1000.0)},
    lambda xp, x, A, b: 2 * A.T @ (A @ x - b),
    [percent(2)],
)
case(
    "a loss of 10,000",
    "least squares",
    lambda xp, x: squares(xp, x) + 1e4,
    {"x": normal(6)},
    lambda xp, x: 2 * x,
    [HALVED],
    why="a constant that is large beside the slope",
)
case(
    "logistic regression",
    "least squares",
    lambda xp, w, X, y: xp.sum(xp.log(1 + xp.exp(-y * (X @ w)))),
    {"w": normal(8), "X": normal(64, 8), "y": signs(64)},
    {
        "as derived": lambda xp, w, X, y: -X.T @ (y / (1 + xp.exp(y * (X @ w)))),
        "by sigmoids": lambda xp, w, X, y: X.T @ (y * (1 / (1 + xp.exp(-y * (X @ w))) - 1)),
    },
    [NEGATED, slip("the labels forgotten", "", lambda xp, w, X, y: -X.T @ (1 / (1 + xp.exp(y * (X @ w)))))],
)
case(
    "logistic regression, 512 features",
    "least squares",
    lambda xp, w, X, y: xp.sum(xp.log(1 + xp.exp(-y * (X @ w) / 20))),
    {"w": normal(512), "X": normal(64, 512), "y": signs(64)},
    lambda xp, w, X, y: -X.T @ (y / (1 + xp.exp(y * (X @ w) / 20))) / 20,
    [percent(77)],
)
case(
    "pseudo-Huber loss",
    "least squares",
    lambda xp, x, A, b: xp.sum(xp.sqrt(1 + (A @ x - b) ** 2)),
    {"x": normal(3), "A": normal(6, 3), "b": normal(6)},
    lambda xp, x, A, b: A.T @ ((A @ x - b) / xp.sqrt(1 + (A @ x - b) ** 2)),
    [slip("a factor 1/2 too many", "1/2", lambda xp, x, A, b: A.T @ ((A @ x - b) / xp.sqrt(1 + (A @ x - b) ** 2)) / 2)],
)

# Factorization

case(
    "|X-UV'|^2 by U",
    "factorization",
    lambda xp, U, V, X: squares(xp, X - U @ V.T),
    {"U": normal(6, 2), "V": normal(5, 2), "X": normal(6, 5)},
    lambda xp, U, V, X: -2 * (X - U @ V.T) @ V,
    [NEGATED, HALVED],
)
case(
    "|X-UV'|^2 by V",
    "factorization",
    lambda xp, V, U, X: squares(xp, X - U @ V.T),
    {"V": normal(5, 2), "U": normal(5, 2), "X": normal(5, 5)},
    lambda xp, V, U, X: -2 * (X - U @ V.T).T @ U,
    [slip("the residual not transposed", "", lambda xp, V, U, X: -2 * (X - U @ V.T) @ U)],
)
case(
    "|X-UV'|^2, 96 by 64",
    "factorization",
    lambda xp, U, V, X: squares(xp, X - U @ V.T),
    {"U": normal(96, 8), "V": normal(64, 8), "X": normal(96, 64)},
    {
        "as derived": lambda xp, U, V, X: -2 * (X - U @ V.T) @ V,
        "without the residual": lambda xp, U, V, X: 2 * (U @ (V.T @ V) - X @ V),
    },
    [percent(50, 3)],
)
case(
    "masked factorization",
    "factorization",
    lambda xp, U, V, X, M: squares(xp, M * (X - U @ V.T)),
    {"U": normal(6, 2), "V": normal(5, 2), "X": normal(6, 5), "M": mask(6, 5)},
    {
        "as derived": lambda xp, U, V, X, M: -2 * (M * (X - U @ V.T)) @ V,
        "the mask twice": lambda xp, U, V, X, M: 2 * (M * M * (U @ V.T - X)) @ V,
    },
    [slip("the mask forgotten", "", lambda xp, U, V, X, M: -2 * (X - U @ V.T) @ V)],
)
case(
    "factorization with a penalty",
    "factorization",
    lambda xp, U, V, X: squares(xp, X - U @ V.T) + 0.5 * squares(xp, U),
    {"U": normal(6, 2), "V": normal(5, 2), "X": normal(6, 5)},
    lambda xp, U, V, X: -2 * (X - U @ V.T) @ V + U,
    [slip("the penalty forgotten", "", lambda xp, U, V, X: -2 * (X - U @ V.T) @ V)],
)
case(
    "KL divergence of X and UV'",
    "factorization",
    lambda xp, U, V, X: xp.sum(U @ V.T - X * xp.log(U @ V.T)),
    {"U": positive(4, 2), "V": positive(5, 2), "X": positive(4, 5)},
    lambda xp, U, V, X: (1 - X / (U @ V.T)) @ V,
    [slip("the linear term forgotten", "", lambda xp, U, V, X: -(X / (U @ V.T)) @ V)],
)

# Norms

case(
    "|x|",
    "norms",
    lambda xp, x: xp.norm(x),
    {"x": normal(5)},
    {"as derived": lambda xp, x: x / xp.norm(x), "by a square root": lambda xp, x: x / xp.sqrt(x @ x)},
    [slip("the gradient of |x|^2", "", lambda xp, x: 2 * x), slip("not normalised", "", lambda xp, x: x)],
)
case(
    "|X|_F",
    "norms",
    lambda xp, X: xp.norm(X),
    {"X": normal(4, 6)},
    {"as derived": lambda xp, X: X / xp.norm(X), "by a trace": lambda xp, X: X / xp.sqrt(xp.trace(X.T @ X))},
    [slip("divided by the square", "", lambda xp, X: X / xp.norm(X) ** 2)],
)
case(
    "|x|^2 at 0",
    "norms",
    lambda xp, x: xp.norm(x) ** 2,
    {"x": fixed(np.zeros(3))},
    lambda xp, x: 2 * x,
    [],
    why="jax.grad gives NaN here; the derivative is 0",
)
case(
    "nuclear norm",
    "norms",
    lambda xp, X: xp.sum(xp.svdvals(X)),
    {"X": invertible(4)},
    {
        "by the svd": lambda xp, X: xp.svd(X, full_matrices=False)[0] @ xp.svd(X, full_matrices=False)[2],
        "by the polar factor": lambda xp, X: spectral(xp, X @ X.T, lambda w: 1 / xp.sqrt(w)) @ X,
    },
    [
        slip(
            "VU' for UV'",
            "transposed|X stands where X'",
            lambda xp, X: (xp.svd(X, full_matrices=False)[0] @ xp.svd(X, full_matrices=False)[2]).T,
        )
    ],
)
case(
    "spectral norm",
    "norms",
    lambda xp, X: xp.svdvals(X)[0],
    {"X": normal(5, 3)},
    lambda xp, X: xp.outer(xp.svd(X, full_matrices=False)[0][:, 0], xp.svd(X, full_matrices=False)[2][0]),
    [
        slip(
            "multiplied by the singular value",
            "",
            lambda xp, X: (
                xp.svdvals(X)[0]
                * xp.outer(xp.svd(X, full_matrices=False)[0][:, 0], xp.svd(X, full_matrices=False)[2][0])
            ),
        )
    ],
)
case(
    "sum |x|^3",
    "norms",
    lambda xp, x: xp.sum(xp.abs(x) ** 3),
    {"x": normal(7)},
    {"as derived": lambda xp, x: 3 * x * xp.abs(x), "by the sign": lambda xp, x: 3 * xp.sign(x) * x**2},
    [slip("the sign of x lost", "", lambda xp, x: 3 * x**2)],
)
case(
    "log |x|^2 of small x",
    "norms",
    lambda xp, x: xp.log(x @ x),
    {"x": normal(4, size=1e-4)},
    lambda xp, x: 2 * x / (x @ x),
    [HALVED],
    why="the operand is smaller than the step of some checks",
)

# Matrix functions


def square_jacobian(xp, X):
    I = xp.eye(X.shape[0], X)
    return xp.einsum("ik,lj->ijkl", I, X) + xp.einsum("ik,lj->ijkl", X, I)


def frechet(xp, X, A):
    """The gradient of tr A exp X: a corner of the exponential of a block matrix."""
    n, Z = X.shape[0], X.T
    block = xp.concatenate((xp.concatenate((Z, A.T), 1), xp.concatenate((0 * Z, Z), 1)), 0)
    return xp.expm(block)[:n, n:]


case(
    "tr exp X",
    "matrix functions",
    lambda xp, X: xp.trace(xp.expm(X)),
    {"X": normal(4, 4)},
    {"as derived": lambda xp, X: xp.expm(X).T, "transposed first": lambda xp, X: xp.expm(X.T)},
    [slip("not transposed", "transposed|X stands where X'", lambda xp, X: xp.expm(X))],
)
case(
    "tr A exp X",
    "matrix functions",
    lambda xp, X, A: xp.trace(A @ xp.expm(X)),
    {"X": normal(3, 3), "A": normal(3, 3)},
    frechet,
    [slip("as if A and X commuted", "", lambda xp, X, A: (A @ xp.expm(X)).T)],
)
case(
    "log det (I + XX')",
    "matrix functions",
    lambda xp, X: logdet(xp, xp.eye(4, X) + X @ X.T),
    {"X": normal(4, 3)},
    {
        "as derived": lambda xp, X: 2 * xp.solve(xp.eye(4, X) + X @ X.T, X),
        "pushed through": lambda xp, X: 2 * X @ xp.inv(xp.eye(3, X) + X.T @ X),
    },
    [HALVED],
)
case(
    "tr X^5",
    "matrix functions",
    lambda xp, X: xp.trace(xp.matrix_power(X, 5)),
    {"X": normal(4, 4)},
    lambda xp, X: 5 * xp.matrix_power(X, 4).T,
    [slip("one power too many", "", lambda xp, X: 5 * xp.matrix_power(X, 5).T), TRANSPOSED],
)
jacobian(
    "XX",
    "matrix functions",
    lambda xp, X: X @ X,
    {"X": normal(4, 4)},
    {
        "as derived": (square_jacobian),
        "by Kronecker": lambda xp, X: (xp.kron(X, xp.eye(4, X)) + xp.kron(xp.eye(4, X), X.T)).reshape(4, 4, 4, 4),
    },
    [
        slip("the second term missing", "", lambda xp, X: xp.einsum("ik,lj->ijkl", xp.eye(4, X), X)),
        slip("2X", "", lambda xp, X: 2 * xp.einsum("ik,lj->ijkl", xp.eye(4, X), X)),
    ],
)
jacobian(
    "XX, 32 by 32", "matrix functions", lambda xp, X: X @ X, {"X": normal(32, 32)}, square_jacobian, [NEGATED, HALVED]
)
jacobian(
    "X'X",
    "matrix functions",
    lambda xp, X: X.T @ X,
    {"X": normal(4, 3)},
    lambda xp, X: xp.einsum("il,kj->ijkl", xp.eye(3, X), X) + xp.einsum("jl,ki->ijkl", xp.eye(3, X), X),
    [slip("the second term missing", "", lambda xp, X: xp.einsum("il,kj->ijkl", xp.eye(3, X), X))],
)
jacobian(
    "AXB",
    "matrix functions",
    lambda xp, X, A, B: A @ X @ B,
    {"X": normal(3, 3), "A": normal(3, 3), "B": normal(3, 3)},
    {
        "as derived": lambda xp, X, A, B: xp.einsum("ik,lj->ijkl", A, B),
        "by Kronecker": lambda xp, X, A, B: xp.kron(A, B.T).reshape(3, 3, 3, 3),
    },
    [
        slip(
            "vec by rows for vec by columns",
            "axes are in the wrong order",
            lambda xp, X, A, B: xp.einsum("jl,ki->ijkl", A, B),
        ),
        slip("B' for B", "B stands where B'", lambda xp, X, A, B: xp.einsum("ik,jl->ijkl", A, B)),
    ],
)

# Structured matrices


def diagonals(n, like, xp):
    """T[k, i, j] = 1 where entry k of 2n - 1 stands in a Toeplitz matrix."""
    i, j = np.indices((n, n))
    return xp.like(np.stack([(i - j + n - 1 == k).astype(float) for k in range(2 * n - 1)]), like)


case(
    "a'diag(x)b",
    "structured",
    lambda xp, x, a, b: a @ xp.diag(x) @ b,
    {"x": normal(5), "a": normal(5), "b": normal(5)},
    lambda xp, x, a, b: a * b,
    [slip("the product for the elementwise one", "", lambda xp, x, a, b: a * (b @ b))],
)
case(
    "a Toeplitz matrix",
    "structured",
    lambda xp, t, A: xp.sum(A * xp.einsum("k,kij->ij", t, diagonals(4, t, xp))),
    {"t": normal(7), "A": normal(4, 4)},
    {
        "as derived": lambda xp, t, A: xp.einsum("kij,ij->k", diagonals(4, t, xp), A),
        "sums of diagonals": lambda xp, t, A: xp.stack([xp.sum(xp.diagonal(A, 3 - k)) for k in range(7)]),
    },
    [
        slip(
            "a corner dropped",
            r"one entry is wrong: \[0\]",
            lambda xp, t, A: xp.einsum("kij,ij->k", diagonals(4, t, xp), A) * xp.like([0, 1, 1, 1, 1, 1, 1], t),
        ),
        slip(
            "a mean for a sum",
            "",
            lambda xp, t, A: xp.einsum("kij,ij->k", diagonals(4, t, xp), A) / xp.like([1, 2, 3, 4, 3, 2, 1], t),
        ),
    ],
)
case(
    "|LL'-S|^2",
    "structured",
    lambda xp, L, S: squares(xp, L @ L.T - S),
    {"L": normal(4, 4), "S": symmetric(4)},
    lambda xp, L, S: 4 * (L @ L.T - S) @ L,
    [HALVED],
)
case(
    "a trace with a zero diagonal",
    "structured",
    lambda xp, X, A: xp.sum(A * (X - xp.diag(xp.diagonal(X)))),
    {"X": normal(5, 5), "A": normal(5, 5)},
    lambda xp, X, A: A - xp.diag(xp.diagonal(A)),
    [slip("the diagonal kept", "only the diagonal is wrong", lambda xp, X, A: A)],
)
case(
    "sum of a Kronecker product",
    "structured",
    lambda xp, X, A, C: xp.sum(C * xp.kron(A, X)),
    {"X": normal(2, 3), "A": normal(3, 2), "C": normal(6, 6)},
    lambda xp, X, A, C: xp.einsum("ikjl,ij->kl", C.reshape(3, 2, 2, 3), A),
    [
        slip(
            "the trace of the other product", "", lambda xp, X, A, C: xp.einsum("kilj,ij->kl", C.reshape(2, 3, 3, 2), A)
        )
    ],
)

# Elementwise functions

case(
    "entropy",
    "functions",
    lambda xp, p: -xp.sum(p * xp.log(p)),
    {"p": simplex(5)},
    {"as derived": lambda xp, p: -xp.log(p) - 1, "factored": lambda xp, p: -(xp.log(p) + 1)},
    [slip("the product rule forgotten", "", lambda xp, p: -xp.log(p))],
)
case(
    "cross-entropy with a rare class",
    "functions",
    lambda xp, p, y: -xp.sum(y * xp.log(p)),
    {"p": fixed([1e-4, 0.2, 0.3, 0.4999]), "y": fixed([0.25, 0.25, 0.25, 0.25])},
    lambda xp, p, y: -y / p,
    [NEGATED],
    why="a probability as small as the step of some checks",
)
case(
    "sin x / x at 0",
    "functions",
    lambda xp, x: xp.sum(xp.where(x == 0, 1.0, xp.sin(x) / x)),
    {"x": fixed([0.0, 1.0, 2.0])},
    lambda xp, x: (x * xp.cos(x) - xp.sin(x)) / xp.where(x == 0, xp.ones_like(x), x * x),
    [
        slip(
            "the quotient rule forgotten",
            "",
            lambda xp, x: xp.cos(x) / xp.where(x == 0, xp.ones_like(x), x) - (x == 0) * 1.0,
        )
    ],
    why="jax.grad gives NaN at 0; the derivative there is 0",
)
jacobian(
    "sigmoid",
    "functions",
    lambda xp, x: 1 / (1 + xp.exp(-x)),
    {"x": normal(5)},
    {
        "as derived": lambda xp, x: xp.diag(1 / (1 + xp.exp(-x)) * (1 - 1 / (1 + xp.exp(-x)))),
        "by cosh": lambda xp, x: xp.diag(1 / (2 + xp.exp(x) + xp.exp(-x))),
    },
    [
        slip(
            "s(1+s) for s(1-s)",
            "only the diagonal is wrong",
            lambda xp, x: xp.diag(1 / (1 + xp.exp(-x)) * (1 + 1 / (1 + xp.exp(-x)))),
        )
    ],
)
case(
    "sum x sigmoid(x)",
    "functions",
    lambda xp, x: xp.sum(x / (1 + xp.exp(-x))),
    {"x": normal(16)},
    lambda xp, x: 1 / (1 + xp.exp(-x)) + x * xp.exp(-x) / (1 + xp.exp(-x)) ** 2,
    [slip("the product rule forgotten", "", lambda xp, x: 1 / (1 + xp.exp(-x)))],
)

# Networks


def softmax(xp, x):
    e = xp.exp(x - xp.amax(x))
    return e / xp.sum(e)


def softmax_rows(xp, Z):
    E = xp.exp(Z - xp.amax(Z, axis=1, keepdims=True))
    return E / xp.sum(E, axis=1, keepdims=True)


def softmax_jacobian(xp, x):
    p = softmax(xp, x)
    return xp.diag(p) - xp.outer(p, p)


def logsumexp(xp, x):
    return xp.log(xp.sum(xp.exp(x - xp.amax(x)))) + xp.amax(x)


def normalised(xp, x):
    return (x - xp.mean(x)) / xp.sqrt(xp.mean((x - xp.mean(x)) ** 2))


def normalised_jacobian(xp, x):
    n, y = x.shape[0], normalised(xp, x)
    return (xp.eye(n, x) - 1 / n - xp.outer(y, y) / n) / xp.sqrt(xp.mean((x - xp.mean(x)) ** 2))


def network(xp, W, V, x, b, y):
    return squares(xp, V @ xp.tanh(W @ x + b) - y) / 2


def network_gradient(xp, W, V, x, b, y):
    t = xp.tanh(W @ x + b)
    return xp.outer((V.T @ (V @ t - y)) * (1 - t * t), x)


def attention(xp, Q, K, V, C):
    return xp.sum(C * (softmax_rows(xp, Q @ K.T / Q.shape[1] ** 0.5) @ V))


def attention_gradient(xp, Q, K, V, C):
    P = softmax_rows(xp, Q @ K.T / Q.shape[1] ** 0.5)
    D = C @ V.T
    return (P * (D - xp.sum(P * D, axis=1, keepdims=True))) @ K / Q.shape[1] ** 0.5


def attention_slip(xp, Q, K, V, C):
    P = softmax_rows(xp, Q @ K.T / Q.shape[1] ** 0.5)
    return (P * (1 - P) * (C @ V.T)) @ K / Q.shape[1] ** 0.5


jacobian(
    "softmax",
    "networks",
    softmax,
    {"x": normal(5)},
    {
        "as derived": softmax_jacobian,
        "factored": lambda xp, x: softmax(xp, x)[:, None] * (xp.eye(5, x) - softmax(xp, x)[None, :]),
    },
    [
        slip("the second term missing", "", lambda xp, x: xp.diag(softmax(xp, x))),
        slip(
            "as if elementwise",
            "only the diagonal is right",
            lambda xp, x: xp.diag(softmax(xp, x) * (1 - softmax(xp, x))),
        ),
        slip("a sign", "", lambda xp, x: xp.diag(softmax(xp, x)) + xp.outer(softmax(xp, x), softmax(xp, x))),
    ],
)
jacobian("softmax, n = 32", "networks", softmax, {"x": normal(32)}, softmax_jacobian, [NEGATED])
jacobian("softmax, n = 512", "networks", softmax, {"x": normal(512)}, softmax_jacobian, [NEGATED])
jacobian("softmax, n = 1", "networks", softmax, {"x": normal(1)}, softmax_jacobian, why="the Jacobian is zero")
case(
    "logsumexp, n = 512",
    "networks",
    logsumexp,
    {"x": normal(512)},
    softmax,
    [slip("divided by the mean", "depends on the size", lambda xp, x: xp.exp(x) / xp.mean(xp.exp(x)))],
)
case(
    "softmax regression by W",
    "networks",
    lambda xp, W, x, y: logsumexp(xp, W @ x) - y @ W @ x,
    {"W": normal(4, 6), "x": normal(6), "y": simplex(4)},
    {
        "as derived": lambda xp, W, x, y: xp.outer(softmax(xp, W @ x) - y, x),
        "two terms": lambda xp, W, x, y: xp.outer(softmax(xp, W @ x), x) - xp.outer(y, x),
    },
    [NEGATED, slip("the labels forgotten", "", lambda xp, W, x, y: xp.outer(softmax(xp, W @ x), x))],
)
case(
    "mean cross-entropy of a batch",
    "networks",
    lambda xp, W, X, Y: -xp.sum(Y * xp.log(softmax_rows(xp, X @ W))) / X.shape[0],
    {"W": normal(5, 3), "X": normal(8, 5), "Y": one_hot(8, 3)},
    lambda xp, W, X, Y: X.T @ (softmax_rows(xp, X @ W) - Y) / X.shape[0],
    [
        slip(
            "not divided by the batch", "depends on the size", lambda xp, W, X, Y: X.T @ (softmax_rows(xp, X @ W) - Y)
        ),
        NEGATED,
    ],
)
case(
    "a network by its first layer",
    "networks",
    network,
    {"W": normal(4, 3), "V": normal(2, 4), "x": normal(3), "b": normal(4), "y": normal(2)},
    {
        "as derived": (network_gradient),
        "by einsum": lambda xp, W, V, x, b, y: xp.einsum(
            "ki,k,i,j->ij", V, V @ xp.tanh(W @ x + b) - y, 1 / xp.cosh(W @ x + b) ** 2, x
        ),
    },
    [
        slip(
            "the activation's derivative forgotten",
            "",
            lambda xp, W, V, x, b, y: xp.outer(V.T @ (V @ xp.tanh(W @ x + b) - y), x),
        ),
        slip(
            "the derivative taken at the input",
            "",
            lambda xp, W, V, x, b, y: xp.outer((V.T @ (V @ xp.tanh(W @ x + b) - y)) * (1 - xp.tanh(W @ x) ** 2), x),
        ),
    ],
)
case(
    "a network, 128 wide",
    "networks",
    network,
    {
        "W": normal(128, 64, size=0.1),
        "V": normal(10, 128, size=0.1),
        "x": normal(64),
        "b": normal(128),
        "y": normal(10),
    },
    network_gradient,
    [percent(5, 9)],
)
jacobian(
    "layer normalisation",
    "networks",
    normalised,
    {"x": normal(6)},
    normalised_jacobian,
    [
        slip(
            "the deviation held fixed",
            "",
            lambda xp, x: (xp.eye(6, x) - 1 / 6) / xp.sqrt(xp.mean((x - xp.mean(x)) ** 2)),
        )
    ],
)
case(
    "attention by the queries",
    "networks",
    attention,
    {"Q": normal(4, 8), "K": normal(5, 8), "V": normal(5, 3), "C": normal(4, 3)},
    attention_gradient,
    [
        slip(
            "the factor 1/sqrt d forgotten",
            "factor",
            lambda xp, Q, K, V, C: attention_gradient(xp, Q, K, V, C) * Q.shape[1] ** 0.5,
        ),
        slip("the softmax as if elementwise", "", attention_slip),
    ],
)
case(
    "attention, 32 tokens of 16",
    "networks",
    attention,
    {"Q": normal(32, 16), "K": normal(32, 16), "V": normal(32, 16), "C": normal(32, 16)},
    attention_gradient,
    [NEGATED],
)

# Complex operands

case(
    "Re z^H Az",
    "complex",
    lambda xp, z, A: xp.real(xp.conj(z) @ A @ z),
    {"z": complex_normal(4), "A": complex_normal(4, 4)},
    lambda xp, z, A: (A + xp.conj(A).T) @ z,
    [
        CONJUGATED,
        slip("T for H", "", lambda xp, z, A: (A + A.T) @ z),
        slip("the formula for Hermitian A", "", lambda xp, z, A: 2 * A @ z),
    ],
)
case(
    "|Az-b|^2",
    "complex",
    lambda xp, z, A, b: xp.sum(xp.abs(A @ z - b) ** 2),
    {"z": complex_normal(3), "A": complex_normal(5, 3), "b": complex_normal(5)},
    {
        "as derived": lambda xp, z, A, b: 2 * xp.conj(A).T @ (A @ z - b),
        "normal equations": lambda xp, z, A, b: 2 * (xp.conj(A).T @ A @ z - xp.conj(A).T @ b),
    },
    [HALF_CONVENTION, CONJUGATED, slip("T for H", "", lambda xp, z, A, b: 2 * A.T @ (A @ z - b))],
)
case(
    "log |det Z|",
    "complex",
    logdet,
    {"Z": complex_invertible(4)},
    {
        "as derived": lambda xp, Z: xp.conj(xp.inv(Z)).T,
        "by a solve": lambda xp, Z: xp.solve(xp.conj(Z).T, xp.eye(4, Z)),
    },
    [
        slip("T for H", "conjugated", lambda xp, Z: xp.inv(Z).T),
        slip("not transposed", "transposed", lambda xp, Z: xp.conj(xp.inv(Z))),
    ],
)
case(
    "sum |z|",
    "complex",
    lambda xp, z: xp.sum(xp.abs(z)),
    {"z": complex_normal(6)},
    lambda xp, z: z / xp.abs(z),
    [CONJUGATED],
)
case(
    "|Z|^2, 64 by 64",
    "complex",
    lambda xp, Z, A: xp.sum(xp.abs(A @ Z) ** 2),
    {"Z": complex_normal(64, 64), "A": complex_normal(64, 64)},
    lambda xp, Z, A: 2 * xp.conj(A).T @ A @ Z,
    [slip("T for H", "", lambda xp, Z, A: 2 * A.T @ A @ Z)],
)
jacobian(
    "ZZ",
    "complex",
    lambda xp, Z: Z @ Z,
    {"Z": complex_normal(3, 3)},
    square_jacobian,
    [CONJUGATED, slip("the second term missing", "", lambda xp, Z: xp.einsum("ik,lj->ijkl", xp.eye(3, Z), Z))],
)
jacobian("Z^-1", "complex", lambda xp, Z: xp.inv(Z), {"Z": complex_invertible(3)}, inverse_jacobian, [NEGATED])
vjp_rule(
    "a custom_vjp of sum |z|^2",
    "complex",
    lambda xp, z: xp.sum(xp.abs(z) ** 2),
    {"z": complex_normal(4)},
    lambda xp, g, z: 2 * g * z,
    [slip("conjugated", "conjugated", lambda xp, g, z: 2 * g * xp.conj(z))],
)

# Custom rules

jvp_rule(
    "a custom_jvp of x^3",
    "rules",
    lambda xp, x: x**3,
    {"x": normal(4)},
    lambda xp, dx, x: 3 * x**2 * dx,
    [slip("the power for the factor", "2/3", lambda xp, dx, x: 2 * x**2 * dx)],
)
jvp_rule(
    "a custom_jvp of logsumexp",
    "rules",
    logsumexp,
    {"x": normal(6)},
    {
        "as derived": lambda xp, dx, x: softmax(xp, x) @ dx,
        "as a sum": lambda xp, dx, x: xp.sum(xp.exp(x - logsumexp(xp, x)) * dx),
    },
    [slip("not normalised", "", lambda xp, dx, x: xp.exp(x) @ dx)],
)
jvp_rule(
    "a custom_jvp of softmax",
    "rules",
    softmax,
    {"x": normal(5)},
    lambda xp, dx, x: softmax(xp, x) * (dx - softmax(xp, x) @ dx),
    [
        slip(
            "as if elementwise",
            "only the diagonal is right",
            lambda xp, dx, x: softmax(xp, x) * (1 - softmax(xp, x)) * dx,
        )
    ],
)
jvp_rule(
    "a custom_jvp of X^-1",
    "rules",
    lambda xp, X: xp.inv(X),
    {"X": invertible(4)},
    lambda xp, dX, X: -xp.inv(X) @ dX @ xp.inv(X),
    [
        slip("the sign forgotten", "wrong sign", lambda xp, dX, X: xp.inv(X) @ dX @ xp.inv(X)),
        slip("as if matrices commuted", "", lambda xp, dX, X: -xp.inv(X) @ xp.inv(X) @ dX),
    ],
)
vjp_rule(
    "a custom_vjp of log |det X|",
    "rules",
    logdet,
    {"X": invertible(5)},
    {"as derived": lambda xp, g, X: g * xp.inv(X).T, "by a solve": lambda xp, g, X: g * xp.solve(X.T, xp.eye(5, X))},
    [
        slip("inverse for inverse transpose", "transposed|X stands where X'", lambda xp, g, X: g * xp.inv(X)),
        slip("the cotangent ignored", "cotangent", lambda xp, g, X: xp.inv(X).T, gradient_is_right=True),
    ],
)
vjp_rule(
    "a custom_vjp of A^-1 b",
    "rules",
    lambda xp, b, A: xp.solve(A, b),
    {"b": normal(4), "A": invertible(4)},
    {"as derived": lambda xp, g, b, A: xp.solve(A.T, g), "by the inverse": lambda xp, g, b, A: xp.inv(A).T @ g},
    [slip("A^-1 g for A^-T g", "transposed", lambda xp, g, b, A: xp.solve(A, g))],
)
vjp_rule(
    "a custom_vjp of XX",
    "rules",
    lambda xp, X: X @ X,
    {"X": normal(4, 4)},
    {
        "as derived": lambda xp, g, X: g @ X.T + X.T @ g,
        "by einsum": lambda xp, g, X: xp.einsum("ij,kj->ik", g, X) + xp.einsum("ji,jk->ik", X, g),
    },
    [
        slip("X for X'", "", lambda xp, g, X: g @ X + X @ g),
        slip("the second term missing", "", lambda xp, g, X: g @ X.T),
    ],
)
vjp_rule(
    "a custom_vjp of XX, 32 by 32",
    "rules",
    lambda xp, X: X @ X,
    {"X": normal(32, 32)},
    lambda xp, g, X: g @ X.T + X.T @ g,
    [NEGATED],
)
vjp_rule(
    "a custom_vjp of x/|x|",
    "rules",
    lambda xp, x: x / xp.norm(x),
    {"x": normal(5)},
    lambda xp, g, x: (g - x * (x @ g) / (x @ x)) / xp.norm(x),
    [slip("the projection forgotten", "", lambda xp, g, x: g / xp.norm(x))],
)
vjp_rule(
    "a custom_vjp of relu(x)^2",
    "rules",
    lambda xp, x: xp.where(x > 0, x, 0 * x) ** 2,
    {"x": normal(8)},
    lambda xp, g, x: 2 * g * xp.where(x > 0, x, 0 * x),
    [slip("the straight-through estimate", "only the diagonal is wrong", lambda xp, g, x: g)],
)
