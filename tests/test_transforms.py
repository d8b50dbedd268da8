"""Identities and closed forms under JAX's transforms: vmap, and forward against reverse mode."""

import jax
import numpy as np
import pytest

import identities
from identities.engine.checking import groups
from identities.engine.program import checking_context
from identities.engine.tolerance import LIMIT

CATALOGUE = identities.catalogue()
BATCH = 3
EPS = float(np.finfo(np.float64).eps)


def near(got, expected, of):
    """Within the tolerance of a check, relative to the largest entry."""
    top = max(float(np.max(np.abs(expected), initial=0.0)), of)
    assert np.shape(got) == np.shape(expected)
    assert float(np.max(np.abs(got - expected), initial=0.0)) <= LIMIT * EPS * top


def densified(function):
    def dense(**operands):
        result = function(**operands)
        return result.todense() if hasattr(result, "todense") else result

    return dense


@pytest.mark.parametrize("identity", CATALOGUE.identities.values(), ids=lambda identity: identity.name)
def test_vmap_is_a_loop_over_draws(identity):
    """Mapping an identity and its closed forms over a batch gives what a loop gives, at the telling shape."""
    group = next(groups(identity.claims.values()))
    case = group[0].cases()[0]
    names = [n for claim in group for n in (*claim.operands, *claim.tangents) if n not in claim.static]

    def everything(arrays):
        arrays = {**arrays, **case.counts}
        plain = {n: arrays[n] for n in group[0].operands}
        sides = {c.name: densified(c.function)(**{n: arrays[n] for n in (*c.operands, *c.tangents)}) for c in group}
        return {"value": identity(**plain), **sides}

    draws = []
    for seed in range(BATCH):
        values = {}
        for claim in group:
            values |= claim.draw(case, seed)
        draws.append({n: values[n] for n in dict.fromkeys(names)})
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *draws)
    device = jax.devices()[0]
    with checking_context(device):
        mapped = jax.device_get(jax.jit(jax.vmap(everything))(batch))
        single = jax.jit(everything)
        for i, draw in enumerate(draws):
            alone = jax.device_get(single(draw))
            for name, expected in alone.items():
                near(mapped[name][i], expected, of=float(np.max(np.abs(alone["value"]), initial=1.0)))


JACOBIANS = [  # of real operands: a Wirtinger derivative is no single call of jacfwd
    c for c in CATALOGUE.values() if (c.kind, c.status, c.structure, c.wirtinger) == ("jacobian", "holds", None, None)
]


@pytest.mark.parametrize("claim", JACOBIANS, ids=lambda claim: claim.name)
def test_N25_forward_and_reverse_mode_agree(claim):
    """jacfwd and jacrev give the same Jacobian for every Jacobian of the book (VCN N25)."""
    case = claim.cases()[0]
    values = claim.draw(case, 0)
    name = claim.wrt[0]

    def f(x):
        return claim.identity(**{**values, name: x})

    with checking_context(jax.devices()[0]):
        forward, backward = jax.device_get(jax.jit(lambda x: (jax.jacfwd(f)(x), jax.jacrev(f)(x)))(values[name]))
    near(backward, forward, of=0.0)
