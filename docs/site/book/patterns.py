"""A formula as a search compares it: by where its letters recur, so that x'Ax finds what is written x'Bx.

The browser does the same to what a reader types: static/formulas.js, which a test holds to this file.
"""

from __future__ import annotations

import re

SPELLED = (
    (r"\^\s*\{?\s*\\?(?:top|intercal|T)\b\s*\}?|[ᵀ⊤’′]|\.T\b", "'"),
    (r"⁻¹|\^\s*\{?\s*-\s*1\s*\}?", "^-1"),
    ("²", "^2"),
    ("³", "^3"),
    (r"\blog\s*det\b", "ln det"),
    (r"\b(?:log|logarithm)\b", "ln"),
    (r"\bdeterminant\b", "det"),
    (r"\btrace\b", "tr"),
    (r"\b(?:of|the)\b", " "),
    (r"[\s(){}\[\]*·∘\\]+", " "),
)
FUNCTIONS = "ln|det|tr|exp|sinh|sin|cosh|cos|tanh|diag|vec|adj|softmax|sigmoid"
TOKEN = re.compile(rf"(?:{FUNCTIONS})(?![a-z])|[^\W\d_]|\S")


def pattern(formula: str) -> str:
    """What two formulas share that differ in their letters only: "x'Ax" and "X'BX" are a'ba."""
    for spelled, meant in SPELLED:
        formula = re.sub(spelled, meant, formula)
    names: dict[str, str] = {}
    return "".join(
        names.setdefault(token, chr(ord("a") + len(names) % 26)) if len(token) == 1 and token.isalpha() else token
        for token in TOKEN.findall(formula)
    )
