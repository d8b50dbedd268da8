"""What an entry says of itself in words and LaTeX: equations, conditions, docstrings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from identities.engine.operands import is_complex

if TYPE_CHECKING:
    from identities.engine.identity import Claim, Identity

GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "theta",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Pi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
    ]
)


def tex(name: str) -> str:
    """An operand's name in LaTeX: A0 -> A_{0}, theta -> \\theta."""
    match = re.fullmatch(r"([A-Za-z_]*)(\d*)", name)
    letters, digits = (match[1], match[2]) if match else (name, "")
    base = "\\" + letters if letters in GREEK else letters if len(letters) == 1 else rf"\mathrm{{{letters}}}"
    return base + (f"_{{{digits}}}" if digits else "")


def left_side(claim: Claim) -> str:
    """The left-hand side of a claim's equation, composed from its kind and its identity's LaTeX."""
    f, wrt = claim.identity.latex, [tex(name) for name in claim.wrt]
    if claim.kind == "value":
        return f
    if claim.kind == "differential":
        along = ", ".join(r"\mathrm{d}" + w for w in wrt)
        return rf"\mathrm{{d}}\left({f}\right)[{along}]"
    axes = claim.axes.split() if claim.axes else []
    if claim.kind == "hessian":
        u, v = wrt[0], wrt[-1]
        if len(axes) == 2:
            return rf"\frac{{\partial^2}}{{\partial {u}_{{{axes[0]}}}\,\partial {v}_{{{axes[1]}}}}}\,{f}"
        ranks = [len(claim.operands[name].dims) for name in claim.wrt]
        if len(ranks) == 1 and ranks[0] == 0:
            return rf"\frac{{\partial^2}}{{\partial {u}^2}}\,{f}"
        transposed = r"^\top" if ranks == [1] or ranks == [1, 1] else ""
        return rf"\frac{{\partial^2}}{{\partial {u}\,\partial {v}{transposed}}}\,{f}"
    if claim.wirtinger == "z*":
        return rf"\frac{{\partial}}{{\partial {wrt[0]}^*}}\,{f}"
    if axes:
        of, by = axes if len(axes) == 2 else ("", axes[0])
        inner = rf"\left({f}\right)_{{{of}}}" if of else f
        return rf"\frac{{\partial}}{{\partial {wrt[0]}_{{{by}}}}}\,{inner}"
    return rf"\frac{{\partial}}{{\partial {wrt[0]}}}\,{f}"


def equation(claim: Claim) -> str:
    """The equation that a claim states, whole."""
    return f"{left_side(claim)} = {claim.latex}"


def domain(claim: Claim) -> tuple[str, ...]:
    """Which operands a claim speaks of: words and dims."""
    found = []
    for operand in claim.operands.values():
        if operand.static:
            found.append(
                f"{operand.name} is {operand.word.english} (tried from {operand.word.low} to {operand.word.high})"
            )
        elif operand.english:
            found.append(f"{operand.name} is {operand.english}")
        elif is_complex(operand.word):
            found.append(f"{operand.name} is complex")
    for part in dict.fromkeys((claim.where or "").split(" and ")):
        if part and not re.fullmatch(r"(\w) *<= *\1", part.strip()):  # `given` can make n <= n of n <= m
            found.append(part.strip().replace("<=", "≤").replace(">=", "≥").replace("==", "="))
    return tuple(found)


def conditions(claim: Claim) -> tuple[str, ...]:
    """What a reader must know before using a claim: words, dims, structure."""
    found = list(domain(claim))
    if claim.entries:
        found.append(
            f"the derivative is by the free entries of {tex(claim.wrt[0])} as a {claim.entries} matrix, "
            "laid out in its shape"
        )
    if claim.within:
        found.append(f"the gradient is taken on the space of {claim.within} matrices, with the trace inner product")
    if claim.kind == "gradient" and any(is_complex(claim.operands[name].word) for name in claim.wrt):
        found.append("the gradient of a real function is 2 df/dz*; jax.grad returns its conjugate")
    if claim.wirtinger:
        found.append("a Wirtinger derivative: of z and z* one is held fixed while the other varies")
    return tuple(found)


LAYOUTS = {
    "gradient": "shape of the argument (denominator layout, as jax.grad); numerator layout is its transpose",
    "jacobian": "axes of the output, then axes of the argument (as jax.jacfwd)",
    "hessian": "axes of the first operand, then of the second (as jax.hessian)",
    "differential": "shape of the function's value (as jax.jvp)",
    "value": "shape of the function's value",
}


def claim_page(claim: Claim) -> str:
    """The docstring of a closed form."""
    if claim.status == "holds":
        head = (
            "Closed form of the function."
            if claim.kind == "value"
            else f"{claim.kind.capitalize()} by {', '.join(claim.wrt)}."
        )
    else:
        head = f"REFUTED, kept as printed: {claim.because}."
    lines = [f"{claim.identity.title}. {head}", "", f"    {equation(claim)}", "", "Operands:"]
    lines += [f"    {operand.description}" for operand in claim.operands.values()]
    if claim.conditions:
        lines += ["Conditions:", *(f"    {c}" for c in claim.conditions)]
    lines += ["Layout:", f"    {LAYOUTS[claim.kind]}", "Sources:"]
    for source in claim.sources:
        layout = f" ({source.layout} layout)" if source.layout else ""
        lines.append(f"    {source}" + (f", printed as {source.latex}{layout}" if source.latex else ""))
    return "\n".join(lines)


def identity_page(identity: Identity[..., Any]) -> str:
    """The docstring of an identity."""
    lines = [f"{identity.title}.", "", f"    {identity.latex}", "", "Operands:"]
    lines += [f"    {operand.description}" for operand in identity.parsed.values()]
    return "\n".join([*lines, f"Condition: {identity.where}"] if identity.where else lines)
