r"""Matrices with a structure: chain rules, and gradients by symmetric, diagonal and Toeplitz matrices.

Two derivatives go by the name of "the gradient by a symmetric matrix", and the claims say which one they mean.
*Symmetric entries* (Matrix Cookbook, 133-144): the derivative by each free entry, which moves all the places that
the entry fills, laid out in the shape of the matrix; it is $G + G^\top - G \circ I$, where G is the gradient that
pays no heed to the structure.  *Within symmetric* matrices: the gradient for the inner product
$\operatorname{tr}(P^\top Q)$ on the space of these matrices, $(G + G^\top)/2$; it points along the steepest ascent and
is what an optimiser wants.  For Toeplitz matrices the two are the sums of G along the diagonals, and the means; for
diagonal ones they are the same.  `docs/symmetric.md` says which one to take.
"""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve, lu_factor, lu_solve
from jaxtyping import Array, Float

from identities.engine.identity import identity, printed
from identities.engine.operands import (
    Diagonal,
    PosDef,
    Scalar,
    Symmetric,
    SymmetricInvertible,
    SymmetricPositiveDeterminant,
    SymmetricToeplitz,
    Toeplitz,
)
from identities.operators import Entrywise, outer_ik_jl, outer_il_jk


def _gap(n):
    """j - i at [i, j]: which diagonal the place lies on."""
    return jnp.arange(n)[None, :] - jnp.arange(n)[:, None]


def _diagonal_sums(A, mean=False):
    """At [i, j] the sum (or the mean) of A over the diagonal through [i, j]."""
    n = A.shape[0]
    place = _gap(n) + (n - 1)
    sums = jnp.zeros(2 * n - 1, A.dtype).at[place].add(A)
    if mean:
        sums = sums / (n - jnp.abs(jnp.arange(2 * n - 1) - (n - 1))).astype(A.dtype)
    return sums[place]


def _alpha(A):
    """The sums of A' along its diagonals, for the gradient by a Toeplitz matrix."""
    return _diagonal_sums(A.T)


def _without(A, row, column):
    """A without one row and one column, both counted from 1."""
    return jnp.delete(jnp.delete(A, row - 1, axis=0), column - 1, axis=1)


def _printed_alpha(A):
    """The matrix that is printed for alpha(A), at n = 4."""
    n = A.shape[0]
    right, left = jnp.trace(_without(A.T, n, 1)), jnp.trace(_without(A.T, 1, n))
    far_right = jnp.trace(_without(_without(A.T, 1, n), n - 1, 2))
    far_left = jnp.trace(_without(_without(A.T, 1, n), 2, n - 1))
    # by j - i, from -3 to 3
    diagonals = jnp.stack([A[0, n - 1], far_left, left, jnp.trace(A), right, far_right, A[n - 1, 0]])
    return diagonals[_gap(n) + (n - 1)]


def _free(G):
    """G + G' - G o I."""
    return G + G.T - jnp.diag(jnp.diagonal(G))


def _sym(G):
    return (G + G.T) / 2


def _det_and_inverse(X):
    """det(X) and X^-1 from one factorisation."""
    factors, pivots = lu_factor(X)
    swaps = jnp.sum(pivots != jnp.arange(len(pivots), dtype=pivots.dtype))
    det = jnp.prod(jnp.diagonal(factors)) * jnp.where(swaps % 2 == 0, 1, -1).astype(X.dtype)
    return det, lu_solve((factors, pivots), jnp.eye(len(X), dtype=X.dtype))


# 2.8 Derivatives of structured matrices: how the free entries fill the matrix


@identity("Square matrix, as a function of its free entries")
def fill(A: Float[Array, "n n"]) -> Float[Array, "n n"]:
    r"A"
    return A


@fill.jacobian("A", printed("MCB 134", r"S^{ij}"), "MCB 134a", axes="kl ij")
def fill_dA(A):
    r"(J^{ij})_{kl} = \delta_{ki}\,\delta_{lj}"
    return Entrywise(jnp.ones_like(A))


