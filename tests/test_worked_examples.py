"""The two seed texts, row by row: every number they print, every property they state, every slip they make.

A test's name starts with its row: G for the multivariable calculus guide, N for the vector calculus notebook. Where a
print is right, the test reaches it. Where it is wrong, the test holds the right value and asserts that the printed one
misses it by a stated margin. Closed forms are worked out in NumPy, so that JAX is asked for derivatives only.
"""

import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

STEPS = np.array([2.0**-k for k in range(3, 9)])


def draw(seed, *shapes):
    """Standard normal arrays of the shapes asked for."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def grad(f, *at, by=0):
    return jax.tree.map(np.asarray, jax.jit(jax.grad(f, by))(*at))


def jac(f, x):
    return np.asarray(jax.jit(jax.jacfwd(f))(x))


def rows(f, x):
    """The Jacobian in numerator layout: an output a row, an input a column, scalars as vectors of length one."""
    return jac(f, x).reshape(-1, np.size(x))


def close(got, expected, tol=1e-11):
    """Same shape, and equal to within `tol` of the largest entry."""
    got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=tol * max(1.0, np.abs(expected).max()), equal_nan=False)


def apart(wrong, right, margin):
    """Same shape, and different by more than `margin` in some entry."""
    wrong, right = np.asarray(wrong, dtype=float), np.asarray(right, dtype=float)
    assert wrong.shape == right.shape
    assert np.abs(wrong - right).max() > margin


def order(error):
    """The p of |error(h)| ~ h^p, fitted over six steps; no single tolerance could tell it."""
    return np.polyfit(np.log(STEPS), np.log(np.abs(jax.jit(jax.vmap(error))(STEPS))), 1)[0]


def newton(f, x, steps):
    """The points that Newton's method visits."""
    step = jax.jit(lambda x: x - jnp.linalg.solve(jax.hessian(f)(x), jax.grad(f)(x)))
    path = [x]
    for _ in range(steps):
        path.append(np.asarray(step(path[-1])))
    return path


def sigmoid(x):
    return 1 / (1 + jnp.exp(-x))


def logsumexp(x):
    return jnp.log(jnp.sum(jnp.exp(x)))


def curved(w):
    return logsumexp(w) + jnp.sin(w[0] * w[1]) * w[2] ** 2


# The guide


@pytest.mark.parametrize("weights", [1, 5])
def test_G1_first_order_remainder_shrinks_quadratically(weights):
    """Prints L(w + e) = L(w) + e . grad L(w), for one weight and for all: what it leaves out is of order two."""
    w, e = draw(1, (5,), (5,))
    e[weights:] = 0
    slope = grad(curved, w) @ e
    assert order(lambda h: curved(w + h * e) - curved(w) - h * slope) == pytest.approx(2, abs=0.1)
    assert order(lambda h: curved(w + h * e) - curved(w)) == pytest.approx(1, abs=0.1)


def test_G2_log_sum_exp_at_zero_and_log_two():
    """Prints the gradient (e^x, e^y)/(e^x + e^y), here (1/3, 2/3): log 3 - 1/60 falls 1.8e-4 short of the truth."""
    point, e = np.array([0.0, math.log(2)]), np.array([0.01, -0.03])
    close(grad(logsumexp, point), [1 / 3, 2 / 3])
    gap = float(logsumexp(point + e)) - (math.log(3) - 1 / 60)
    close(gap, math.log(math.exp(0.01) + 2 * math.exp(-0.03)) - math.log(3) + 1 / 60)
    assert gap == pytest.approx(0.04**2 / 9, rel=0.01)  # the Hessian's share: p (1 - p) (e1 - e2)^2 / 2


def test_G3_no_unit_direction_descends_faster_than_minus_the_gradient():
    """States that -grad L is steepest: no direction of 2000 has a slope below that along -grad/|grad|, -|grad|."""
    w, directions = draw(3, (5,), (2000, 5))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    gradient = grad(curved, w)
    length = np.linalg.norm(gradient)
    along = jax.jit(jax.vmap(lambda v: jax.jvp(curved, (w,), (v,))[1]))
    close(along(-gradient[None, :] / length), [-length])
    assert -length < along(directions).min() < -0.8 * length


def quartic(x):
    return 3 * x**4 - 4 * x**3 - 12 * x**2


def test_G3_G4_gradient_descent_ends_in_the_nearer_minimum():
    """States that descent finds a critical point, not always the global minimum: -1 from below 0, 2 from above."""
    start = x = np.concatenate([np.linspace(-2, -0.1, 20), np.linspace(0.1, 3, 30)])
    for _ in range(200):
        x = x - 0.01 * (12 * x**3 - 12 * x**2 - 24 * x)
    close(x, np.where(start < 0, -1.0, 2.0))


def test_G4_critical_points_of_the_quartic():
    """Prints f' = 12x^3 - 12x^2 - 24x, zero at -1, 0, 2, global minimum f(2) = -32: f is -5, 0, -32; min, max, min."""
    points = np.linspace(-2.5, 3.5, 25)
    close(grad(lambda x: jnp.sum(quartic(x)), points), np.polyval([12, -12, -24, 0], points))
    close(np.sort(np.roots([12, -12, -24, 0])), [-1, 0, 2])
    assert [quartic(x) for x in (-1, 0, 2)] == [-5, 0, -32]
    assert [float(grad(jax.grad(quartic), x)) for x in (-1.0, 0.0, 2.0)] == [36, -24, 72]
    # f + 32 = (x - 2)^2 (3x^2 + 8x + 8), and the second factor has no real root, so no value is below -32.
    close(np.polymul([1, -4, 4], [3, 8, 8]), [3, -4, -12, 0, 32])
    assert 8**2 - 4 * 3 * 8 < 0


def nested_squares(w, x, y, z):
    a, b = (w + x + y + z) ** 2, (w + x - y - z) ** 2
    u, v = (a + b) ** 2, (a - b) ** 2
    return (u + v) ** 2


PRINTED_POINT, TELLING_POINT = (-1.0, 0.0, -2.0, 1.0), (0.3, -0.4, 0.9, 0.5)


