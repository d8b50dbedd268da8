r"""Norms of vectors and matrices: the Euclidean and the Frobenius norm, their squares, and the unit vector.

A norm has a kink where its argument is zero: there the derivatives of this chapter do not exist, and
autodiff answers NaN.  The squares are smooth everywhere; write `x @ x`, not `norm(x)**2`, where zero
can occur.

For a complex X the gradient of $\|X\|_F^2$ is $2\,\partial f/\partial X^* = 2X$, the direction of steepest ascent; the
derivative $\partial f/\partial X$ with $X^*$ held fixed is $X^*$.  For a real X there is one gradient, $2X$.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import Complex, Nonzero, Scalar

# 2.6.1 Two-norm


@identity("Euclidean norm of a vector")
def norm_vec(v: Nonzero[Array, "n"]) -> Scalar:
    r"\|v\|_2"
    return jnp.sqrt(jnp.sum(v**2))


@norm_vec.gradient("v", "MVC G11")
def norm_vec_dv(v):
    r"\frac{v}{\|v\|_2}"
    return v / jnp.linalg.norm(v)


@norm_vec.hessian("v", "ours")
def norm_vec_d2v(v):
    r"\frac{1}{\|v\|_2}\left(I - \frac{v v^\top}{v^\top v}\right)"
    size = jnp.linalg.norm(v)
    u = v / size
    return (jnp.eye(v.shape[0], dtype=v.dtype) - jnp.outer(u, u)) / size


@norm_vec.differential("v", "ours")
def norm_vec_along_dv(v, dv):
    r"\frac{v^\top \mathrm{d}v}{\|v\|_2}"
    return v @ dv / jnp.linalg.norm(v)


@identity("Squared Euclidean norm of a vector")
def normsq_vec(v: Float[Array, "n"]) -> Scalar:
    r"\|v\|_2^2"
    return jnp.sum(v**2)


@normsq_vec.gradient("v", "MCB 131", "MVC G11 squared")
def normsq_vec_dv(v):
    r"2v"
    return 2 * v


@normsq_vec.hessian("v", "ours")
def normsq_vec_d2v(v):
    r"2I"
    return 2 * jnp.eye(v.shape[0], dtype=v.dtype)


@normsq_vec.value("MCB 131")
def normsq_vec_is_product(v):
    r"v^\top v"
    return v @ v


@normsq_vec.value("MCB 131")
def normsq_vec_is_norm(v):
    r"\|v^\top v\|_2"
    # the norm of a number is its absolute value
    return jnp.abs(v @ v)


@identity("Euclidean distance")
def norm_distance(x: Float[Array, "n"], a: Float[Array, "n"]) -> Scalar:
    r"\|x - a\|_2"
    return jnp.linalg.norm(x - a)


@norm_distance.gradient("x", "MCB 129")
def norm_distance_dx(x, a):
    r"\frac{x - a}{\|x - a\|_2}"
    r = x - a
    return r / jnp.linalg.norm(r)


@norm_distance.gradient("a", "ours")
def norm_distance_da(x, a):
    r"\frac{a - x}{\|x - a\|_2}"
    r = a - x
    return r / jnp.linalg.norm(r)


@identity("Unit vector")
def unit_vector(v: Nonzero[Array, "n"]) -> Float[Array, "n"]:
    r"\frac{v}{\|v\|_2}"
    return v / jnp.linalg.norm(v)


@unit_vector.jacobian("v", "ours")
def unit_vector_dv(v):
    r"\frac{1}{\|v\|_2}\left(I - \frac{v v^\top}{v^\top v}\right)"
    size = jnp.linalg.norm(v)
    u = v / size
    return (jnp.eye(v.shape[0], dtype=v.dtype) - jnp.outer(u, u)) / size


@unit_vector.differential("v", "ours")
def unit_vector_along_dv(v, dv):
    r"\frac{\mathrm{d}v - u\,u^\top \mathrm{d}v}{\|v\|_2}, \quad u = \frac{v}{\|v\|_2}"
    size = jnp.linalg.norm(v)
    u = v / size
    return (dv - u * (u @ dv)) / size


@identity("Direction from one point to another")
def unit_difference(x: Float[Array, "n"], a: Float[Array, "n"]) -> Float[Array, "n"]:
    r"\frac{x - a}{\|x - a\|_2}"
    return (x - a) / jnp.linalg.norm(x - a)


@unit_difference.jacobian("x", printed("MCB 130", r"\frac{I}{\|x - a\|_2} - \frac{(x - a)(x - a)^\top}{\|x - a\|_2^3}"))
def unit_difference_dx(x, a):
    r"\frac{I - u u^\top}{\|x - a\|_2}, \quad u = \frac{x - a}{\|x - a\|_2}"
    r = x - a
    size = jnp.linalg.norm(r)
    u = r / size
    return (jnp.eye(x.shape[0], dtype=x.dtype) - jnp.outer(u, u)) / size


# 2.7.1 Frobenius norm


@identity("Squared Frobenius norm, whose gradient by a complex X is 2 df/dX*")
def normsq_frobenius(X: Complex[Array, "m n"]) -> Scalar:
    r"\|X\|_F^2"
    return jnp.sum(X.real**2 + X.imag**2)


@normsq_frobenius.gradient("X", "MCB 132")
def normsq_frobenius_dX(X):
    r"2X"
    return 2 * X


@normsq_frobenius.value("MCB 132")
def normsq_frobenius_is_trace(X):
    r"\operatorname{tr}(X X^H)"
    return jnp.trace(X @ X.conj().T).real


@normsq_frobenius.jacobian("X", "ours", wirtinger="z")
def normsq_frobenius_dX_wirtinger(X):
    r"X^*"
    return X.conj()


@normsq_frobenius.jacobian("X", "ours", wirtinger="z*")
def normsq_frobenius_dX_conj(X):
    r"X"
    return X


@identity("Squared Frobenius norm of a real matrix")
def normsq_real(X: Float[Array, "m n"]) -> Scalar:
    r"\|X\|_F^2"
    return jnp.sum(X**2)


@normsq_real.gradient("X", "MCB 132")
def normsq_real_dX(X):
    r"2X"
    return 2 * X


@normsq_real.value("MCB 132")
def normsq_real_is_trace(X):
    r"\operatorname{tr}(X X^\top)"
    return jnp.trace(X @ X.T)


@identity("Squared Frobenius norm as a trace, whose gradient by a complex X is 2 df/dX*")
def normsq_trace(X: Complex[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(X X^H)"
    return jnp.trace(X @ X.conj().T).real


@normsq_trace.gradient("X", "MCB 132")
def normsq_trace_dX(X):
    r"2X"
    return 2 * X


@normsq_trace.value("ours", computed=True)
def normsq_trace_is_computed(X):
    r"\sum_{ij} |X_{ij}|^2"
    return jnp.sum(X.real**2 + X.imag**2)


@identity("Frobenius norm")
def norm_frobenius(X: Nonzero[Array, "m n"]) -> Scalar:
    r"\|X\|_F"
    return jnp.sqrt(jnp.sum(X**2))


@norm_frobenius.gradient("X", "Giles 5")
def norm_frobenius_dX(X):
    r"\frac{X}{\|X\|_F}"
    return X / jnp.linalg.norm(X)


@norm_frobenius.differential("X", "ours")
def norm_frobenius_along_dX(X, dX):
    r"\frac{\operatorname{tr}(X^\top \mathrm{d}X)}{\|X\|_F}"
    return jnp.sum(X * dX) / jnp.linalg.norm(X)