@fill.jacobian(
    "A",
    printed("MCB 134", r"S^{ij}"),
    printed("MCB 137a", r"J^{ij} + J^{ji} - J^{ij}J^{ij}"),
    given={"A": Symmetric[Array, "n n"]},
    entries="symmetric",
    axes="kl ij",
)
def fill_dA_symmetric(A):
    r"\delta_{ki}\,\delta_{lj} + \delta_{kj}\,\delta_{li} - \delta_{ij}\,\delta_{ki}\,\delta_{lj}"
    I = jnp.eye(A.shape[0], dtype=A.dtype)
    J = outer_ik_jl(I, I)
    # the product of J^ij with itself is J^ij where i = j, and zero elsewhere
    return J + outer_il_jk(I, I) - J * I[None, None, :, :]


@fill.jacobian(
    "A", printed("MCB 134", r"S^{ij}"), given={"A": Diagonal[Array, "n n"]}, entries="diagonal", axes="kl ij"
)
def fill_dA_diagonal(A):
    r"\delta_{ij}\,\delta_{ki}\,\delta_{lj}"
    return Entrywise(jnp.eye(A.shape[0], dtype=A.dtype))


@fill.jacobian(
    "A", printed("MCB 134", r"S^{ij}"), given={"A": Toeplitz[Array, "n n"]}, entries="toeplitz", axes="kl ij"
)
def fill_dA_toeplitz(A):
    r"1 \text{ where } l - k = j - i, \text{ and 0 elsewhere}"
    gap = _gap(A.shape[0])
    return (gap[:, :, None, None] == gap[None, None, :, :]).astype(A.dtype)


@fill.jacobian(
    "A",
    printed("MCB 134", r"S^{ij}"),
    given={"A": SymmetricToeplitz[Array, "n n"]},
    entries="symmetric toeplitz",
    axes="kl ij",
)
def fill_dA_symtoeplitz(A):
    r"1 \text{ where } |l - k| = |j - i|, \text{ and 0 elsewhere}"
    gap = jnp.abs(_gap(A.shape[0]))
    return (gap[:, :, None, None] == gap[None, None, :, :]).astype(A.dtype)


# 2.8.1 The chain rule


@identity("A function g of U = tanh(AXB), here tr(G'U) + tr(U'KU)/2")
def chain(
    A: Float[Array, "m p"],
    X: Float[Array, "p q"],
    B: Float[Array, "q n"],
    G: Float[Array, "m n"],
    K: Float[Array, "m m"],
) -> Scalar:
    r"g(U) = \operatorname{tr}(G^\top U) + \tfrac{1}{2}\operatorname{tr}(U^\top KU), \quad U = \tanh(AXB)"
    U = jnp.tanh(A @ X @ B)
    return jnp.trace(G.T @ U) + jnp.trace(U.T @ K @ U) / 2


@chain.gradient("X", printed("MCB 135", r"\frac{\partial g(f(X))}{\partial X}"))
def chain_dX(A, X, B, G, K):
    r"A^\top\left(\left(G + \tfrac{1}{2}(K + K^\top)U\right) \circ (1 - U \circ U)\right)B^\top"
    U = jnp.tanh(A @ X @ B)
    return A.T @ ((G + _sym(K) @ U) * (1 - U * U)) @ B.T


@chain.gradient(
    "X",
    printed(
        "MCB 136",
        r"\sum_{k=1}^M\sum_{l=1}^N\frac{\partial g(U)}{\partial u_{kl}}"
        r"\frac{\partial u_{kl}}{\partial x_{ij}}",
    ),
    axes="ij",
)
def chain_dX_sum(A, X, B, G, K):
    r"""
    \sum_{kl}\frac{\partial g(U)}{\partial U_{kl}}\,\frac{\partial U_{kl}}{\partial X_{ij}}
    = \sum_{kl} \left(G + \tfrac{1}{2}(K + K^\top)U\right)_{kl} (1 - U_{kl}^2)\,A_{ki} B_{jl}
    """
    U = jnp.tanh(A @ X @ B)
    inner = jnp.einsum("kl,ki,jl->klij", 1 - U * U, A, B)
    return jnp.tensordot(G + _sym(K) @ U, inner, 2)


