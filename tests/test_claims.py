"""Every claim holds, and every refuted one is refuted, in float64 and in float32."""

import pytest

import identities
from identities.pytest_plugin import DTYPES, Examiner

CLAIMS = list(identities.catalogue().values())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim(claim: identities.Claim, dtype: str, identities_examiner: Examiner) -> None:
    verdict = identities_examiner.verdict(claim, dtype)
    assert verdict.ok, f"\n{verdict}"
