"""What programs are made of is read right: fused products, library calls, one program or two, and kernels alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import lu_factor, lu_solve

from bench import dims, harness, hlo
from bench.kernels import apart, kernels_of
from bench.test_kernels import QUICK, kernel_claims

FUSED = """HloModule jit_f, is_scheduled=true

%fused_computation (param_0: f64[8,8], param_1: f64[8,8]) -> f64[8,8] {
  %param_0 = f64[8,8]{1,0} parameter(0)
  %param_1 = f64[8,8]{1,0} parameter(1)
  ROOT %dot.0 = f64[8,8]{1,0} dot(%param_0, %param_1), lhs_contracting_dims={0}, rhs_contracting_dims={0}, metadata={op_name="f(a[\\'A\\'])}"}
}

ENTRY %main.1 (a: f64[8,8], x: f64[8], y: f64[8,1]) -> (f64[8], f64[8,1]) {
  %a = f64[8,8]{1,0} parameter(0), metadata={op_name="a{"}
  %x = f64[8]{0} parameter(1)
  %y = f64[8,1]{0,1} parameter(2)
  %ynn_fusion = f64[8,8]{1,0} fusion(%a, %a), kind=kCustom, calls=%fused_computation, backend_config={"fusion_config":{"kind":"__ynn_fusion"}}
  %lu.0 = (f64[8,8]{0,1}, s32[8]{0}, s32[]) custom-call(%ynn_fusion), custom_call_target="lapack_dgetrf_ffi"
  %lu.1 = f64[8,8]{0,1} get-tuple-element(%lu.0), index=0
  %solve.1 = f64[8,8]{0,1} custom-call(%lu.1, %a), custom_call_target="lapack_dtrsm_ffi", backend_config={trans_x = 78 : ui8}
  %solve.2 = f64[8,1]{0,1} custom-call(%lu.1, %y), custom_call_target="lapack_dtrsm_ffi", backend_config={trans_x = 78 : ui8}
  %dot.1 = f64[8]{0} dot(%a, %x), lhs_contracting_dims={0}, rhs_contracting_dims={0}
  %dot.2 = f64[] dot(%x, %x), lhs_contracting_dims={0}, rhs_contracting_dims={0}
  %gemm = (f64[8,8]{1,0}, s8[4]{0}) custom-call(%a, %solve.1), custom_call_target="__cublas$gemm", backend_config={"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"],"lhs_batch_dimensions":[]},"selected_algorithm":"7"}}
  %chol = f64[8,8]{1,0} custom-call(%a), custom_call_target="cusolver_potrf_ffi"
  %q = c128[8,8]{1,0} custom-call(%a), custom_call_target="lapack_zungqr_ffi"
  %loop = (s64[], f64[8]{0}) while(%pair), condition=%c, body=%b
  ROOT %out = (f64[8]{0}, f64[8,1]{0,1}) tuple(%dot.1, %solve.2)
}
"""  # noqa: E501


def text_of(function, *operands):
    return jax.jit(function).lower(*operands).compile().as_text()


def test_products_count_in_fusions_and_library_calls_by_routine():
    found = hlo.kernels(FUSED)
    wanted = {"products": 2, "left transposed": 1, "by vector": 1, "getrf": 1, "trsm": 1, "trsv": 1, "potrf": 1}
    assert found == dict(sorted((wanted | {"orgqr": 1, "loops": 1, "fusions": 1}).items()))
    bare = FUSED.replace(" dot(%param_0", " add(%param_0")  # the product that a look at the entry alone would miss
    assert hlo.kernels(bare)["products"] == 1 and "left transposed" not in hlo.kernels(bare)
    straight = FUSED.replace(
        "dot(%param_0, %param_1), lhs_contracting_dims={0}", "dot(%param_0, %param_1), lhs_contracting_dims={1}"
    )
    assert "left transposed" not in hlo.kernels(straight)
    turned = straight.replace("%param_0 = f64[8,8]{1,0}", "%param_0 = f64[8,8]{0,1}")  # column by column in memory
    assert hlo.kernels(turned)["left transposed"] == 1


def test_a_compiled_program_is_read():
    A, x = np.random.default_rng(0).standard_normal((16, 16)), np.ones(16)
    found = hlo.kernels(text_of(lambda A, x: jnp.tanh(A.T @ A) @ A + jnp.linalg.inv(A) + jnp.diag(A @ x), A, x))
    assert found["products"] == 2 and found["by vector"] == 1 and found["left transposed"] == 1
    assert found["getrf"] == 1 and found["trsm"] == 2


def test_the_same_program_is_told_from_another():
    A = np.random.default_rng(0).standard_normal((16, 16))
    program = lambda f: hlo.fingerprint(text_of(f, A, A))  # noqa: E731
    first = program(lambda A, B: A @ B.T)

    def otherwise_called(one, other):
        return jax.jit(lambda swapped: one @ swapped)(other.T)

    assert first == program(otherwise_called)
    others = [lambda A, B: A @ B, lambda A, B: A.T @ B, lambda A, B: B @ A.T, lambda A, B: 2 * (A @ B.T)]
    assert first not in map(program, others)
    solved = [program(lambda A, B, trans=trans: lu_solve(lu_factor(A), B, trans=trans)) for trans in (0, 1)]
    assert solved[0] != solved[1]


def test_what_a_library_call_is_configured_to_do_is_part_of_a_program():
    normal = hlo.normal(FUSED)
    assert hlo.normal(FUSED.replace("%ynn_fusion", "%other").replace("a{", "b}").replace('"7"', '"8"')) == normal
    assert hlo.normal(FUSED.replace("__ynn_fusion", "another")) == normal
    assert hlo.normal(FUSED.replace("trans_x = 78", "trans_x = 84")) != normal
    assert hlo.normal(FUSED.replace('lhs_contracting_dimensions":["1"]', 'lhs_contracting_dimensions":["0"]')) != normal
    assert hlo.normal(FUSED.replace("%solve.2 = ", "%solve.3 = ")) != normal  # another operand of the root
    assert hlo.fingerprint(FUSED) and not hlo.fingerprint(FUSED + "  %k = f64[9]{0} constant({...})\n")


def test_the_row_keeps_what_each_program_is_made_of_and_which_are_one():
    A = np.random.default_rng(0).standard_normal((8, 8))
    same, other = lambda A: A.T @ A, lambda A: (A + 1).T @ A @ A
    columns = [
        harness.Column("closed", same, None),
        harness.Column("autodiff", same),
        harness.Column("computed", other),
    ]
    columns.append(harness.Column("numpy", other, plain=True))
    item = harness.Item("first", "f_dA", "traces", 8, {}, "float64", {"A": A}, columns)
    programs = [harness.Compiled(c, item.operands) for c in columns]
    for p in programs:
        p.time()
    found = harness.row(item, programs, {})
    assert found["same"] == ["autodiff"] and set(found["kernels"]) == {"closed", "autodiff", "computed"}
    assert found["kernels"]["closed"]["products"] == 1 and found["kernels"]["computed"]["products"] == 2


def named(function, **operands):
    return sorted(e.primitive.name for e in kernels_of(function, operands)[0])


X = np.random.default_rng(0).standard_normal((6, 6)) + 3 * np.eye(6)


def test_kernels_are_found_in_calls():
    @jax.custom_jvp
    def product(A, B):
        return jax.checkpoint(lambda A: jnp.tanh(A) @ B)(A)

    product.defjvp(lambda primals, tangents: (product(*primals), tangents[0] @ primals[1]))
    assert named(lambda X: jax.jit(lambda Y: lu_factor(Y + 1)[0])(X), X=X) == ["lu"]
    assert named(lambda X: product(X, X) + 1, X=X) == ["dot_general"]
    assert named(lambda X: jnp.linalg.solve(X, X[0]), X=X) == ["lu", "triangular_solve", "triangular_solve"]
    assert (
        named(lambda X: jnp.sum(X, 0) + jnp.prod(jnp.diagonal(X)), X=X) == []
    )  # a branch by platform, without kernels


def test_a_linear_solve_counts_its_solve_alone():
    def solved(X):
        return jax.lax.custom_linear_solve(lambda v: X @ v, X[0], lambda _, b: lu_solve(lu_factor(X), b))

    assert named(solved, X=X) == ["lu", "triangular_solve", "triangular_solve"]


def test_dead_kernels_do_not_count_and_equal_ones_count_once():
    def dead(X):
        jnp.linalg.cholesky(X)  # what nobody reads, XLA drops
        return X @ X

    assert named(dead, X=X) == ["dot_general"]
    assert named(lambda X: jax.jit(lambda Y: (Y @ X.T, Y @ X))(X)[1], X=X) == ["dot_general"]
    assert named(lambda X: (X.T @ X) + jax.jit(lambda Y: Y.T @ Y)(X), X=X) == ["dot_general"]
    assert named(lambda X: (X.T @ X) + X @ X.T, X=X) == ["dot_general"] * 2


def test_kernels_in_a_loop_or_a_branch_are_left_out():
    loop = lambda X: jax.lax.while_loop(lambda Y: Y[0, 0] < 1, lambda Y: Y @ X, X)  # noqa: E731
    with pytest.raises(harness.LeftOut, match="decided at run time"):
        named(loop, X=X)
    with pytest.raises(harness.LeftOut, match="branch"):
        named(lambda X: jax.lax.cond(X[0, 0] > 0, lambda: X @ X, lambda: X), X=X)
    with pytest.raises(harness.LeftOut, match="wait for each other"):
        named(lambda X: jax.lax.fori_loop(0, 3, lambda _, Y: jnp.linalg.inv(Y), X), X=X)
    assert named(lambda X: (loop(X), X @ X)[1], X=X) == ["dot_general"]  # a dead loop is no reason


def test_alone_runs_every_kernel_and_is_finite():
    """XLA merges and drops none of them: the HLO of `alone` has what the jaxpr has."""

    def function(X):
        again = jnp.linalg.eigh(X + X.T)[1] @ jnp.linalg.cholesky(X @ X.T)
        return jnp.linalg.qr(again)[0] + jnp.linalg.svd(X)[0] + jnp.linalg.inv(X).T

    found, results = kernels_of(function, {"X": X})
    others, alone = apart(found, results, "float64")
    made = hlo.kernels(text_of(alone, others))
    assert made["products"] == 2 and (made["getrf"], made["trsm"], made["potrf"], made["syevd"]) == (1, 2, 1, 1)
    assert made["geqrf"] == made["orgqr"] == made["gesdd"] == 1
    assert harness.finite(jax.jit(alone)(others))


def test_a_result_that_no_kernel_writes_is_filled():
    fills = lambda f: "fill" in apart(*kernels_of(f, {"X": X}), "float64")[0]  # noqa: E731
    assert fills(lambda X: 2 * X) and fills(lambda X: jnp.outer(X @ X[0], X[0]))
    assert not fills(lambda X: X @ X)


def test_every_claim_of_the_families_has_its_kernels_or_says_why():
    assert {c.name for c in kernel_claims()} >= set(QUICK)
    for claim in kernel_claims():
        sizes = dims.dims_of(claim, 8)
        try:
            found, results = kernels_of(harness.with_counts(claim.function, sizes.counts), dims.abstract(claim, sizes))
        except harness.LeftOut as reason:
            assert claim.name not in QUICK and str(reason).startswith("it has a"), claim.name
        else:
            assert results and all(len(e.reads) == len(e.shapes) for e in found), claim.name
