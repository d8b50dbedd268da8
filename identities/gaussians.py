r"""The Gaussian distribution: the log likelihood of a sample by its data, its mean and its covariance.

The rows of X are the n observations.  The covariance is symmetric, and the gradient by it is the one that pays
no heed to that (`docs/symmetric.md` says what else it could be); it is symmetric of itself.  Every closed form
starts from the same Cholesky factor L of the covariance and the same whitened residuals Z = L^-1 (X - 1m')',
so that any number of them cost one factorisation when they are compiled together.
"""

import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Float

from identities.engine.identity import identity
from identities.engine.operands import PosDef, Scalar


def _whitened(X, m, S):
    """The Cholesky factor of S, and the residuals that it whitens, one in each column."""
    L = jnp.linalg.cholesky(S)
    return L, solve_triangular(L, (X - m[None, :]).T, lower=True)


def _back(L, B):
    """L^-T B."""
    return solve_triangular(L, B, lower=True, trans=1)


# A sample of independent observations


@identity("Log likelihood of a Gaussian sample")
def gauss_loglik(X: Float[Array, "n d"], m: Float[Array, "d"], S: PosDef[Array, "d d"]) -> Scalar:
    r"""\ln \prod_{i=1}^n \frac{1}{\sqrt{\det(2\pi S)}}
    \exp\left[-\tfrac{1}{2}(X^\top e_i - m)^\top S^{-1} (X^\top e_i - m)\right]"""
    R = X - m[None, :]
    return -(len(X) / 2) * jnp.log(jnp.linalg.det(2 * jnp.pi * S)) - jnp.sum((R @ jnp.linalg.inv(S)) * R) / 2


@gauss_loglik.value("ours", computed=True)
def gauss_loglik_is_cholesky(X, m, S):
    r"""-n \sum_j \ln\left(\sqrt{2\pi}\,L_{jj}\right) - \tfrac{1}{2}\|Z\|_F^2,
    \quad S = LL^\top,\; Z = L^{-1}(X - \mathbf{1}m^\top)^\top"""
    L, Z = _whitened(X, m, S)
    return -len(X) * jnp.sum(jnp.log((2 * jnp.pi) ** 0.5 * jnp.diagonal(L))) - jnp.sum(Z**2) / 2


@gauss_loglik.gradient("m", "ours")
def gauss_loglik_dm(X, m, S):
    r"S^{-1}\sum_{i=1}^n (X^\top e_i - m)"
    L, Z = _whitened(X, m, S)
    return _back(L, jnp.sum(Z, 1))


@gauss_loglik.gradient("S", "ours")
def gauss_loglik_dS(X, m, S):
    r"\tfrac{1}{2}\left(S^{-1} R^\top R S^{-1} - n\,S^{-1}\right), \quad R = X - \mathbf{1}m^\top"
    L, Z = _whitened(X, m, S)
    # between the two solves stands what is left of the scatter once it is whitened: nothing is inverted
    middle = (Z @ Z.T - len(X) * jnp.eye(len(m), dtype=S.dtype)) / 2
    return _back(L, _back(L, middle).T)


@gauss_loglik.gradient("X", "ours")
def gauss_loglik_dX(X, m, S):
    r"-(X - \mathbf{1}m^\top) S^{-1}"
    L, Z = _whitened(X, m, S)
    return -_back(L, Z).T


@gauss_loglik.hessian("m", "ours")
def gauss_loglik_d2m(X, m, S):
    r"-n\,S^{-1}"
    return -len(X) * cho_solve((jnp.linalg.cholesky(S), True), jnp.eye(len(m), dtype=S.dtype))
