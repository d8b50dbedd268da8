"""What an entry says of itself in words and LaTeX: equations, conditions, docstrings."""

from __future__ import annotations

import pathlib
import re
from typing import TYPE_CHECKING, Any

from identities.engine.operands import is_complex

if TYPE_CHECKING:
    from identities.engine.identity import Claim, Identity
    from identities.engine.shapes import Operand

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


BUILT = pathlib.Path(__file__).parents[2] / "docs" / "_build" / "html"
SITE = "https://matrix-identities.readthedocs.io/en/stable"


def slug(name: str) -> str:
    """The name of a claim's page: each capital in lower case after a hyphen, tr_axb_dX -> tr_axb_d-x.

    quad_dx and quad_dX must stay apart on a disk that folds case. A name holds no hyphen, so the way back is unique.
    """
    return re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", name)


def url(claim: Claim) -> str | None:
    """The permanent address of a claim's page; None for a claim of a module of your own."""
    ours = str(claim.function.__module__).startswith("identities.")
    return f"{SITE}/claims/{slug(claim.name)}.html" if ours else None


def address(claim: Claim) -> str | None:
    """Where a browser finds a claim's page: in the site built beside the package, or else at its permanent address."""
    permanent = url(claim)
    local = BUILT / "claims" / f"{slug(claim.name)}.html"
    return local.as_uri() if permanent and local.is_file() else permanent


TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)


def split(latex: str) -> tuple[str, str, bool]:
    """A function's LaTeX as the expression and what its letters mean; and whether the expression is a sum.

    "g(x) + h(x), \\quad g(x) = ..." is the sum "g(x) + h(x)", and "f(A) = ..." the expression "f(A)".
    """
    depth, bars, loose = 0, "", False
    for match in TOKEN.finditer(latex):
        token, at = match[0], match.start()
        if token in ("|", r"\|"):
            if token == bars:
                bars, depth = "", depth - 1
            elif not bars and not latex.startswith("_", match.end()):
                bars, depth = token, depth + 1
        elif token in ("(", "[", "{", r"\begin"):
            depth += 1
        elif token in (")", "]", "}", r"\end"):
            depth -= 1
        elif depth == 0:
            meaning = re.match(r",\s*\\quad\b\s*", latex[at:]) if token == "," else None
            if meaning:
                return latex[:at], latex[at + meaning.end() :], loose
            if token == "=":
                return latex[:at].strip(), re.sub(r",\s*\\quad\b", r",\\;", latex), loose
            loose = loose or (token in "+-" and bool(latex[:at].strip()))
    return latex, "", loose


def left_side(claim: Claim) -> str:
    """The left-hand side of a claim's equation, composed from its kind and its identity's LaTeX."""
    wrt = [tex(name) for name in claim.wrt]
    f, meaning, loose = split(claim.identity.latex)
    if claim.kind == "value":  # of f(X) = ... the whole, since the right-hand side goes on with it
        return claim.identity.latex if "=" in meaning and claim.identity.latex.startswith(f"{f} =") else f
    axes = claim.axes.split() if claim.axes else []
    if loose and claim.kind != "differential" and not (claim.kind == "jacobian" and len(axes) == 2):
        f = rf"\left({f}\right)"
    if claim.kind == "differential":
        along = ", ".join(r"\mathrm{d}" + w for w in wrt)
        return rf"\mathrm{{d}}\left({f}\right)[{along}]"
    if claim.kind == "hessian":
        u, v = wrt[0], wrt[-1]
        if len(axes) == 2:
            return rf"\frac{{\partial^2}}{{\partial {u}_{{{axes[0]}}}\,\partial {v}_{{{axes[1]}}}}}\,{f}"
        ranks = [len(claim.operands[name].dims) for name in claim.wrt]
        if len(ranks) == 1 and ranks[0] == 0:
            return rf"\frac{{\partial^2}}{{\partial {u}^2}}\,{f}"
        transposed = r"^\top" if ranks == [1] or ranks == [1, 1] else ""
        return rf"\frac{{\partial^2}}{{\partial {u}\,\partial {v}{transposed}}}\,{f}"
    conjugate = "^*" if claim.wirtinger == "z*" else ""
    if axes:
        of, by = axes if len(axes) == 2 else ("", axes[0])
        inner = rf"\left({f}\right)_{{{of}}}" if of else f
        return rf"\frac{{\partial}}{{\partial {wrt[0]}{conjugate}_{{{by}}}}}\,{inner}"
    if conjugate:
        return rf"\frac{{\partial}}{{\partial {wrt[0]}^*}}\,{f}"
    return rf"\frac{{\partial}}{{\partial {wrt[0]}}}\,{f}"