@chain.gradient(
    "X",
    printed(
        "MCB 137",
        r"\operatorname{tr}\left[\left(\frac{\partial g(U)}{\partial U}\right)^\top"
        r"\frac{\partial U}{\partial X_{ij}}\right]",
    ),
    axes="ij",
)
def chain_dX_trace(A, X, B, G, K):
    r"""
    \operatorname{tr}\left[\left(\frac{\partial g(U)}{\partial U}\right)^\top\frac{\partial U}{\partial X_{ij}}\right]
    = \operatorname{tr}\left[\left(G + \tfrac{1}{2}(K + K^\top)U\right)^\top
    \left((1 - U \circ U) \circ (A e_i e_j^\top B)\right)\right]
    """
    U = jnp.tanh(A @ X @ B)
    outer, slope = G + _sym(K) @ U, 1 - U * U

    def entry(a, b):
        return jnp.trace(outer.T @ (slope * jnp.outer(a, b)))

    return jax.vmap(lambda a: jax.vmap(lambda b: entry(a, b))(B))(A.T)


# 2.8.2 Symmetric, and the total derivative for every structure


def _open_gradient(a, A, b):
    """The gradient of a' sin(Ab) by a matrix A without structure."""
    return jnp.outer(a * jnp.cos(A @ b), b)


@identity("A function f of a structured matrix A, here a' sin(Ab)")
def open_structured(a: Float[Array, "n"], A: Float[Array, "n n"], b: Float[Array, "n"]) -> Scalar:
    r"f(A) = a^\top\sin(Ab)"
    return a @ jnp.sin(A @ b)


@open_structured.gradient("A", "ours")
def open_structured_dA(a, A, b):
    r"G, \quad G = (a \circ \cos(Ab))\,b^\top"
    return _open_gradient(a, A, b)


@open_structured.gradient(
    "A",
    printed("MCB 133", r"\sum_{kl}\frac{\partial f}{\partial A_{kl}}\frac{\partial A_{kl}}{\partial A_{ij}}"),
    given={"A": Symmetric[Array, "n n"]},
    entries="symmetric",
    axes="ij",
)
def open_structured_dA_sum(a, A, b):
    r"\sum_{kl} G_{kl}\,S^{ij}_{kl}, \quad G = (a \circ \cos(Ab))\,b^\top,\; S^{ij} = J^{ij} + J^{ji} - J^{ij}J^{ij}"
    I = jnp.eye(A.shape[0], dtype=A.dtype)
    J = outer_ik_jl(I, I)
    return jnp.tensordot(_open_gradient(a, A, b), J + outer_il_jk(I, I) - J * I[None, None, :, :], 2)


@open_structured.gradient(
    "A",
    printed(
        "MCB 133",
        r"\operatorname{tr}\left[\left[\frac{\partial f}{\partial A}\right]^\top"
        r"\frac{\partial A}{\partial A_{ij}}\right]",
    ),
    given={"A": Symmetric[Array, "n n"]},
    entries="symmetric",
    axes="ij",
)
def open_structured_dA_trace(a, A, b):
    r"""
    \operatorname{tr}\left[G^\top S^{ij}\right], \quad
    G = (a \circ \cos(Ab))\,b^\top,\; S^{ij} = J^{ij} + J^{ji} - J^{ij}J^{ij}
    """
    G, I = _open_gradient(a, A, b), jnp.eye(A.shape[0], dtype=A.dtype)

    def total(e, d):
        J = jnp.outer(e, d)
        return jnp.trace(G.T @ (J + J.T - J @ J))

    return jax.vmap(lambda e: jax.vmap(lambda d: total(e, d))(I))(I)