@pytest.mark.parametrize("point", [PRINTED_POINT, TELLING_POINT])
def test_G5_chain_rule(point):
    """Prints the chain rule for df/dw: it and its three siblings equal jax.grad, also where b does not vanish."""
    w, x, y, z = point
    s, t = w + x + y + z, w + x - y - z
    a, b = s**2, t**2
    u, v = (a + b) ** 2, (a - b) ** 2
    f_by_uv = np.array([2 * (u + v), 2 * (u + v)])
    uv_by_ab = np.array([[2 * (a + b), 2 * (a + b)], [2 * (a - b), -2 * (a - b)]])
    ab_by_all = np.array([[2 * s] * 4, [2 * t, 2 * t, -2 * t, -2 * t]])
    close(grad(nested_squares, *point, by=(0, 1, 2, 3)), f_by_uv @ uv_by_ab @ ab_by_all)


def test_G5_value_and_partials_at_the_printed_point():
    """Prints the point (-1, 0, -2, 1): f = 1024; b = 0 makes all four partials -4096; elsewhere they differ."""
    assert nested_squares(*PRINTED_POINT) == 1024
    assert grad(nested_squares, *PRINTED_POINT, by=(0, 1, 2, 3)) == (-4096,) * 4
    by_w, by_y = grad(nested_squares, *TELLING_POINT, by=(0, 2))
    apart(by_w, by_y, 10)


@pytest.mark.parametrize("point", [PRINTED_POINT, TELLING_POINT])
def test_G16_torch_agrees(point):
    """Prints the four partials by other frameworks: PyTorch's equal jax.grad's."""
    torch = pytest.importorskip("torch")
    inputs = [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in point]
    nested_squares(*inputs).backward()
    close([i.grad.item() for i in inputs], grad(nested_squares, *point, by=(0, 1, 2, 3)))


def test_G6_hessian_is_symmetric_and_leaves_a_cubic_remainder():
    """Prints f(x0) + grad . h + h'Hh/2: H is symmetric, the remainder of order three; without the half it is of two."""
    x, v = draw(6, (5,), (5,))
    hessian = jac(jax.grad(curved), x)
    close(hessian, hessian.T)
    slope, bend = grad(curved, x) @ v, v @ hessian @ v
    assert order(lambda h: curved(x + h * v) - curved(x) - h * slope - h**2 * bend / 2) == pytest.approx(3, abs=0.1)
    assert order(lambda h: curved(x + h * v) - curved(x) - h * slope - h**2 * bend) == pytest.approx(2, abs=0.3)


def test_G7_G10_linear_form_either_way_round():
    """Prints d(b'x)/dx = b and asks about x'b: a number is its own transpose, so both have one gradient."""
    b, x = draw(7, (4,), (4,))
    assert b @ x == x @ b
    close(grad(lambda x: b @ x, x), b)
    close(grad(lambda x: x @ b, x), b)


def test_G8_N18_quadratic_form_in_both_layouts():
    """Prints (A + A')x and, as a row, x'(B + B'): true both, while 2Ax is false for a general A."""
    a, x = draw(8, (4, 4), (4,))
    gradient = grad(lambda x: x @ a @ x, x)
    close(gradient, (a + a.T) @ x)
    close(rows(lambda x: x @ a @ x, x), x[None, :] @ (a + a.T))
    apart(2 * a @ x, gradient, 0.5)


def test_G9_factorisation_gradients():
    """Prints d/dV |X - UV|_2^2 = -2U'(X - UV): true of the sum of squares, false of the matrix 2-norm."""
    x, u, v = draw(9, (3, 4), (3, 2), (2, 4))
    by_u, by_v = grad(lambda u, v: jnp.sum((x - u @ v) ** 2), u, v, by=(0, 1))
    close(by_v, -2 * u.T @ (x - u @ v))
    close(by_u, -2 * (x - u @ v) @ v.T)
    apart(grad(lambda v: jnp.linalg.norm(x - u @ v, ord=2) ** 2, v), by_v, 0.5)


@pytest.mark.parametrize("eps", [1e-6, 1e-3, 1.0])
def test_G9_central_differences_of_a_quadratic(eps):
    """Prints central differences of step 1e-6: on a quadratic, any step is exact but for rounding."""
    x, u, v = draw(9, (3, 4), (3, 2), (2, 4))
    quotient = np.zeros_like(v)
    for entry in np.ndindex(v.shape):
        step = np.zeros_like(v)
        step[entry] = eps
        quotient[entry] = (np.sum((x - u @ (v + step)) ** 2) - np.sum((x - u @ (v - step)) ** 2)) / (2 * eps)
    close(quotient, -2 * u.T @ (x - u @ v), tol=2e-15 / eps)


def test_G11_norm():
    """Asks for d|v|/dv: v/|v|, of length one; at zero there is none, and jax.grad says nan."""
    (v,) = draw(11, (6,))
    close(grad(jnp.linalg.norm, v), v / math.sqrt(v @ v))
    assert np.isnan(grad(jnp.linalg.norm, np.zeros(3))).all()


@pytest.mark.parametrize("n", [1, 2, 7])
def test_G12_log_sum_exp_gradient_sums_to_one(n):
    """Asks for the sum of the components: one, for any n, since L(x + c) = L(x) + c; so L has no critical point."""
    (x,) = draw(12, (n,))
    close(grad(logsumexp, x).sum(), 1.0)
    close(logsumexp(x + 0.7), logsumexp(x) + 0.7)


def test_G13_origin_is_neither_maximum_nor_minimum():
    """Asks about x^2 y + x y^2 at (0, 0): critical, with zero Hessian, and 2t^3 on the diagonal, so neither."""

    def f(p):
        return p[0] ** 2 * p[1] + p[0] * p[1] ** 2

    origin = np.zeros(2)
    assert not grad(f, origin).any()
    assert not jac(jax.grad(f), origin).any()
    assert [f((t, t)) for t in (-0.5, 0, 0.5)] == [-0.25, 0, 0.25]


def test_G14_gradient_of_a_sum_vanishes_where_the_gradients_cancel():
    """Asks what grad (g + h) = 0 says: grad g = -grad h, neither being zero; a step away they do not cancel."""
    b, a = draw(14, (4, 3), (3,))

    def g(x):
        return logsumexp(b @ x)

    def h(x):
        return jnp.sum((x - a) ** 2) / 2

    x = newton(lambda x: g(x) + h(x), a, 10)[-1]
    close(grad(g, x), -grad(h, x))
    apart(grad(g, x), np.zeros(3), 0.1)
    apart(grad(g, x + 0.1), -grad(h, x + 0.1), 0.05)