def equation(claim: Claim) -> str:
    """The equation that a claim states, whole; what the letters of the function mean stands at the end."""
    left, meaning = left_side(claim), split(claim.identity.latex)[1]
    if not meaning or left == claim.identity.latex:
        return f"{left} = {claim.latex}"
    comma = r",\; " if r"\quad" in claim.latex else r", \quad "
    return f"{left} = {claim.latex}{comma}{meaning}"


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
            f"the derivative is by the free entries of the {named(claim.entries)} matrix {tex(claim.wrt[0])}, "
            "laid out in its shape"
        )
    if claim.within:
        found.append(
            f"the gradient is taken on the space of {named(claim.within)} matrices, with the trace inner product"
        )
    if claim.kind == "gradient" and any(is_complex(claim.operands[name].word) for name in claim.wrt):
        found.append("the gradient of a real function is 2 df/dz*; jax.grad returns its conjugate")
    if claim.wirtinger:
        found.append("a Wirtinger derivative: of z and z* one is held fixed while the other varies")
    return tuple(found)


def named(space: str) -> str:
    """A space of matrices in a sentence, with the capital of a family name: "symmetric Toeplitz"."""
    return space.replace("toeplitz", "Toeplitz")


def operand_words(operand: Operand) -> str:
    """One operand as a sentence: "X is an m × n matrix", "x is a vector of length n, positive in every entry"."""
    if operand.static:
        return f"{operand.name} is {operand.word.english}, tried from {operand.word.low} to {operand.word.high}"
    sizes = [str(dim) for dim in operand.dims]
    complex_ = "complex " if is_complex(operand.word) else ""
    if not sizes:
        what = f"a {complex_}scalar"
    elif len(sizes) == 1:
        what = f"a {complex_}vector of length {sizes[0]}"
    else:
        article = "a" if complex_ or sizes[0][0] not in "aefhilmnorsx8" else "an"
        what = f"{article} {complex_}{' × '.join(sizes)} {'matrix' if len(sizes) == 2 else 'array'}"
    return f"{operand.name} is {what}{f', {operand.english}' if operand.english else ''}"


def layouts(claim: Claim) -> dict[str, str]:
    """The shape of a claim's right-hand side in both layouts that books use; the one that is ours says so."""
    if claim.kind in ("value", "differential"):
        return dict.fromkeys(("denominator", "numerator"), "the shape of the function's value")
    wrt = [claim.operands[name] for name in claim.wrt]
    names = [operand.name for operand in wrt]
    sizes = [" × ".join(map(str, operand.dims)) for operand in wrt]
    ours = f"ours, as {KIND_OF_JAX[claim.kind]}"
    if claim.kind == "gradient":
        if not sizes[0]:
            return {"denominator": f"a scalar ({ours})", "numerator": "the same"}
        column = "a column of length " if len(wrt[0].dims) == 1 else ""
        turned = f"1 × {sizes[0]}, a row" if column else " × ".join(str(d) for d in reversed(wrt[0].dims))
        how = "the transpose" if len(wrt[0].dims) < 3 else "its axes in reverse order"
        return {
            "denominator": f"{column}{sizes[0]}, the shape of {names[0]} ({ours})",
            "numerator": f"{turned}: {how}",
        }
    if claim.kind == "hessian":
        if len(wrt) == 1:
            axes = f"the axes of {names[0]} twice" if sizes[0] else "a scalar"
            return {"denominator": f"{axes} ({ours})", "numerator": "the same, since the order does not matter"}
        return {
            "denominator": f"the axes of {names[0]}, then of {names[1]} ({ours})",
            "numerator": f"the axes of {names[1]}, then of {names[0]}: the transpose",
        }
    if not sizes[0]:
        row = "the axes of the output, as a row" if output_rank(claim) == 1 else "the axes of the output"
        return {"denominator": row, "numerator": f"the axes of the output ({ours})"}
    matrix = len(wrt[0].dims) == 1 and output_rank(claim) == 1
    return {
        "denominator": f"the axes of {names[0]}, then of the output{': the transpose' if matrix else ''}",
        "numerator": f"the axes of the output, then of {names[0]} ({ours})",
    }