@open_structured.gradient(
    "A",
    printed(
        "MCB 138",
        r"\left[\frac{\partial f}{\partial A}\right] + \left[\frac{\partial f}{\partial A}\right]^\top"
        r" - \operatorname{diag}\left[\frac{\partial f}{\partial A}\right]",
    ),
    given={"A": Symmetric[Array, "n n"]},
    entries="symmetric",
)
def open_structured_dA_entries(a, A, b):
    r"G + G^\top - G \circ I, \quad G = (a \circ \cos(Ab))\,b^\top"
    return _free(_open_gradient(a, A, b))


@open_structured.gradient("A", "ours", given={"A": Symmetric[Array, "n n"]}, within="symmetric")
def open_structured_dA_within(a, A, b):
    r"\tfrac{1}{2}(G + G^\top), \quad G = (a \circ \cos(Ab))\,b^\top"
    return _sym(_open_gradient(a, A, b))


@open_structured.gradient("A", "MCB 133", given={"A": Diagonal[Array, "n n"]}, entries="diagonal", axes="ij")
def open_structured_dA_diagonal(a, A, b):
    r"""\sum_{kl} G_{kl}\,S^{ij}_{kl} = \delta_{ij}\,G_{ij}, \quad G = (a \circ \cos(Ab))\,b^\top,\;
    S^{ij}_{kl} = \delta_{ij}\,\delta_{ik}\,\delta_{jl}"""
    return jnp.diag(a * jnp.cos(A @ b) * b)


@open_structured.gradient("A", "MCB 133", given={"A": Toeplitz[Array, "n n"]}, entries="toeplitz", axes="ij")
def open_structured_dA_toeplitz(a, A, b):
    r"""\sum_{kl} G_{kl}\,S^{ij}_{kl} = \sum_{l - k = j - i} G_{kl}, \quad G = (a \circ \cos(Ab))\,b^\top,\;
    S^{ij}_{kl} = \delta_{l - k,\, j - i}"""
    return _diagonal_sums(_open_gradient(a, A, b))


@open_structured.gradient(
    "A", "MCB 133", given={"A": SymmetricToeplitz[Array, "n n"]}, entries="symmetric toeplitz", axes="ij"
)
def open_structured_dA_symtoeplitz(a, A, b):
    r"""\sum_{kl} G_{kl}\,S^{ij}_{kl} = \sum_{|l - k| = |j - i|} G_{kl}, \quad G = (a \circ \cos(Ab))\,b^\top,\;
    S^{ij}_{kl} = \delta_{|l - k|,\, |j - i|}"""
    distance = jnp.abs(_gap(A.shape[0]))
    sums = jnp.zeros(A.shape[0], A.dtype).at[distance].add(_open_gradient(a, A, b))
    return sums[distance]