@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (lambda p: p[0] ** 2 + p[1] ** 2 + p[0] * p[1], "minimum"),
        (lambda p: jnp.cos(p[0]) + jnp.cos(p[1] + p[0]), "maximum"),
        (lambda p: p[0] * p[1] + p[0] ** 3, "saddle"),
        (lambda p: p[0] ** 4 + p[1] ** 4, "undecided"),  # a minimum in fact
        (lambda p: p[0] ** 4 - p[1] ** 4, "undecided"),  # a saddle
    ],
)
def test_G15_eigenvalues_of_the_hessian_classify_critical_points(f, kind):
    """States that critical points are minima, maxima or saddles: the signs of H's eigenvalues tell, unless one is 0."""
    origin = np.zeros(2)
    assert not grad(f, origin).any()
    values = np.linalg.eigvalsh(jac(jax.grad(f), origin))
    told = "undecided" if (values == 0).any() else ("maximum", "saddle", "minimum")[(values > 0).sum()]
    angles = np.linspace(0, 2 * np.pi, 60)
    around = f(0.01 * np.stack([np.cos(angles), np.sin(angles)])) - f(origin)
    seen = "minimum" if (around > 0).all() else "maximum" if (around < 0).all() else "saddle"
    assert told == kind
    assert kind in (seen, "undecided")


# The notebook: Jacobians and areas


def test_N1_jacobian_has_a_row_for_each_output():
    """Prints an m x n Jacobian and, for f(x) = sum x_i, the row 1 x n: true in numerator layout; the row holds ones."""
    a, x = draw(101, (4, 3), (3,))
    jacobian = rows(lambda x: jnp.tanh(a @ x), x)
    assert jacobian.shape == (4, 3)
    close(jacobian, (1 - np.tanh(a @ x) ** 2)[:, None] * a)
    close(rows(jnp.sum, x), np.ones((1, 3)))


PARALLELOGRAM = np.array([[-2.0, 1.0], [1.0, 1.0]])


def shoelace(corners):
    """The signed area of a polygon, a corner a column."""
    x, y = corners
    return np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2


