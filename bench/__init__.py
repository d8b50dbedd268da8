"""The benchmarks room: what a closed form saves against automatic differentiation, measured and never asserted.

    make bench-quick                two dozen telling claims at n = 256 and small Hessians; under 3 minutes on 2 cores
    make bench                      every first-order claim at n = 1024, second order, peers; resumes where it was cut
    make bench-gpu PART=1/3         the same on a GPU, in parts
    identities bench report FILE    tables, means by chapter, plots, comparison of two files

`dims.py` says at which sizes a claim runs and how its operands are drawn, `harness.py` how one item is measured,
`hlo.py` what its programs are made of, `kernels.py` what of a closed form cannot be avoided, `reasons.py` why some
lose, `conftest.py` what a run states and keeps, `peers.py` what other libraries do; the `test_*.py` are the items:
gradients, Hessians, many small problems at once, kernels, peers.  Plain `pytest` collects `tests/` alone and never runs
any of this.
"""