@identity("Trace of a product with a symmetric matrix")
def tr_ax_symmetric(A: Float[Array, "n n"], X: Symmetric[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(AX)"
    return jnp.trace(A @ X)


@tr_ax_symmetric.gradient("X", "MCB 139", entries="symmetric")
def tr_ax_symmetric_dX_entries(A, X):
    r"A + A^\top - (A \circ I)"
    return _free(A)


@tr_ax_symmetric.gradient("X", "ours", within="symmetric")
def tr_ax_symmetric_dX_within(A, X):
    r"\tfrac{1}{2}(A + A^\top)"
    return _sym(A)


@identity("Determinant of a symmetric matrix")
def det_symmetric(X: SymmetricInvertible[Array, "n n"]) -> Scalar:
    r"\det(X)"
    return jnp.linalg.det(X)


@det_symmetric.gradient("X", "MCB 140", entries="symmetric")
def det_symmetric_dX_entries(X):
    r"\det(X)\left(2X^{-1} - (X^{-1} \circ I)\right)"
    det, inverse = _det_and_inverse(X)
    return det * _free(inverse)


@det_symmetric.gradient("X", "ours", within="symmetric")
def det_symmetric_dX_within(X):
    r"\det(X)X^{-1}"
    det, inverse = _det_and_inverse(X)
    return det * _sym(inverse)


@identity("Logarithm of the determinant of a symmetric matrix")
def logdet_symmetric(X: SymmetricPositiveDeterminant[Array, "n n"]) -> Scalar:
    r"\ln\det(X)"
    return jnp.log(jnp.linalg.det(X))


@logdet_symmetric.gradient("X", "MCB 141", entries="symmetric")
def logdet_symmetric_dX_entries(X):
    r"2X^{-1} - (X^{-1} \circ I)"
    return _free(jnp.linalg.inv(X))


@logdet_symmetric.gradient("X", "ours", given={"X": PosDef[Array, "n n"]}, entries="symmetric")
def logdet_symmetric_dX_posdef(X):
    r"2X^{-1} - (X^{-1} \circ I)"
    # the Cholesky factor costs half as much, and shows by NaN that X is not positive definite
    return _free(cho_solve(cho_factor(X), jnp.eye(X.shape[0], dtype=X.dtype)))


@logdet_symmetric.gradient("X", "ours", within="symmetric")
def logdet_symmetric_dX_within(X):
    r"X^{-1}"
    return _sym(jnp.linalg.inv(X))


@logdet_symmetric.value("ours", computed=True)
def logdet_symmetric_is_computed(X):
    r"\sum_i \ln|U_{ii}|, \quad PX = LU"
    return jnp.linalg.slogdet(X)[1]


# 2.8.3 Diagonal


@identity("Trace of a product with a diagonal matrix")
def tr_ax_diagonal(A: Float[Array, "n n"], X: Diagonal[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(AX)"
    return jnp.trace(A @ X)


@tr_ax_diagonal.gradient("X", "MCB 142", entries="diagonal")
def tr_ax_diagonal_dX_entries(A, X):
    r"A \circ I"
    return jnp.diag(jnp.diagonal(A))


@tr_ax_diagonal.gradient("X", "ours", within="diagonal")
def tr_ax_diagonal_dX_within(A, X):
    r"A \circ I"
    return jnp.diag(jnp.diagonal(A))


@tr_ax_diagonal.value("ours", computed=True)
def tr_ax_diagonal_is_computed(A, X):
    r"\sum_i A_{ii}X_{ii}"
    return jnp.diagonal(A) @ jnp.diagonal(X)


# 2.8.4 Toeplitz


@identity("Trace of a product with a Toeplitz matrix")
def tr_at_toeplitz(A: Float[Array, "n n"], T: Toeplitz[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(AT)"
    return jnp.trace(A @ T)


@tr_at_toeplitz.value("MCB 143")
def tr_at_toeplitz_is_swapped(A, T):
    r"\operatorname{tr}(TA)"
    return jnp.trace(T @ A)


@tr_at_toeplitz.gradient("T", "ours", entries="toeplitz", axes="ij")
def tr_at_toeplitz_dT_entries(A, T):
    r"\alpha(A)_{ij}, \quad \alpha(A)_{ij} = \sum_{k - l = j - i} A_{kl}"
    return _alpha(A)


@tr_at_toeplitz.gradient("T", "ours", within="toeplitz", axes="ij")
def tr_at_toeplitz_dT_within(A, T):
    r"\frac{1}{n - |j - i|}\sum_{k - l = j - i} A_{kl}"
    return _diagonal_sums(A.T, mean=True)


# At n = 4 the print gives every entry, and leaves nothing to its dots.  A second pair of indices counts the rows and
# columns that the first one left; counted in A' itself, it would be right below the main diagonal and wrong above.
@tr_at_toeplitz.refuted(
    "gradient",
    "T",
    "MCB 143",
    because="on the second diagonals above and below the main one (n >= 4) the print deletes wrong rows and columns: "
    "it has tr([[A']_1n]_{n-1,2}) above and tr([[A']_1n]_{2,n-1}) below, where tr([[A']_n1]_{n-1,1}) and "
    "tr([[A']_1n]_{1,n-1}) are right; for n <= 3 only corners lie there, and the print has these right",
    given={"A": Float[Array, "4 4"], "T": Toeplitz[Array, "4 4"]},
    entries="toeplitz",
)
def tr_at_toeplitz_dT_printed_MCB143(A, T):
    r"""
    \begin{bmatrix}
    \operatorname{tr}(A) & \operatorname{tr}([A^\top]_{n1}) & \operatorname{tr}([[A^\top]_{1n}]_{n-1,2}) & A_{n1} \\
    \operatorname{tr}([A^\top]_{1n}) & \operatorname{tr}(A) & \operatorname{tr}([A^\top]_{n1}) &
    \operatorname{tr}([[A^\top]_{1n}]_{n-1,2}) \\
    \operatorname{tr}([[A^\top]_{1n}]_{2,n-1}) & \operatorname{tr}([A^\top]_{1n}) & \operatorname{tr}(A) &
    \operatorname{tr}([A^\top]_{n1}) \\
    A_{1n} & \operatorname{tr}([[A^\top]_{1n}]_{2,n-1}) & \operatorname{tr}([A^\top]_{1n}) & \operatorname{tr}(A)
    \end{bmatrix},
    \quad [A]_{ij} \text{ is } A \text{ without row } i \text{ and column } j
    """
    return _printed_alpha(A)


@identity("Trace of a product with a symmetric Toeplitz matrix")
def tr_at_symtoeplitz(A: Float[Array, "n n"], T: SymmetricToeplitz[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(AT)"
    return jnp.trace(A @ T)


@tr_at_symtoeplitz.value("MCB 144")
def tr_at_symtoeplitz_is_swapped(A, T):
    r"\operatorname{tr}(TA)"
    return jnp.trace(T @ A)


@tr_at_symtoeplitz.gradient("T", "MCB 144 with alpha corrected", entries="symmetric toeplitz")
def tr_at_symtoeplitz_dT_entries(A, T):
    r"\alpha(A) + \alpha(A)^\top - \alpha(A) \circ I, \quad \alpha(A)_{ij} = \sum_{k - l = j - i} A_{kl}"
    return _free(_alpha(A))


@tr_at_symtoeplitz.refuted(
    "gradient",
    "T",
    "MCB 144",
    because="its alpha is the matrix printed in 143, which is wrong on the second diagonals above and below the main "
    "one (n >= 4); with the sums along the diagonals as alpha it is right, and as printed for n <= 3",
    given={"A": Float[Array, "4 4"], "T": SymmetricToeplitz[Array, "4 4"]},
    entries="symmetric toeplitz",
)
def tr_at_symtoeplitz_dT_printed_MCB144(A, T):
    r"""
    \alpha(A) + \alpha(A)^\top - \alpha(A) \circ I, \quad \alpha(A) = \begin{bmatrix}
    \operatorname{tr}(A) & \operatorname{tr}([A^\top]_{n1}) & \operatorname{tr}([[A^\top]_{1n}]_{n-1,2}) & A_{n1} \\
    \operatorname{tr}([A^\top]_{1n}) & \operatorname{tr}(A) & \operatorname{tr}([A^\top]_{n1}) &
    \operatorname{tr}([[A^\top]_{1n}]_{n-1,2}) \\
    \operatorname{tr}([[A^\top]_{1n}]_{2,n-1}) & \operatorname{tr}([A^\top]_{1n}) & \operatorname{tr}(A) &
    \operatorname{tr}([A^\top]_{n1}) \\
    A_{1n} & \operatorname{tr}([[A^\top]_{1n}]_{2,n-1}) & \operatorname{tr}([A^\top]_{1n}) & \operatorname{tr}(A)
    \end{bmatrix},
    \quad [A]_{ij} \text{ is } A \text{ without row } i \text{ and column } j
    """
    return _free(_printed_alpha(A))


@tr_at_symtoeplitz.gradient("T", "ours", within="symmetric toeplitz", axes="ij")
def tr_at_symtoeplitz_dT_within(A, T):
    r"\frac{\alpha(A)_{ij} + \alpha(A)_{ji}}{2(n - |j - i|)}, \quad \alpha(A)_{ij} = \sum_{k - l = j - i} A_{kl}"
    return _sym(_diagonal_sums(A.T, mean=True))
