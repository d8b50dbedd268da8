"""What a compiled program does, read from its optimised HLO: products, library calls, loops; and whether two are one.

    kernels(program.as_text())      {"fusions": 9, "getrf": 1, "left transposed": 1, "loops": 1, "products": 3}
    normal(a.as_text()) == normal(b.as_text())

Every `dot` of the text counts, in fusions too (XLA:CPU puts products into fusions of kind kCustom, XLA:GPU into those
of Triton), and the calls of cuBLAS and oneDNN that stand for one.  A loop counts once, and so does what it does.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = (\(.*?\)|\S+) ([\w-]+)\((.*)$")
SHAPE = re.compile(r"^\w+\[([\d,]*)\](?:\{([\d,]*))?")
COMPUTATION = re.compile(r"^(ENTRY )?(%?[\w.-]+) .*\{$")
TARGET = re.compile(r'custom_call_target="([^"]+)"')
GEMM = re.compile(r"^__(cublas\$(lt\$)?(gemm|matmul)|onednn\$matmul)")
# One name for the routine of either field, and for what XLA calls itself
ROUTINES = {"ungqr": "orgqr", "heevd": "syevd", "hetrd": "sytrd", "triangularSolve": "trsm", "cholesky": "potrf"}
LINES = {"while": "loops", "fusion": "fusions"}
IDLE = ("metadata", "frontend_attributes", "backend_config")  # attributes that say nothing of what is computed


def kernels(text: str) -> dict[str, int]:
    """How many of each there are; what there is none of is left away.

    `products` are of two matrices, `left transposed` those of them whose left factor is read along its columns, `by
    vector` those of a matrix and a vector.  Routines go by LAPACK's name without the letter of the precision; `trsv`
    is a triangular solve of a single right-hand side.
    """
    found: Counter[str] = Counter()
    shapes: dict[str, str] = {}
    for line in text.splitlines():
        match = INSTRUCTION.match(line)
        if match is None:
            continue
        shapes[match[1]], opcode, rest = match[2], match[3], match[4]
        operands = [shapes.get(word, "") for word in _operands(rest)]
        target = TARGET.search(rest) if opcode == "custom-call" else None
        if opcode == "dot" or (target and GEMM.match(target[1])):
            found.update(_product(operands[:2], rest))
        elif target:
            routine = _routine(target[1])
            single = routine == "trsm" and len(operands) > 1 and 1 in _dims(operands[1])[-2:]
            found["trsv" if single else routine] += 1
        elif opcode in LINES:
            found[LINES[opcode]] += 1
    return dict(sorted(found.items()))


def _operands(rest: str) -> list[str]:
    """The names of an instruction's operands, with or without their types before them."""
    inside = rest.partition(")")[0]
    return re.findall(r"%([\w.-]+)", inside) or inside.split(", ")


def _dims(shape: str) -> list[int]:
    match = SHAPE.match(shape)
    return [int(d) for d in match[1].split(",") if d] if match else []


def _layout(shape: str) -> list[int]:
    """The axes from the one whose entries lie side by side to the one whose lie farthest apart."""
    match = SHAPE.match(shape)
    return [int(d) for d in (match[2] or "").split(",") if d] if match else []


def _axes(rest: str, side: str, what: str) -> list[int]:
    """The axes that a product contracts, or runs along in step: an attribute of a dot, the configuration of a call."""
    match = re.search(rf"{side}_{what}_dims=\{{([\d,]*)\}}", rest)
    match = match or re.search(rf'"{side}_{what}_dimensions":\[([\d,"]*)\]', rest)
    return [int(d) for d in match[1].replace('"', "").split(",") if d] if match else []


def _product(operands: Sequence[str], rest: str) -> list[str]:
    """How one product counts; one of two vectors does not."""
    rows, transposed = [], False
    for side, shape in zip(("lhs", "rhs"), operands, strict=True):
        dims, contracted = _dims(shape), _axes(rest, side, "contracting")
        fixed = {*contracted, *_axes(rest, side, "batch")}
        free = [i for i in range(len(dims)) if i not in fixed and dims[i] > 1]
        rows.append(math.prod(dims[i] for i in free))
        order = _layout(shape) or list(range(len(dims)))[::-1]
        if side == "lhs" and free and contracted:
            transposed = min(map(order.index, free)) < min(map(order.index, contracted))
    if min(rows) > 1:
        return ["products", *(["left transposed"] if transposed else [])]
    return ["by vector"] if max(rows) > 1 else []


def _routine(target: str) -> str:
    """The routine that a custom call is of: lapack_dgetrf_ffi and cusolver_getrf_ffi are getrf."""
    name = re.sub(r"_ffi$", "", target).rpartition("$")[2]
    name = re.sub(r"^(lapack|blas)_[sdcz](?=\w)", "", name)
    name = re.sub(r"^(cusolver|cublas|hipsolver|hipblas)_", "", name)
    return ROUTINES.get(name, name)


def normal(text: str) -> str:
    """A program without the names in it: equal texts are the same instructions in the same order.

    What the instructions are called, where they come from and how they are shared out goes.  The configuration of a
    custom call stays: it says which triangle is solved with, and which factor of a product is transposed.
    """
    lines = []
    for line in text.splitlines():
        heading = COMPUTATION.match(line)
        if heading:
            lines.append(f"{heading[1] or ''}{heading[2] if heading[2].startswith('%') else '%' + heading[2]} {{")
        elif lines and (INSTRUCTION.match(line) or line == "}"):
            called = " custom-call(" in line
            for attribute in IDLE:
                if attribute != "backend_config" or not called:
                    line = without(line, attribute)
            lines.append(re.sub(r',?"selected_algorithm":"?\d+"?', "", line))
    names: Mapping[str, str]
    names = {name: f"%{i}" for i, name in enumerate(dict.fromkeys(re.findall(r"%[\w.-]+", "\n".join(lines))))}
    return re.sub(r"%[\w.-]+", lambda match: names[match[0]], "\n".join(lines))


def fingerprint(text: str) -> str:
    """The same for the same program; "" where that cannot be told, since the text leaves out a large constant."""
    return "" if "constant({...})" in text else hashlib.sha256(normal(text).encode()).hexdigest()


def without(line: str, attribute: str) -> str:
    """A line of HLO without one attribute, whatever braces and quoted braces it holds."""
    start = line.find(f", {attribute}={{")
    if start < 0:
        return line
    depth, quoted, i = 0, False, line.index("{", start)
    while i < len(line):
        letter = line[i]
        if quoted:
            i += letter == "\\"
            quoted = letter != '"'
        elif letter == '"':
            quoted = True
        elif letter in "{}":
            depth += 1 if letter == "{" else -1
            if depth == 0:
                return line[:start] + line[i + 1 :]
        i += 1
    return line
