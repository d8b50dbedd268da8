r"""What several closed forms share: a few pure functions.  Nothing in this module is an entry of the book."""

import jax
import jax.numpy as jnp
import jax.scipy.linalg
from jaxtyping import Array, Float

__all__ = ["power_derivative", "ridge_cholesky", "weighted_grams"]


def power_derivative(X: Float[Array, "n n"], D: Float[Array, "n n"], k: int) -> Float[Array, "n n"]:
    r"""The derivative of X^k along D, \sum_{r=0}^{k-1} X^r D X^{k-1-r}, for k of at least 1."""
    # The sum S_k grows as a power does, by the binary digits of k:
    # S_2j = S_j X^j + X^j S_j, and S_(2j+1) = S_j X X^j + X^j S_(j+1) with S_(j+1) = S_j X + X^j D.
    power, total = X, D
    for digit in bin(k)[3:]:
        if digit == "0":
            power, total = power @ power, total @ power + power @ total
        else:
            right = total @ X
            power, total = power @ (power @ X), right @ power + power @ (right + power @ D)
    return total


def weighted_grams(weights: Float[Array, "i b"], V: Float[Array, "k b"]) -> Float[Array, "i k k"]:
    r"""For each row w of the weights the k x k matrix V \operatorname{diag}(w) V^\top."""
    pairs = V[:, None, :] * V[None, :, :]
    # one plain matrix product over all pairs of rows of V, rather than a batch of small ones
    return jnp.tensordot(weights, pairs, axes=(1, 2))


def ridge_cholesky(X: Float[Array, "n p"], l: Float[Array, ""]) -> tuple[Array, bool]:
    """The Cholesky factor of X'X + l I, for `jax.scipy.linalg.cho_solve`."""
    return jax.scipy.linalg.cho_factor(X.T @ X + l * jnp.eye(X.shape[1], dtype=X.dtype))