def layout_lines(claim: Claim) -> list[str]:
    """The layouts, a line each; one line where they do not differ."""
    told = layouts(claim)
    if len(set(told.values())) == 1:
        return [told["denominator"]]
    return [f"{name}: {text}" for name, text in told.items()]


KIND_OF_JAX = {"gradient": "jax.grad", "jacobian": "jax.jacfwd", "hessian": "jax.hessian"}


def output_rank(claim: Claim) -> int | None:
    """How many axes the function's value has, as its annotation says; None where it does not say."""
    text = getattr(claim.identity.signature.return_annotation, "dim_str", None)
    return None if text is None else len(text.split())


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
    lines = [f"{claim.identity.title}. {head}", "", *indented(equation(claim)), "", "Operands:"]
    lines += [f"    {operand_words(operand)}" for operand in claim.operands.values()]
    if claim.conditions:
        lines += ["Conditions:", *(f"    {c}" for c in claim.conditions)]
    lines += ["Layout:", *(f"    {text}" for text in layout_lines(claim)), "Sources:"]
    for source in claim.sources:
        layout = f" ({source.layout} layout)" if source.layout else ""
        lines.append(f"    {source}" + (f", printed as {source.latex}{layout}" if source.latex else ""))
    lines += ["Page:", f"    {url(claim)}"] if url(claim) else []
    return "\n".join(lines)


def indented(latex: str) -> list[str]:
    return [f"    {line.strip()}" for line in latex.splitlines()]


def display(latex: str) -> str:
    """A formula on a line of its own in Markdown; a blank line or a break within it would end it."""
    return f"$$\n{' '.join(latex.split())}\n$$"


def notebook(claim: Claim) -> str:
    """A claim in Markdown, as a notebook shows it."""
    what = f"{claim.kind} by {', '.join(claim.wrt)}" if claim.wrt else "another form"
    head = f"**{claim.identity.title}**: {what} (`{claim.name}`, {claim.status})"
    lines = [head] + ([f"**False as printed**: {claim.because}."] if claim.status == "refuted" else [])
    lines.append(display(claim.statement))
    if claim.conditions:
        lines.append(f"Conditions: {'; '.join(claim.conditions)}.")
    lines.append(f"Sources: {', '.join(map(str, claim.sources))}.")
    return "\n\n".join(lines) + "\n"


def identity_page(identity: Identity[..., Any]) -> str:
    """The docstring of an identity, with the claims that it has so far."""
    lines = [f"{identity.title}.", "", *indented(identity.latex), "", "Operands:"]
    lines += [f"    {operand_words(operand)}" for operand in identity.parsed.values()]
    if identity.where:
        lines += ["Condition:", f"    {identity.where}"]
    if identity.claims:
        lines += [
            "Claims:",
            *(f"    {c.name}{'' if c.status == 'holds' else ', refuted'}" for c in identity.claims.values()),
        ]
    return "\n".join(lines)