def test_N2_area_is_the_absolute_value_of_the_determinant():
    """Prints areas 1 and 3 and det = |-3|: the determinant itself is -3; the bars belong around it."""
    square = np.array([[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    close(shoelace(square), 1.0)
    close(shoelace(PARALLELOGRAM @ square), -3.0)
    close(jnp.linalg.det(PARALLELOGRAM), -3.0)
    close(rows(lambda x: jnp.stack([-2 * x[0] + x[1], x[0] + x[1]]), np.array([0.3, 0.8])), PARALLELOGRAM)


def test_N2_coordinates_change_with_the_inverse():
    """Says y = Jx holds x's coordinates in the basis c1, c2: those are J^-1 x, while Jx is the image of x."""
    c1 = PARALLELOGRAM @ np.array([1.0, 0.0])
    assert c1.tolist() == [-2, 1]
    close(np.linalg.solve(PARALLELOGRAM, c1), [1.0, 0.0])
    apart(PARALLELOGRAM @ c1, [1.0, 0.0], 3)


def pair(p):
    return jnp.stack([p[0] ** 2 + p[1] ** 2, p[0] * p[1]])


def test_N2_determinant_scales_areas_of_a_curved_map():
    """States that |det J| scales areas locally: summed over a square it is the area of the curved image, here 20."""
    t = np.linspace(0, 1, 1000, endpoint=False)
    zero, one = np.zeros_like(t), np.ones_like(t)
    boundary = np.hstack([[t, zero], [one, t], [1 - t, one], [zero, 1 - t]]) + np.array([[1], [3]])
    assert shoelace(np.asarray(pair(boundary))) == pytest.approx(-20, rel=1e-5)
    nodes, weights = np.polynomial.legendre.leggauss(3)
    points = np.stack(np.meshgrid(1.5 + nodes / 2, 3.5 + nodes / 2), axis=-1).reshape(9, 2)
    dets = np.linalg.det(jax.vmap(jax.jacfwd(pair))(points))
    close(np.kron(weights, weights) / 4 @ np.abs(dets), 20.0)


def test_N3_jacobian_of_sum_of_squares_and_product():
    """Prints, up to its step, the Jacobian [[2, 4], [2, 1]] at (1, 2) and the determinant -6: exactly these."""
    jacobian = rows(pair, np.array([1.0, 2.0]))
    close(jacobian, [[2, 4], [2, 1]])
    close(jnp.linalg.det(jacobian), -6.0)


def forward_differences(f, point, h):
    columns = []
    for k in range(len(point)):
        moved = f(*[value + h if i == k else value for i, value in enumerate(point)])
        columns.append([(after - before) / h for after, before in zip(moved, f(*point), strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]


def first_row_expansion(m):
    if len(m) == 2:
        return m[0][0] * m[1][1] - m[0][1] * m[1][0]
    minors = [[row[:c] + row[c + 1 :] for row in m[1:]] for c in range(len(m))]
    return sum((-1) ** c * m[0][c] * first_row_expansion(minor) for c, minor in enumerate(minors))


def test_N30_forward_difference_digits_and_error():
    """Prints forward differences and determinant -6.000010000079442: to every digit, and -6 - h but for rounding."""

    def f(x, y):
        return x * x + y * y, x * y

    jacobian = forward_differences(f, [1.0, 2.0], 1e-5)
    assert jacobian == [[2.00001000001393, 4.000010000027032], [2.0000000000131024, 1.0000000000065512]]
    assert first_row_expansion(jacobian) == -6.000010000079442
    for h in (Fraction(1, 10**5), Fraction(1, 7)):
        exact = forward_differences(f, [Fraction(1), Fraction(2)], h)
        assert exact == [[2 + h, 4 + h], [2, 1]]
        assert first_row_expansion(exact) == -6 - h


def test_N30_expansion_along_the_first_row():
    """Prints an n x n determinant whose recursion stops at 2 x 2: true from there on, but 0 for every 1 x 1 matrix."""
    for m in draw(130, (2, 2), (3, 3), (5, 5)):
        close(first_row_expansion(m.tolist()), np.linalg.det(m))
    assert first_row_expansion([[5.0]]) == 0


def test_N29_partial_derivative_of_a_vector():
    """Prints every component's limit as all of df/dx_i: stacked, the limits are it, reached with order one in h."""
    a, x = draw(129, (4, 3), (3,))

    def f(x):
        return jnp.exp(jnp.sin(a @ x))

    jacobian = rows(f, x)
    for i, component in np.ndindex(3, 4):
        e, limit = np.eye(3)[i], jacobian[component, i]
        p = order(lambda h, e=e, c=component, limit=limit: (f(x + h / 64 * e)[c] - f(x)[c]) / (h / 64) - limit)
        assert p == pytest.approx(1, abs=0.1)
    assert (np.ptp(jacobian, axis=0) > 0.1).all()  # so no one component is the vector


def test_N4_shapes_of_derivatives():
    """Prints scalar, 1 x D row, E x 1 column and E x D matrix: outputs by inputs, each time."""
    a, b, x = draw(104, (5, 3), (5,), (3,))
    assert grad(jnp.sin, 0.4).shape == ()
    assert rows(lambda x: jnp.sum(x**2), x).shape == (1, 3)
    assert rows(lambda t: jnp.sin(t * b), 0.4).shape == (5, 1)
    assert rows(lambda x: jnp.sin(a @ x), x).shape == (5, 3)


def test_N5_jacobian_of_a_linear_map():
    """Prints df_i/dx_j = A_ij and sum_j df_i/dx_j = A_ij: the first is true; the sum is that of row i of A."""
    a, x = draw(105, (4, 3), (3,))
    jacobian = rows(lambda x: a @ x, x)
    close(jacobian, a)
    summed = jacobian.sum(axis=1, keepdims=True)
    close(summed, a @ np.ones((3, 1)))
    assert (np.abs(summed - a).max(axis=0) > 0.5).all()


# The notebook: chain rule and least squares


def spiral(t):
    return jnp.stack([t * jnp.cos(t), t * jnp.sin(t)])


def bump(x):
    return jnp.exp(x[0] * x[1] ** 2)


@pytest.mark.parametrize("t", [0.9, 1.1, -0.8])
def test_N6_chain_rule_factor_by_factor(t):
    """Prints exp(x1 x2) for exp(x1 x2^2), x1 x2^2 for 2 x1 x2 and, without its bracket, dh/dt: all three false."""
    c, s = math.cos(t), math.sin(t)
    x1, x2 = t * c, t * s
    row, column = rows(bump, spiral(t)), rows(spiral, t)
    assert (row.shape, column.shape) == ((1, 2), (2, 1))
    close(column, [[c - t * s], [s + t * c]])  # the print has these two right
    right, wrong = math.exp(x1 * x2**2), math.exp(x1 * x2)
    close(row, [[right * x2**2, 2 * right * x1 * x2]])
    truth = grad(lambda t: bump(spiral(t)), t)
    close((row @ column)[0, 0], truth)

    apart(wrong * x2**2, row[0, 0], 0.01)
    for factor in (wrong, right):  # mending the exponent mends neither of the other two
        apart(factor * x1 * x2**2, row[0, 1], 0.1)
        apart(factor * x2**2 * (c - t * s) + 2 * x1 * x2 * (s + t * c), truth, 0.02)


Y, PHI, THETA = np.array([1.0, 2.0, 3.0]), np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]]), np.array([0.5, 1.5])
RESIDUAL = Y - PHI @ THETA


def test_N7_least_squares_numbers():
    """Prints loss 27.5 and gradient [18, 56]: so they are, by the chain rule and directly."""
    assert RESIDUAL @ RESIDUAL == 27.5
    close(rows(lambda theta: Y - PHI @ theta, THETA), -PHI)
    assert (2 * RESIDUAL[None, :] @ -PHI).tolist() == [[18, 56]]
    assert grad(lambda theta: jnp.sum((Y - PHI @ theta) ** 2), THETA).tolist() == [18, 56]


def test_N7_norm_is_not_its_square():
    """Prints L = |e|, |e| = e'e and dL/de = 2e': the last two are of the square; the norm has e'/|e|."""
    length = math.sqrt(27.5)
    close(rows(lambda e: jnp.sum(e**2), RESIDUAL), 2 * RESIDUAL[None, :])
    close(rows(jnp.linalg.norm, RESIDUAL), RESIDUAL[None, :] / length)
    apart(2 * RESIDUAL, RESIDUAL / length, 5)
    apart(RESIDUAL @ RESIDUAL, length, 20)
    of_norm = grad(lambda theta: jnp.linalg.norm(Y - PHI @ theta), THETA)
    close(of_norm, np.array([18, 56]) / (2 * length))
    apart([18, 56], of_norm, 10)


def test_N7_printed_factors_lose_an_index_and_a_matrix():
    """Prints a sum over n with no n in it, and -2(y' - theta'Phi') cut off from Phi: N times too much, and 1 x N."""
    by_e, by_theta = 2 * RESIDUAL[None, :], -PHI
    close(sum(by_e[0, n] * by_theta[n] for n in range(3)), [18, 56])
    apart(sum((by_e @ by_theta)[0] for n in range(3)), [18, 56], 30)
    cut = -2 * (Y[None, :] - THETA[None, :] @ PHI.T)
    assert cut.shape == (1, 3)
    close(cut @ PHI, [[18, 56]])


# The notebook: tensors


def test_N8_collating_partials_equals_flattening():
    """States that both roads to the 4 x 2 x 3 tensor are one: they are, if matrix and tensor fold in the same order."""
    b, x = draw(108, (4, 2, 3), (3,))

    def f(x):
        return jnp.sin(b @ x)

    collated = np.stack([jax.jvp(f, (x,), (e,))[1] for e in np.eye(3)], axis=-1)
    flattened = jac(lambda x: f(x).reshape(8), x)
    assert (collated.shape, flattened.shape) == ((4, 2, 3), (8, 3))
    close(flattened.reshape(4, 2, 3), collated)
    apart(flattened.reshape((4, 2, 3), order="F"), collated, 0.3)


def test_N9_chain_rule_is_a_product_of_flattened_jacobians():
    """Prints J_ijkl = dA_ij/dB_kl and its mn x pq form: with it the chain rule is one matrix product."""
    c, d, b = draw(109, (3, 4), (5, 2), (2, 4))

    def inner(b):  # 2 x 4 to 5 x 4
        return jnp.tanh(d @ b)

    def outer(a):  # 5 x 4 to 3 x 5
        return c @ jnp.sin(a).T

    whole = jac(lambda b: outer(inner(b)), b)
    j_outer, j_inner = jac(outer, inner(b)), jac(inner, b)
    assert whole.shape == (3, 5, 2, 4)
    close(j_inner, np.einsum("ik,jl,ij->ijkl", d, np.eye(4), 1 - np.tanh(d @ b) ** 2))
    close(j_outer.reshape(15, 20) @ j_inner.reshape(20, 8), whole.reshape(15, 8))
    close(np.tensordot(j_outer, j_inner, axes=2), whole)


def test_N10_vector_by_matrix():
    """Prints M x (M x N), then 1 x (M x N) for the same: that is one slice, holding x' in row i and zeros elsewhere."""
    a, x = draw(110, (4, 3), (3,))
    tensor = jac(lambda a: a @ x, a)
    assert (tensor.shape, tensor[:1].shape) == ((4, 4, 3), (1, 4, 3))
    close(tensor, np.einsum("ik,q->ikq", np.eye(4), x))


def test_N11_gram_matrix_has_the_four_printed_cases():
    """Prints four cases of a tensor, not saying of what: K = R'R with R of M x N fits all four."""
    (r,) = draw(111, (3, 4))
    tensor = jac(lambda r: r.T @ r, r)
    assert tensor.shape == (4, 4, 3, 4)
    for p, q, i, j in np.ndindex(tensor.shape):
        if j == p != q:
            value = r[i, q]
        elif j == q != p:
            value = r[i, p]
        else:
            value = 2 * r[i, q] if j == p == q else 0.0
        close(tensor[p, q, i, j], value)


def matrix_function(p, q, m, n):
    """A curved function from m x n to p x q, a point, its value there and its derivative (p, q, m, n)."""
    a, b, c, x = draw(112, (p, m), (n, q), (p, q), (m, n))

    def f(x):
        return 2 * np.eye(p, q) + c / 2 + a @ jnp.tanh(x) @ b / 3

    return f, x, f(x), jac(f, x)


def test_N12_transpose_swaps_the_first_two_axes():
    """Prints d f(X)'/dX = (df/dX)': true if the transpose swaps the first two axes, false if it reverses all four."""
    f, x, _, df = matrix_function(2, 3, 4, 5)
    close(jac(lambda x: f(x).T, x), df.swapaxes(0, 1))
    f, x, _, df = matrix_function(3, 3, 3, 3)
    apart(df.T, jac(lambda x: f(x).T, x), 0.3)


def test_N13_trace_contracts_the_first_two_axes():
    """Prints d tr f(X)/dX = tr(df/dX): true over the first two axes, false over the last two."""
    f, x, _, df = matrix_function(3, 3, 4, 5)
    close(grad(lambda x: jnp.trace(f(x)), x), np.einsum("iikl->kl", df))
    f, x, _, df = matrix_function(3, 3, 3, 3)
    apart(np.einsum("ijkk->ij", df), grad(lambda x: jnp.trace(f(x)), x), 0.3)


def test_N14_determinant_contracts_the_first_two_axes():
    """Prints det f tr(f^-1 df/dX): true if product and trace run over the first two axes, false entry by entry."""
    f, x, fx, df = matrix_function(3, 3, 4, 5)
    gradient, inverse = grad(lambda x: jnp.linalg.det(f(x)), x), np.linalg.inv(fx)
    close(gradient, np.linalg.det(fx) * np.einsum("ia,aikl->kl", inverse, df))
    apart(np.linalg.det(fx) * np.einsum("ia,iakl->kl", inverse, df), gradient, 0.3)


def test_N15_inverse_contracts_the_first_two_axes():
    """Prints -f^-1 (df/dX) f^-1: true if both products touch the first two axes, false on the last two."""
    f, x, fx, df = matrix_function(3, 3, 4, 5)
    inverse = np.linalg.inv(fx)
    close(jac(lambda x: jnp.linalg.inv(f(x)), x), -np.einsum("ia,abkl,bj->ijkl", inverse, df, inverse))
    f, x, fx, df = matrix_function(3, 3, 3, 3)
    inverse = np.linalg.inv(fx)
    apart(-inverse @ df @ inverse, jac(lambda x: jnp.linalg.inv(f(x)), x), 0.05)


def test_N16_bilinear_form_of_the_inverse():
    """Prints -X^-T a b' X^-T, in the shape of X: true; without its transposes it is false."""
    x, a, b = draw(116, (4, 4), (4,), (4,))
    x += 3 * np.eye(4)
    inverse = np.linalg.inv(x)
    gradient = grad(lambda x: a @ jnp.linalg.inv(x) @ b, x)
    close(gradient, -inverse.T @ np.outer(a, b) @ inverse.T)
    apart(-inverse @ np.outer(a, b) @ inverse, gradient, 0.05)


def test_N17_N18_linear_forms_mix_two_layouts():
    """Prints the row a' for x'a and a'x, but ab' for a'Xb: numerator layout for vectors, X's own shape for matrices."""
    a, b, x, z = draw(117, (4,), (3,), (4, 3), (4,))
    close(rows(lambda z: z @ a, z), a[None, :])
    close(rows(lambda z: a @ z, z), a[None, :])
    close(grad(lambda x: a @ x @ b, x), np.outer(a, b))


def test_N19_weighted_squares_need_a_symmetric_weight():
    """Prints -2(x - As)'WA for symmetric W: true; a general W has W + W' in place of 2W."""
    x, a, s, w = draw(119, (4,), (4, 3), (3,), (4, 4))
    e = (x - a @ s)[None, :]

    def by_s(w):
        return rows(lambda s: (x - a @ s) @ w @ (x - a @ s), s)

    close(by_s(w + w.T), -2 * e @ (w + w.T) @ a)
    close(by_s(w), -e @ (w + w.T) @ a)
    apart(-2 * e @ w @ a, by_s(w), 1)


def test_N20_trace_of_a_tensor_is_a_contraction():
    """States that a D x D x E x F tensor has an E x F trace: a contraction, linear, its derivative constant."""
    (tensor,) = draw(120, (3, 3, 4, 5))

    def trace(t):
        return jnp.trace(t, axis1=0, axis2=1)

    assert trace(tensor).shape == (4, 5)
    close(trace(tensor), sum(tensor[d, d] for d in range(3)))
    close(jac(trace, tensor), np.einsum("ab,eg,fh->efabgh", np.eye(3), np.eye(4), np.eye(5)))


def test_N28_placeholder_tensor_is_not_the_derivative_it_is_called():
    """Prints dA/dB for constant A, B: that is 0, nor is it R'R's; it belongs to (|row j of B|^2 + |column j|^2)/2."""
    a, b = np.arange(1.0, 9.0).reshape(4, 2), np.arange(9.0, 15.0).reshape(2, 3)
    code = np.zeros((4, 2, 2, 3))
    for i, j, p, q in np.ndindex(code.shape):  # what the branches of compute_gradient come to; A and i play no part
        code[i, j, p, q] = b[p, q] * ((j == p) + (j == q))
    even, odd = [[18, 10, 11], [12, 0, 0]], [[0, 10, 0], [12, 26, 14]]
    assert code.tolist() == [[even, odd]] * 4

    constant = jac(lambda b: jnp.asarray(a), b)
    assert not constant.any()
    apart(code, constant, 25)
    for gram in (lambda r: r.T @ r, lambda r: r @ r.T):
        tensor = jac(gram, b)
        assert tensor.shape != code.shape
        apart(code[:2, :2], tensor[:2, :2], 9)

    def half_squares(b):
        return jnp.tile((jnp.sum(b**2, axis=1) + jnp.sum(b**2, axis=0)[:2])[None, :] / 2, (4, 1))

    close(jac(half_squares, b), code)


# The notebook: automatic differentiation and networks


def formula(x):
    return x**2 + jnp.exp(x**2) + jnp.cos(x**2) + jnp.exp(x**2)


def graph(x):
    c = x**2 + jnp.exp(x**2)
    return jnp.sqrt(c) + jnp.cos(c)


def test_N21_formula_graph_and_both_printed_derivatives_disagree():
    """Prints a formula, the graph of another function, and two derivatives that are neither's nor each other's."""
    x = np.array([-0.8, 0.3, 0.5, 0.9, 1.2])
    s, e = np.sin(x**2), np.exp(x**2)
    c = x**2 + e
    of_formula, of_graph = (grad(lambda x, f=f: jnp.sum(f(x)), x) for f in (formula, graph))
    close(of_formula, 2 * x * (1 + 2 * e - s))
    close(of_graph, 2 * x * (1 / (2 * np.sqrt(c)) - np.sin(c)) * (1 + e))
    first = 2 * x + 2 * x * e - s + e + 2 * x + 2 * x * e
    second = 2 * x * (1 - s + e) * (1 + e)
    for one, other in [*itertools.product((first, second), (of_formula, of_graph)), (first, second)]:
        assert np.abs(one - other).min() > 0.1
    assert np.abs(formula(x) - graph(x)).min() > 0.5


def test_N22_local_partials_are_right_and_the_printed_sum_misses_paths():
    """Prints all local partials rightly but two of four paths: those through b are lost, a factor 1 + exp(x^2)."""
    x = 0.7
    a = x**2
    b = math.exp(a)
    c = a + b
    a_x, b_a, d_c, e_c = 2 * x, b, 1 / (2 * math.sqrt(c)), -math.sin(c)
    for g, at, printed in [(jnp.square, x, a_x), (jnp.exp, a, b_a), (jnp.sqrt, c, d_c), (jnp.cos, c, e_c)]:
        close(grad(g, at), printed)
    assert grad(lambda a, b: a + b, a, b, by=(0, 1)) == (1, 1)  # c by a and b, f by d and e
    truth = grad(graph, x)
    close(sum(last * middle * a_x for last in (d_c, e_c) for middle in (1, b_a)), truth)
    printed = d_c * a_x + e_c * a_x
    close(printed * (1 + b), truth)
    apart(printed, truth, 0.5)


def test_N26_sum_over_children():
    """Prints df/dx_i = sum over children j of df/dx_j dx_j/dx_i: true, and false with the first child alone."""
    nodes = [  # a function and its parents by number; 0 and 1 are the inputs
        (lambda u, v: u * v, (0, 1)),
        (lambda u, v: jnp.sin(u) + v, (2, 0)),
        (lambda u, v: jnp.exp(u) * v, (2, 3)),
        (lambda u, v, w: u + v * w, (4, 2, 3)),
    ]

    def forward(inputs):
        values = list(inputs)
        for g, parents in nodes:
            values.append(g(*[values[k] for k in parents]))
        return values

    def backward(inputs, most):
        values = forward(inputs)
        adjoint = [0.0] * (len(values) - 1) + [1.0]
        for i in reversed(range(len(values) - 1)):
            for j in [j for j in range(2, len(values)) if i in nodes[j - 2][1]][:most]:
                g, parents = nodes[j - 2]
                adjoint[i] += adjoint[j] * jax.grad(g, parents.index(i))(*[values[k] for k in parents])
        return adjoint[:2]

    inputs = (0.7, -0.4)
    truth = grad(lambda inputs: forward(inputs)[-1], inputs)
    close(backward(inputs, None), truth)
    apart(backward(inputs, 1), truth, 0.2)


ACTIVATIONS = {  # each with its derivative
    "sigmoid": (sigmoid, lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (jnp.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (jax.nn.relu, lambda z: np.where(z > 0, 1.0, 0.0)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_N23_recursion_through_the_layers(name):
    """Prints the chain rule for A_j, b_j with j = 1..K: true for j = 0..K-1, each layer reusing the one above."""
    sigma, slope = ACTIVATIONS[name]
    weights, biases, (x, y) = draw(123, (5, 3), (4, 5), (2, 4)), draw(124, (5,), (4,), (2,)), draw(125, (3,), (2,))

    def tail(f, weights, biases):
        """The loss of the layers given, from the input of the first of them."""
        for a, b in zip(weights, biases, strict=True):
            f = sigma(a @ f + b)
        return jnp.sum((y - f) ** 2)

    inputs = [x]
    for a, b in zip(weights, biases, strict=True):
        inputs.append(np.asarray(sigma(a @ inputs[-1] + b)))
    by_input = -2 * (y - inputs[3])
    close(by_input, grad(tail, inputs[3], [], []))
    for i in (2, 1, 0):
        by_bias = slope(weights[i] @ inputs[i] + biases[i]) * by_input
        by_weight, by_input = np.outer(by_bias, inputs[i]), weights[i].T @ by_bias
        truth = grad(tail, inputs[i], weights[i:], biases[i:], by=(0, 1, 2))
        for got, expected in zip((by_input, by_weight, by_bias), (truth[0], truth[1][0], truth[2][0]), strict=True):
            close(got, expected)
            apart(expected, np.zeros_like(expected), 1e-3)  # also for A_0 and b_0, which 1..K leaves out


@pytest.mark.parametrize("z", [-1.0, 0.3, 2.0])
def test_N23_N24_sigmoid_derivative(z):
    """Prints x(1 - x) as sigmoid's derivative: true where x is sigmoid's value, as in the code, not its argument."""
    value = 1 / (1 + math.exp(-z))
    close(grad(sigmoid, z), value * (1 - value))
    apart(z * (1 - z), grad(sigmoid, z), 0.03)


X, TARGET = [0.5, 0.8], 1
START = ([[0.5, 0.2], [0.3, 0.7]], [0.1, 0.2], [0.6, 0.9], 0.3)  # W1, b1, W2, b2


def forward_pass(params):
    """Hidden values and output; W1 acts from the right, as the notebook has it in code though not in its formula."""
    w1, b1, w2, b2 = params
    hidden = [1 / (1 + math.exp(-(sum(X[i] * w1[i][j] for i in range(2)) + b1[j]))) for j in range(2)]
    return hidden, 1 / (1 + math.exp(-(sum(hidden[j] * w2[j] for j in range(2)) + b2)))


def backward_pass(params, hidden, out):
    """What the notebook's pass multiplies by the learning rate, for W1, b1, W2 and b2."""
    d_out = (out - TARGET) * (out * (1 - out))
    d_hidden = [d_out * w * (value * (1 - value)) for w, value in zip(params[2], hidden, strict=True)]
    return [[d * x for d in d_hidden] for x in X], d_hidden, [d_out * value for value in hidden], d_out


def train(steps, forward_each_step, rate=0.05):
    params, values = START, forward_pass(START)
    for _ in range(steps):
        if forward_each_step:
            values = forward_pass(params)
        params = jax.tree.map(lambda p, g: p - rate * g, params, backward_pass(params, *values))
    return params


def test_N24_outputs_before_and_after_training():
    """Prints 0.7889176625306139, then 0.995164913282539: the loop never runs forward again, else it were 0.928."""
    # The last digit belongs to the platform's exp.
    assert forward_pass(START)[1] == pytest.approx(0.7889176625306139, rel=1e-14)
    assert forward_pass(train(1000, False))[1] == pytest.approx(0.995164913282539, rel=1e-14)
    assert forward_pass(train(1000, True))[1] == pytest.approx(0.9281528320638617, rel=1e-12)
    w1, *others = START
    apart(forward_pass((np.transpose(w1), *others))[1], 0.7889176625306139, 1e-4)  # sigma(W1 x + b1) instead


def test_N24_stale_training_has_a_closed_form():
    """Prints 1000 updates: with nothing run forward the output layer's are all one, W1's an arithmetic series."""
    (w1, b1, w2, b2), (hidden, out) = START, forward_pass(START)
    a, steps, rate = np.array(hidden), 1000, 0.05
    d = (out - TARGET) * out * (1 - out)
    pushed = rate * d * a * (1 - a) * (steps * np.array(w2) - rate * d * a * steps * (steps - 1) / 2)
    expected = w1 - np.outer(X, pushed), b1 - pushed, w2 - steps * rate * d * a, b2 - steps * rate * d
    for got, value in zip(train(steps, False), expected, strict=True):
        close(got, value)


@pytest.mark.parametrize(("steps", "low", "high"), [(0, 1 - 1e-12, 1 + 1e-12), (100, 1.5, 10)])
def test_N24_backward_pass_is_half_the_gradient_and_only_at_first(steps, low, high):
    """States L = |y - f|^2: its pass first gives half that gradient; 100 updates later twice it is far too large."""

    def loss(params):
        w1, b1, w2, b2 = params
        return (TARGET - sigmoid(w2 @ sigmoid(np.array(X) @ w1 + b1) + b2)) ** 2

    params = train(steps, False)
    by_hand = backward_pass(params, *forward_pass(START))
    truth = grad(loss, tuple(np.array(p) for p in params))
    for hand, true in zip(by_hand, truth, strict=True):
        ratio = 2 * np.array(hand) / true
        assert ((low < ratio) & (ratio < high)).all()


def test_N25_forward_and_reverse_mode_agree():
    """States two modes of exact differentiation: jacfwd and jacrev give one Jacobian, whatever the shapes."""
    a, b, x, m = draw(125, (4, 3), (4, 2, 3), (3,), (3, 3))
    cases = [
        (pair, x[:2]),
        (lambda x: jnp.tanh(a @ x), x),
        (lambda x: jnp.sin(b @ x), x),
        (lambda w: w @ x, a),
        (jnp.linalg.inv, m),
        (jnp.linalg.det, m),
        (lambda r: r.T @ r, a),
        (graph, 0.7),
    ]
    for f, point in cases:
        forward = jac(f, point)
        assert forward.shape == np.shape(f(point)) + np.shape(point)
        close(jax.jit(jax.jacrev(f))(point), forward)


def flops(f, x):
    return jax.jit(f).lower(x).cost_analysis()["flops"]


@pytest.mark.parametrize(("n_in", "n_out"), [(256, 1), (1, 256)])
def test_N32_the_cheaper_mode_has_fewer_operations(n_in, n_out):
    """States that reverse mode is cheaper where inputs outnumber outputs: by count it is, and dearer the other way."""
    w, v, x = draw(132, (16, n_in), (n_out, 16), (n_in,))

    def f(x):
        return v @ jnp.tanh(w @ x)

    forward, reverse = flops(jax.jacfwd(f), x), flops(jax.jacrev(f), x)
    cheap, dear = (reverse, forward) if n_in > n_out else (forward, reverse)
    assert cheap < 6 * flops(f, x)
    assert dear > 20 * flops(f, x)


def test_N32_written_out_gradient_costs_more_than_the_function():
    """States that a written-out gradient can cost more than f: n times for n factors; in reverse mode, four times."""
    x = tuple(draw(133, (24,))[0])

    def written_out(x):
        return [math.prod(x[:k] + x[k + 1 :]) for k in range(24)]

    close(written_out(x), grad(math.prod, x))
    assert flops(written_out, x) > 20 * flops(math.prod, x)
    assert flops(jax.grad(math.prod), x) <= 4 * flops(math.prod, x)


# The notebook: change of variables and higher orders


def test_N31_density_of_a_transformed_variable():
    """States that |det J| carries densities over: log p(y) = log p(x) - log |det J| has mass one, by this sign only."""

    def forward(x):
        stretched = x[0] * jnp.exp(x[1] / 4)
        return jnp.stack([stretched, x[1] + 0.3 * stretched])

    def inverse(y):
        x2 = y[1] - 0.3 * y[0]
        return jnp.stack([y[0] * jnp.exp(-x2 / 4), x2])

    def log_det(x):
        j = jax.jacfwd(forward)(x)
        return jnp.log(jnp.abs(j[0, 0] * j[1, 1] - j[0, 1] * j[1, 0]))

    def log_densities(y):
        """With the determinant in its place, left out, and with the wrong sign."""
        x = inverse(y)
        return -x @ x / 2 - math.log(2 * math.pi) - log_det(x) * np.array([1.0, 0.0, -1.0])

    step = 0.2
    grid = np.stack(np.meshgrid(np.arange(-20, 20, step), np.arange(-14, 14, step)), axis=-1).reshape(-1, 2)
    mass = np.exp(jax.jit(jax.vmap(log_densities))(grid)).sum(axis=0) * step**2
    close(mass, [1, math.exp(1 / 32), math.exp(1 / 8)], tol=1e-7)  # the means of |det J|^0, ^1 and ^2

    (y,) = draw(131, (2,))
    x = np.asarray(inverse(y))
    score = np.linalg.solve(rows(forward, x).T, -x - grad(log_det, x))
    close(grad(lambda y: log_densities(y)[0], y), score)


def bowl(x, y):
    return x * x + y * y + x * y


def test_N27_hessian_and_newton():
    """Prints the Hessian with both mixed partials, equal, here [[2, 1], [1, 2]]: Newton with it squares the error."""
    (start,) = draw(127, (2,))
    close(jac(jax.grad(lambda p: bowl(*p)), start), [[2, 1], [1, 2]])
    close(newton(lambda p: bowl(*p), start, 1)[1], [0, 0])

    path = newton(lambda p: bowl(*p) + jnp.exp(p[0] - 2 * p[1]), np.array([1.0, -1.0]), 12)
    errors = [np.linalg.norm(p - path[-1]) for p in path]
    late = next(k for k in range(12) if errors[k] < 1e-2)
    before, at, after = np.log(errors[late - 1 : late + 2])
    assert (after - at) / (at - before) == pytest.approx(2, abs=0.3)


def test_N33_order_of_differentiation():
    """Prints d^2 f/dy dx and d^2 f/dx dy: nested grads agree in every order, up to the third; n-th powers end at n!."""

    def f(x, y):
        return jnp.exp(x * y) + x**3 * jnp.sin(y)

    def nested(*by):
        g = f
        for argument in by:
            g = jax.grad(g, argument)
        return jax.jit(g)(x, y)

    x, y = 0.7, -0.4
    mixed = (1 + x * y) * math.exp(x * y) + 3 * x**2 * math.cos(y)
    close([nested(0, 1), nested(1, 0)], [mixed, mixed])
    close([nested(0, 0, 1), nested(0, 1, 0)], [nested(1, 0, 0)] * 2)
    g, s = (lambda x: x**5), jnp.sin
    for n in range(1, 6):
        g, s = jax.grad(g), jax.grad(s)
        close([g(x), s(x)], [math.perm(5, n) * x ** (5 - n), math.sin(x + n * math.pi / 2)])


def test_N33_mixed_partials_need_continuity():
    """States no condition for equal mixed partials: xy(x^2 - y^2)/(x^2 + y^2) has -1 and +1 at (0, 0)."""

    def f(x, y):
        return x * y * (x**2 - y**2) / (x**2 + y**2)

    for h in STEPS:  # both first partials vanish at the origin, so these are their difference quotients
        close([grad(f, 0.0, h) / h, grad(f, h, 0.0, by=1) / h], [-1, 1])


def difference_hessian(f, x, y, h):
    xx = (f(x + h, y) - 2 * f(x, y) + f(x - h, y)) / h**2
    yy = (f(x, y + h) - 2 * f(x, y) + f(x, y - h)) / h**2
    xy = (f(x + h, y + h) - f(x + h, y - h) - f(x - h, y + h) + f(x - h, y - h)) / (4 * h**2)
    return [[xx, xy], [xy, yy]]


def test_N34_difference_hessian_digits_and_error():
    """Prints 2.0000001654807416 and 0.9999978622943216: to every digit; all error is rounding, worse as h falls."""
    printed = [[2.0000001654807416, 0.9999978622943216], [0.9999978622943216, 2.0000001654807416]]
    assert difference_hessian(bowl, 1, 2, 1e-5) == printed
    apart(printed, [[2, 1], [1, 2]], 2e-6)
    for h in (Fraction(1, 10**5), Fraction(3)):
        assert difference_hessian(bowl, Fraction(1), Fraction(2), h) == [[2, 1], [1, 2]]
    coarse, printed, fine = (
        np.abs(np.subtract(difference_hessian(bowl, 1, 2, h), [[2, 1], [1, 2]])).max() for h in (1e-3, 1e-5, 1e-7)
    )
    assert coarse < 1e-8 < printed < 1e-5 < 1e-3 < fine
