"""Expectations over laws with finitely many atoms, so that E, Var and Cov are sums and agree to rounding.

Letters that are random together have one joint law: a few atoms, with weights from the simplex.  Coordinates that
are `independent` have a product law; those that are `alike` have, besides, the same law about their means.  A
`gaussian` letter stands on the grid of the Gauss-Hermite rule with three nodes a coordinate, moved by m and by a root
of S: a polynomial of degree 5 or less has the expectation that it has under N(m, S).  Two laws are independent.

An environment holds the atoms of x under `random.x`, on a leading axis, and the weights under `random`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from identities.statements.environment import Array, Env, lead, must_fit
from identities.statements.numbers import T, Unusable

Run = Callable[[Env], Array]
ATOMS = 6  # of a joint law
NODES = 3  # of a coordinate
Law = tuple[Array, dict[str, Array]]  # weights; atoms, each with the axis of the weights before its own


def drawn(
    laws: Mapping[str, tuple[str, ...]],
    shapes: Mapping[str, tuple[int, ...]],
    parameters: Mapping[str, tuple[Array, Array]],
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Weights and atoms of the letters of `laws`; `parameters` are the mean and the covariance of the Gaussian ones."""
    together = [name for name, words in laws.items() if not words]
    found: list[Law] = []
    if together:
        weights = rng.dirichlet(np.full(ATOMS, 3.0))
        found.append((weights, {name: rng.standard_normal((ATOMS, *shapes[name])) + 0.5 for name in together}))
    for name, words in laws.items():
        if words:
            shape = shapes[name]
            count = int(np.prod(shape, initial=1))
            must_fit((NODES**count, count))
            if words[0] == "gaussian":
                weights, atoms = _gaussian(count, *parameters[name])
            else:
                weights, atoms = _independent(count, words[0] == "alike", rng)
            found.append((weights, {name: atoms.reshape(-1, *shape)}))
    weights, atoms_of = found[0]
    for more, others in found[1:]:
        first, second = len(weights), len(more)
        must_fit((first, second))
        atoms_of = {name: np.repeat(atoms, second, axis=0) for name, atoms in atoms_of.items()}
        atoms_of |= {name: np.tile(atoms, (first,) + (1,) * (atoms.ndim - 1)) for name, atoms in others.items()}
        weights = np.outer(weights, more).ravel()
    return {"random": weights, **{f"random.{name}": atoms for name, atoms in atoms_of.items()}}


def _grid(each: Sequence[Array]) -> Array:
    """All combinations of one number from each."""
    return np.array(list(itertools.product(*each)))


def _independent(count: int, alike: bool, rng: np.random.Generator) -> tuple[Array, Array]:
    points = rng.standard_normal((count, NODES))
    chances = rng.dirichlet(np.full(NODES, 3.0), size=count)
    if alike:
        points[:], chances[:] = points[0], chances[0]
        points = points - (points * chances).sum(1, keepdims=True) + rng.standard_normal((count, 1))
    return _grid(list(chances)).prod(1), _grid(list(points))


def _gaussian(count: int, mean: Array, covariance: Array) -> tuple[Array, Array]:
    nodes, chances = np.polynomial.hermite_e.hermegauss(NODES)
    try:
        root = np.linalg.cholesky(covariance.reshape(count, count))
    except np.linalg.LinAlgError:
        raise Unusable("a covariance is not positive definite") from None
    points = _grid([nodes] * count) @ root.T + mean.reshape(count)
    return _grid([chances / chances.sum()] * count).prod(1), points


def spread(env: Env, letters: Sequence[str]) -> Env:
    """The environment in which each random letter runs over its atoms, on one more leading axis."""
    values = {}
    for name in letters:
        atoms = env.values[f"random.{name}"]
        values[name] = atoms.reshape((len(atoms),) + (1,) * env.depth + atoms.shape[1:])
    return env.replacing(values, deeper=1)


def mean(run: Run, rank: int, letters: Sequence[str]) -> Run:
    """E of a value with `rank` axes."""

    def averaged(env: Env) -> Array:
        value = lead(run(spread(env, letters)), rank, env.depth + 1)
        weights = env.values["random"]
        value = np.broadcast_to(value, (len(weights), *value.shape[1:]))
        return np.tensordot(weights, value, axes=(0, 0))

    return averaged


def covariance(first: tuple[Run, int], second: tuple[Run, int], letters: Sequence[str]) -> Run:
    """E[(a - Ea)(b - Eb)'] of two numbers or of two columns; a number's rank is 0, a column's 2."""
    (a, rank_a), (b, rank_b) = first, second
    mean_a, mean_b = mean(a, rank_a, letters), mean(b, rank_b, letters)
    rank = max(rank_a, rank_b)

    def product(env: Env) -> Array:
        x, y = lead(a(env), rank_a, env.depth), lead(b(env), rank_b, env.depth)
        x, y = x - mean_a(env), y - mean_b(env)
        return x @ T(y) if rank else x * y

    return mean(product, rank, letters)
