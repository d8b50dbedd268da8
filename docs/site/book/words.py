"""What the site says of a claim in words: titles, sources, and the phrases under which it is found."""

from __future__ import annotations

import re
from collections.abc import Iterator

from book.patterns import pattern
from identities.engine import pages
from identities.engine.identity import Claim
from identities.engine.sources import Source
from identities.engine.unicode import plain

# Other names of what a title or a statement says; a reader who looks for one of these means the other.
ALSO = {
    r"\\ln\b.*\\det|logarithm of.* determinant": ("logdet", "log det", "log determinant", "slogdet"),
    r"\\det\b|determinant": ("det", "determinant"),
    r"\\operatorname\{tr\}|\btrace": ("tr", "trace"),
    r"\^\{-1\}|\^\{-\\top\}|\binverse": ("inv", "inverse"),
    r"\^\+|pseudo-inverse": ("pinv", "pseudoinverse", "Moore-Penrose inverse"),
    r"\\otimes|kronecker": ("kron", "Kronecker product"),
    r"\\circ|entry by entry": ("Hadamard product", "elementwise"),
    r"\\\|_F|frobenius": ("Frobenius norm",),
    r"_\*|nuclear": ("nuclear norm", "trace norm"),
    r"\\\|_2|euclidean": ("2-norm", "Euclidean norm"),
    r"softmax": ("softmax",),
    r"log-sum-exp": ("logsumexp",),
    r"gaussian": ("normal distribution",),
    r"quadratic form": ("quadratic form",),
    r"least squares|residual": ("least squares", "linear regression"),
    r"\\lambda_|eigenvalue|eigenvector": ("eigenvalue", "eigh"),
}
# How a formula is typed where its signs are not at hand: x'Bx for xᵀBx.
TYPED = str.maketrans({"ᵀ": "'", "²": "^2", "³": "^3", "⁻": "^-", "¹": "1", "∘": "*", "⊗": "x", "‖": "|", "·": "*"})
KIND_WORDS = {
    "gradient": ("derivative", "gradient"),
    "jacobian": ("derivative", "Jacobian"),
    "hessian": ("second derivative", "Hessian"),
    "differential": ("differential", "derivative"),
    "value": (),
}


def what(claim: Claim) -> str:
    """Which derivative a claim gives: "gradient by X"."""
    by = " and ".join(claim.wrt)
    if claim.kind == "value":
        return "the form to compute" if claim.computed else "another form"
    if claim.kind == "differential":
        return f"differential along {' and '.join(claim.tangents)}"
    if claim.kind == "hessian":
        return f"Hessian by {by}" if len(claim.wrt) == 1 else f"mixed second derivative by {by}"
    if claim.wirtinger:
        return f"derivative by {by}{'*' if claim.wirtinger == 'z*' else ''} (Wirtinger)"
    word = "Jacobian" if claim.kind == "jacobian" else "gradient"
    space = pages.named(claim.entries or claim.within or "")
    if claim.entries:
        return f"{word} by {by} in the free entries of a {space} matrix"
    return f"{word} by {by} among {space} matrices" if claim.within else f"{word} by {by}"


def title(claim: Claim) -> str:
    """The heading of a claim's page."""
    return f"{claim.identity.title}: {what(claim)}{', as printed' if claim.status == 'refuted' else ''}"


def anchor(source: Source) -> str:
    """Where a locator stands on the page of its source."""
    return f"{source.key}-{source.locator}"


def phrases(claim: Claim) -> list[str]:
    """What a reader may type to find a claim: its name, its sources, "derivative of inverse", other names."""
    found = [claim.name, *(f"{s.key} {s.locator}" for s in claim.sources if not s.ours)]
    head = re.sub(r"^(A|The|An) ", "", claim.identity.title)
    bare = head if re.match(r"[A-Z]{2}|[A-Z]\b", head) else head[0].lower() + head[1:]
    found.append(bare)
    for word in KIND_WORDS[claim.kind]:
        found += [f"{word} of {bare}", f"{word} of the {bare}"]
    formula = plain(pages.split(claim.identity.latex)[0])
    found += [*also(claim.identity.title), formula, formula.translate(TYPED), f"formula {pattern(formula)}"]
    return list(dict.fromkeys(found))


def also(text: str) -> Iterator[str]:
    """Other names of what a title or a formula is about."""
    for meant, names in ALSO.items():
        if re.search(meant, text, re.IGNORECASE):
            yield from names


def tokens(claim: Claim) -> list[str]:
    """Words of their own: sources such as "MCB119", since a search drops bare numbers, and what the formula holds."""
    found = [re.sub(r"\W", "", f"{s.key}{s.locator}") for s in claim.sources if not s.ours]
    return list(dict.fromkeys([*found, *(name for name in also(claim.identity.latex) if " " not in name)]))
