"""Why a closed form is slower than autodiff, where its kernels alone do not say it: a sentence a claim.

What the programs are made of stands before it on the page; here is what the claim is for, or what it costs by design.
"""

ENTRIES = "It forms all n^4 terms and sums them, as the print does; `{}` is the fast form."
SINGULAR = (
    "It holds at singular matrices too, for which it takes an SVD; autodiff takes an LU, and at diag(1, 2, 0, 3), say, "
    "its gradient is all zeros; `{}` is the fast form for invertible matrices."
)

REASONS = {
    "chain_dX_sum": ENTRIES.format("chain_dX"),
    "chain_dX_trace": ENTRIES.format("chain_dX"),
    "det_axb_dX_adjugate": SINGULAR.format("det_axb_dX"),
    "det_dX_adjugate": SINGULAR.format("det_dX"),
    "det_xax_dX": (
        "On a CPU: 10.7 n^3 flops, 4.7 of them in LAPACK's single thread, against 12.7 n^3, of which LAPACK does 2.7 "
        "and XLA's products on all cores do the others."
    ),
    "graph_last_dc_solved": (
        "It makes a triangular matrix of what the forward loop leaves and solves with that; the backward loop, which "
        "autodiff and `graph_last_dc` run, goes over the rows of W as they are."
    ),
    "lse_dx": (
        "The f of the book does not shift: from x = 710 on (89 in float32) e^x overflows and its gradient is NaN. "
        "The softmax is shifted, which takes one more pass for the maximum."
    ),
    "open_det_dX_contracted": ENTRIES.format("open_det_dX"),
    "open_structured_dA_sum": ENTRIES.format("open_structured_dA_entries"),
    "open_structured_dA_trace": ENTRIES.format("open_structured_dA_entries"),
    "open_trace_dX_contracted": ENTRIES.format("open_trace_dX"),
}
