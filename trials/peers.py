"""Peers, measured: wrong gradients and right ones, handed to our check and to those of jax, torch and scipy.

    python -m trials.peers [--only TEXT] [--processes N] [--limit SECONDS] [--merge] [--page]

Each form of each case of trials/corpus.py, in float64 and float32, goes to every checker as its documentation has it,
with its default tolerances.  A refusal counts only if it is one by value: the message must be the checker's own about
numbers that do not match.  Anything else that is raised is an error of ours, and the run ends with exit code 1.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import re
import signal
import statistics
import sys
import textwrap
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trials.common import DOCS, RESULTS, machine, read_json, say_machine, write, write_json
from trials.corpus import CASES, NUMPY, RIGHT_TO, WRONG_BY, Case, Form, jax_library, torch_library

DTYPES = ("float64", "float32")
LIMIT = 60.0  # seconds of one check
PATIENCE = 10.0  # seconds for fast mode: a refusal computes the whole Jacobian, for its message
SCIPY_AGREES = (1e-7, 1e-5)  # scipy gives a norm and no verdict: at most the first, plus the second of the gradient's
OUTCOMES = ("accepted", "refused", "not applicable", "too slow", "error")
OURS = "identities"
MESSAGE = "the message, for which fast mode computes the whole Jacobian, was not waited for"


class NotApplicable(Exception):
    """The checker does not take such a case; the message says why."""


class TooSlow(BaseException):
    """The time limit, spent or estimated; no `except Exception` of a checker swallows it."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """Whether a checker accepts a form, or refuses it by value; and what it says of it."""

    ok: bool
    says: str = ""


# The checkers: each returns an Answer, or raises


def _ruled(case: Case, form: Form, others: Sequence[Any]) -> Any:
    """The function of the first operand as JAX sees it, with the form as its own derivative rule."""
    import jax
    import jax.numpy as jnp

    xp = jax_library()

    def data(X: Any) -> list[Any]:
        # what the rule closes over, in the precision of its operand, in which our check takes it too
        like = {"f": jnp.finfo(X.dtype).dtype, "c": jnp.result_type(jnp.finfo(X.dtype).dtype, jnp.complex64)}
        return [jnp.asarray(o, like.get(np.asarray(o).dtype.kind)) for o in others]

    def f(X: Any) -> Any:
        return case.function(xp, X, *data(X))

    if case.kind == "vjp":
        by_vjp = jax.custom_vjp(f)

        def backward(X: Any, g: Any) -> Any:
            # a cotangent of JAX is the conjugate of ours, the gradient 2 df/dz* among them
            return (jnp.conj(form(xp, jnp.conj(g), X, *data(X))),)

        by_vjp.defvjp(lambda X: (f(X), X), backward)
        return by_vjp
    by_jvp = jax.custom_jvp(f)

    def forward(primals: Any, tangents: Any) -> Any:
        (X,), (dX,) = primals, tangents
        if case.kind == "jvp":
            moved = form(xp, dX, X, *data(X))
        elif case.kind == "gradient":
            moved = jnp.real(jnp.sum(jnp.conj(form(xp, X, *data(X))) * dX))
        else:
            moved = jnp.tensordot(form(xp, X, *data(X)), dX, dX.ndim)
        return f(X), moved

    by_jvp.defjvp(forward)
    return by_jvp


def ours(case: Case, form: Form, dtype: str, limit: float) -> Answer:
    import identities

    operands, xp = case.draw(dtype), jax_library()
    X, *others = operands.values()
    if case.kind in ("jvp", "vjp"):
        found = identities.check_custom_derivative(_ruled(case, form, others), X, dtype=dtype)
        verdicts = list(found)
    else:
        check = identities.check_gradient if case.kind == "gradient" else identities.check_jacobian
        f, derivative = functools.partial(case.function, xp), functools.partial(form, xp)
        verdicts = [check(f, derivative, X, *others, dtype=dtype)]
    failed = [v for v in verdicts if not v.ok]
    for v in failed:
        by_value = v.got is not None and (v.residual > v.tolerance or "differences" in v.problem)
        if not (by_value or any(words in v.problem for words in ("not resolved", "not linear in the cotangent"))):
            raise RuntimeError(f"a verdict that is no mismatch: {v.problem}")
    return Answer(not failed, "; ".join(part for v in failed for part in (v.problem, v.diagnosis) if part))


def check_grads(case: Case, form: Form, dtype: str, limit: float) -> Answer:
    import jax
    import jax.numpy as jnp
    from jax.test_util import check_grads

    with jax.enable_x64(dtype == "float64"):
        X, *others = map(jnp.asarray, case.draw(dtype).values())
        modes = ("rev",) if case.kind == "vjp" else ("fwd", "rev")
        try:
            check_grads(_ruled(case, form, others), (X,), order=1, modes=modes)
        except AssertionError as error:
            if "Not equal to tolerance" not in str(error):
                raise
            return Answer(False)
    return Answer(True)


def _torch_function(case: Case, form: Form, others: Sequence[Any]) -> Any:
    """A torch.autograd.Function whose backward (or jvp, for a rule that is one) is the form."""
    import torch

    xp = torch_library()

    class Ruled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, X: Any) -> Any:
            ctx.save_for_backward(X)
            ctx.save_for_forward(X)
            ctx.jacobian = None
            return case.function(xp, X, *others)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (X,) = ctx.saved_tensors
            if case.kind == "vjp":
                return form(xp, g, X, *others).resolve_conj()
            if ctx.jacobian is None:  # once for all rows
                ctx.jacobian = form(xp, X, *others).resolve_conj()
            if case.kind == "gradient":
                return g * ctx.jacobian
            return torch.tensordot(g, ctx.jacobian.conj(), dims=g.ndim)

        @staticmethod
        def jvp(ctx: Any, dX: Any) -> Any:
            (X,) = ctx.saved_tensors
            return form(xp, dX, X, *others)

    return Ruled.apply


def _frames(error: BaseException) -> set[str]:
    return {frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)}


def gradcheck(case: Case, form: Form, dtype: str, limit: float, fast: bool = False) -> Answer:
    import torch
    from torch.autograd.gradcheck import GradcheckError

    operands = {name: torch.as_tensor(v) for name, v in case.draw(dtype).items()}
    X, *others = operands.values()
    if not fast:
        steps = X.numel() * (4 if X.is_complex() else 2)
        _afford(lambda: case.function(torch_library(), X, *others), steps, limit)
    else:
        _ring_after(min(limit, PATIENCE))
    forward = case.kind == "jvp"
    try:
        torch.autograd.gradcheck(
            _torch_function(case, form, others),
            (X.clone().requires_grad_(),),
            check_forward_ad=forward,
            check_backward_ad=not forward,
            fast_mode=fast,
        )
    except TooSlow as error:
        # fast mode has refused where it computes the whole Jacobian for its message
        refused = "_run_slow_mode_and_get_error" in _frames(error) or isinstance(error.__context__, GradcheckError)
        if not (fast and refused):
            raise
        return Answer(False, MESSAGE)
    except GradcheckError as error:
        text = str(error)
        if "mismatch for output" not in text and "not multiplied by grad_output" not in text:
            raise
        return Answer(False, "backward not multiplied by grad_output" if "not multiplied" in text else "")
    return Answer(True)


def check_grad(case: Case, form: Form, dtype: str, limit: float, direction: str = "all") -> Answer:
    from scipy.optimize import check_grad

    if dtype != "float64":
        raise NotApplicable("its step is one of float64")
    if case.is_complex:
        raise NotApplicable("it takes real vectors")
    if any(form is case.wrong[name] for name, slip in case.slips.items() if slip.gradient_is_right):
        raise NotApplicable("it takes a gradient, and that of this rule is right")
    X, *others = case.draw(dtype).values()
    shape = X.shape

    def f(x: np.ndarray) -> Any:
        return np.ravel(case.function(NUMPY, x.reshape(shape), *others))

    scalar = np.ndim(case.function(NUMPY, X, *others)) == 0
    if direction == "random" and not scalar:
        raise NotApplicable("it takes vectors of functions in direction 'all' only")
    if direction == "all":
        _afford(lambda: f(X.ravel()), X.size + 1, limit)
    names = list(case.operands)

    def derivative(x: np.ndarray) -> np.ndarray:
        there = dict(zip(names, (x.reshape(shape), *others), strict=True))
        found = case.derivative(form, there, 1.0)
        return found.ravel() if scalar else found.reshape(-1, X.size)

    error = check_grad(
        (lambda x: f(x)[0]) if scalar else f, derivative, X.ravel(), direction=direction, rng=np.random.default_rng(0)
    )
    least, relative = SCIPY_AGREES
    share = error / (least + relative * float(np.linalg.norm(derivative(X.ravel()))))
    return Answer(bool(share <= 1), f"{share:.3g} of what is allowed")


def _afford(f: Callable[[], Any], times: int, limit: float) -> None:
    """Raise TooSlow where that many evaluations alone would pass the limit."""
    f()
    started = time.process_time()
    f()
    needed = times * (time.process_time() - started)
    if needed > limit:
        raise TooSlow(f"{times:,} evaluations of the function would take {needed:,.0f} s")


Checker = Callable[[Case, Form, str, float], Answer]
CHECKERS: dict[str, Checker] = {
    OURS: ours,
    "check_grads": check_grads,
    "gradcheck": gradcheck,
    "gradcheck, fast": functools.partial(gradcheck, fast=True),
    "check_grad": check_grad,
    "check_grad, random": functools.partial(check_grad, direction="random"),
}


# A run


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """A limit in time of the processor, which does not depend on what else the machine does."""

    def ring(*_: Any) -> None:
        raise TooSlow("stopped at the limit")

    before = signal.signal(signal.SIGPROF, ring)
    _ring_after(seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _ring_after(seconds: float) -> None:
    # again and again, since what is raised within a callback of the garbage collector is lost
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)


def ask(checker: Checker, case: Case, form: Form, dtype: str, limit: float = LIMIT) -> list[Any]:
    """One checker on one form: the outcome, its seconds of the processor, and what it said."""
    import jax

    started = time.process_time()
    try:
        # as a user has it, whatever the tests of this project are set to
        with (
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            jax.numpy_dtype_promotion("standard"),
            jax.numpy_rank_promotion("allow"),
            _at_most(limit),
        ):
            warnings.simplefilter("ignore")
            found = checker(case, form, dtype, limit)
        outcome, says = "accepted" if found.ok else "refused", found.says
    except NotApplicable as error:
        outcome, says = "not applicable", str(error)
    except TooSlow as error:
        outcome, says = "too slow", str(error)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        outcome, says = "error", f"{type(error).__name__}: {lines[0]}"
    return [outcome, round(time.process_time() - started, 6), *([says] if says else [])]


def try_case(name: str, limit: float = LIMIT, checkers: Mapping[str, Checker] = CHECKERS) -> list[dict[str, Any]]:
    """Prove a case, and ask every checker about each of its forms in both precisions."""
    case = CASES[name]
    with np.errstate(all="ignore"):
        case.prove()
    wrong = case.wrong
    rows = []
    for form_name, form in (*case.right.items(), *wrong.items()):
        for dtype in DTYPES:
            rows.append(
                {
                    "case": name,
                    "form": form_name,
                    "wrong": form_name in wrong,
                    "says": case.slips[form_name].says if form_name in wrong else "",
                    "dtype": dtype,
                    "found": {c: ask(checker, case, form, dtype, limit) for c, checker in checkers.items()},
                }
            )
    return rows


def _prepare() -> None:
    """A worker's first minutes: imports, one thread, no cache on disk, and every checker once without a clock."""
    import jax
    import torch

    torch.set_num_threads(1)
    jax.config.update("jax_enable_compilation_cache", False)
    for checker in CHECKERS.values():
        ask(checker, CASES["tr AX"], CASES["tr AX"].right["as derived"], "float64")


def _work(name: str, limit: float) -> list[dict[str, Any]]:
    import jax

    rows = try_case(name, limit)
    jax.clear_caches()
    return rows


def run(only: str, processes: int, limit: float) -> dict[str, Any]:
    """Try the cases in several processes."""
    names = [name for name, case in CASES.items() if only in name or only in case.family]
    if not names:
        raise ValueError(f"no case has {only!r} in its name or family")
    import rich.progress
    import scipy
    import torch

    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    started = time.perf_counter()
    found: dict[str, list[dict[str, Any]]] = {}
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare)
    with pool, rich.progress.Progress(transient=True) as progress:
        task = progress.add_task("peers", total=len(names))
        jobs = {pool.submit(_work, name, limit): name for name in names}
        for done in concurrent.futures.as_completed(jobs):
            found[jobs[done]] = done.result()
            progress.advance(task)
    return {
        "machine": machine() | {"torch": torch.__version__, "scipy": scipy.__version__},
        "command": "make peers",
        "seconds": round(time.perf_counter() - started, 1),
        "limit": limit,
        "cases": {
            name: {
                "family": CASES[name].family,
                "kind": CASES[name].kind,
                "complex": CASES[name].is_complex,
                "shape": list(next(iter(CASES[name].draw().values())).shape),
                "why": CASES[name].why,
            }
            for name in names
        },
        "rows": [row for name in names for row in found[name]],
    }


def merged(last: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """The last result with these cases in place of its own; the time is that of both."""
    new = set(result["cases"])
    rows = {name: [row for row in last["rows"] if row["case"] == name] for name in last["cases"]}
    rows |= {name: [row for row in result["rows"] if row["case"] == name] for name in new}
    return last | {
        "seconds": round(last["seconds"] + result["seconds"], 1),
        "cases": last["cases"] | result["cases"],
        "rows": [row for mine in rows.values() for row in mine],
    }


# What was found


Row = Mapping[str, Any]


def outcome(row: Row, checker: str) -> str:
    """accepted, false alarm, caught or missed; or why there is no verdict."""
    what = str(row["found"][checker][0])
    words = {"accepted": ("accepted", "missed"), "refused": ("false alarm", "caught")}
    return words[what][row["wrong"]] if what in words else what


def said(row: Row, checker: str) -> str:
    return str(row["found"][checker][2]) if len(row["found"][checker]) > 2 else ""


def naming(row: Row) -> str:
    """Whether our diagnosis names what was planted."""
    if outcome(row, OURS) != "caught":
        return "not caught"
    if not row["says"]:
        return "no name for it"
    return "named" if re.search(row["says"], said(row, OURS)) else "not named"


def complaints(rows: Iterable[Row]) -> list[str]:
    """What makes a run fail: an error of ours in handing a case over, a miss or a false alarm of our check."""
    found = []
    for row in rows:
        for checker in row["found"]:
            what = outcome(row, checker)
            if what == "error" or (checker == OURS and what in ("missed", "false alarm")):
                text = f": {said(row, checker)}" if said(row, checker) else ""
                found.append(f"{checker}, {what}: {row['case']}, {row['form']}, {row['dtype']}{text}")
    return found


ASKED = {
    "identities": (
        "identities (ours)",
        "`check_gradient`, `check_jacobian`, or `check_custom_derivative` for a rule; in the precision of the case",
        "the verdict's `ok`",
    ),
    "check_grads": (
        "jax `check_grads`",
        "`order=1` on the function with the form as its `custom_jvp`, in both modes; a `custom_vjp` in reverse mode",
        "an AssertionError that arrays are not close",
    ),
    "gradcheck": (
        "torch `gradcheck`",
        "a `torch.autograd.Function` with the form as its `backward` (a jvp rule: as its `jvp`, in forward mode)",
        "a GradcheckError of mismatch, or that a cotangent is ignored",
    ),
    "gradcheck, fast": ("torch `gradcheck`, fast", "the same with `fast_mode=True`", "the same"),
    "check_grad": (
        "scipy `check_grad`",
        "the flattened operand; a matrix function as a vector of functions",
        "the norm returned is above {least:g} + {relative:g} times that of the derivative handed over (our criterion)",
    ),
    "check_grad, random": ("scipy `check_grad`, random", "the same with `direction='random'`", "the same"),
}
COLUMNS = ("accepted", "false alarm", "caught", "missed", "not applicable", "too slow")


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| checker | right: accepted | right: refused | wrong: caught | wrong: missed | not applicable | too slow "
        "| median, s | total, s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for checker, (title, *_) in ASKED.items():
        counts = collections.Counter(outcome(row, checker) for row in rows)
        seconds = [r["found"][checker][1] for r in rows if _judged(r, checker)]
        middle = statistics.median(seconds) if seconds else 0.0
        # some kernels count the time of the processor in ticks of milliseconds
        times = f"{f'{middle:.2g}' if middle >= 0.01 else '< 0.01'} | {sum(seconds):.0f}" if seconds else "– | –"
        lines.append(f"| {title} | " + " | ".join(str(counts[c]) for c in COLUMNS) + f" | {times} |")
    return [*lines, ""]


def _named(rows: Iterable[Row]) -> list[str]:
    """Cases and forms, with the precisions in which they stand in the rows."""
    seen: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        seen.setdefault((row["case"], row["form"]), []).append(row["dtype"])
    return [f"`{case}`, {form} ({', '.join(dtypes)})" for (case, form), dtypes in seen.items()]


def _listed(rows: Sequence[Row], checker: str, what: str) -> list[str]:
    """A line for each; where nearly all of a precision are listed, the others instead."""
    lines, rest = [], []
    for dtype in DTYPES:
        there = [r for r in rows if r["dtype"] == dtype and r["wrong"] is (what == "missed")]
        hit = [r for r in there if outcome(r, checker) == what]
        asked = [r for r in there if outcome(r, checker) in COLUMNS[:4]]
        if len(hit) > 40 and len(hit) > 0.6 * len(asked):
            others = [r for r in asked if r not in hit]
            text = "; ".join(f"`{r['case']}`, {r['form']}" for r in others) or "none"
            lines.append(f"- {len(hit)} of {len(asked)} in {dtype}; the others: {text}")
        else:
            rest += hit
    order = {id(row): i for i, row in enumerate(rows)}
    return [*lines, *(f"- {name}" for name in _named(sorted(rest, key=lambda r: order[id(r)])))]


def _other_criterion(rows: Sequence[Row], times: float = 10.0) -> list[str]:
    """What scipy's norms would have been judged to be by a criterion that allows more."""
    shares = [(r["wrong"], float(said(r, "check_grad").split(" of ")[0])) for r in rows if _judged(r, "check_grad")]
    refused = sum(not wrong and not share <= times for wrong, share in shares)
    missed = sum(wrong and share <= times for wrong, share in shares)
    return [
        f"By a criterion that allows {times:g} times as much, scipy's `check_grad` would have refused {refused} right",
        f"ones and missed {missed} wrong ones.",
    ]


def _judged(row: Row, checker: str) -> bool:
    return row["found"][checker][0] in ("accepted", "refused")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page(result: Mapping[str, Any]) -> str:
    """The page that tells what a run found."""
    rows, cases, about = result["rows"], result["cases"], result["machine"]
    one = [r for r in rows if r["dtype"] == "float64"]
    wrong = sum(r["wrong"] for r in one)
    sides = [side for case in cases.values() for side in case["shape"]]
    kinds = collections.Counter(case["kind"] for case in cases.values())
    families = list(dict.fromkeys(case["family"] for case in cases.values()))
    ours = collections.Counter(outcome(row, OURS) for row in rows)
    named = {d: collections.Counter(naming(r) for r in rows if r["wrong"] and r["dtype"] == d) for d in DTYPES}
    vague = sum("not resolved" in said(r, OURS) for r in rows if outcome(r, OURS) == "caught")
    least, relative = SCIPY_AGREES
    lines = [
        "# Peers: wrong gradients that checkers catch, and right ones that they refuse",
        "",
        *textwrap.wrap(
            f"{wrong} wrong derivatives and {len(one) - wrong} right ones of {len(cases)} functions, each in float64 "
            f"and in float32, with sides from {min(sides)} to {max(sides)}, were handed to our check and to those of "
            f"jax, torch and scipy. The functions are of these families: {', '.join(families)}. Of the functions, "
            f"{sum(c['complex'] for c in cases.values())} have a complex operand, {kinds['jacobian']} a Jacobian, and "
            f"{kinds['jvp'] + kinds['vjp']} a rule of a `custom_jvp` or `custom_vjp`. Ours caught {ours['caught']} of "
            f"{2 * wrong} wrong ones and refused {ours['false alarm']} of "
            f"{2 * (len(one) - wrong)} right ones.",
            120,
        ),
        "",
        f"`{result['command']}`: {result['seconds']:.0f} s; {say_machine(about)},",
        f"torch {about['torch']}, SciPy {about['scipy']}.",
        "",
        "Before a checker sees a case, NumPy alone shows in float64 that each right form agrees with central",
        f"differences to {RIGHT_TO:g}, and that each wrong one differs from the right one by more than {WRONG_BY:g}",
        "of the largest entry (`Case.prove` in [the corpus](../trials/corpus.py)).",
        "",
        "## How each was asked",
        "",
        "| checker | call | what counts as a refusal |",
        "|---|---|---|",
        *(
            f"| {title} | {call} | {sign.format(least=least, relative=relative)} |"
            for title, call, sign in ASKED.values()
        ),
        "",
        "Steps and tolerances are the defaults. Each takes the function in its own library. Any other exception is an",
        f"error of this trial: there were {sum(outcome(r, c) == 'error' for r in rows for c in ASKED)}.",
        "Ours compares with autodiff of the function and with differences; the others with differences alone, so that",
        "theirs is the harder task, and they need not trust autodiff.",
        "",
        "- torch says of its defaults that they are for double precision and will likely fail in less; its float32 row",
        "  shows what that means, and its float64 row is what it promises.",
        "- scipy's function takes real vectors and has a step for float64: complex and float32 cases are not",
        "  applicable, nor are vectors of functions in a random direction.",
        f"- A check that takes more than {result['limit']:g} s, or would by its evaluations of the function alone, is",
        "  too slow. Where fast mode refuses, it computes the whole Jacobian for its message; that was stopped after",
        f"  {PATIENCE:g} s, and the refusal counts.",
        "",
        "## What was found",
        "",
        "In float64 (complex128):",
        "",
        *_table(one),
        "In float32 (complex64):",
        "",
        *_table([r for r in rows if r["dtype"] == "float32"]),
        "In both:",
        "",
        *_table(rows),
        *_other_criterion(rows),
        "",
        "Times are those of the processor, for checks that end with a verdict, with compilation and without a cache on",
        "disk; ours include the search for a diagnosis.",
        "",
    ]
    for what, heading in (("missed", "Misses"), ("false alarm", "False alarms")):
        lines += [f"## {heading}", ""]
        for checker, (title, *_) in ASKED.items():
            lines += [f"### {title}", "", *(_listed(rows, checker, what) or ["None."]), ""]
    reasons = collections.Counter(
        (checker, re.sub(r"[0-9,]+ (evaluations|s\b)", r"... \1", said(row, checker)))
        for row in rows
        for checker in ASKED
        if outcome(row, checker) in ("not applicable", "too slow")
    )
    lines += ["## Without a verdict", ""]
    lines += [f"- {ASKED[checker][0]}: {why}: {number}" for (checker, why), number in reasons.items()]
    bad = [f"- {line}" for line in complaints(rows)]
    if bad:
        lines += ["", "## What speaks against ours, and errors of this trial", "", *bad]
    lines += [
        "",
        "## What our diagnosis says",
        "",
        "A slip has a name if the case says, before it is run, what a diagnosis should say of it; the others (a wrong",
        "mathematical idea, say) can only be caught.",
        "",
        "| precision | named rightly | not named | no name for it | not caught |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {d} | {n['named']} | {n['not named']} | {n['no name for it']} | {n['not caught']} |"
            for d, n in named.items()
        ),
        "",
        f"Of the wrong ones, {vague} are refused in words that the derivative is lost beside the function's size.",
        "",
        "In float64:",
        "",
        "| case | planted | | what ours said |",
        "|---|---|---|---|",
    ]
    for row in one:
        if row["wrong"]:
            text = said(row, OURS) or "–"
            lines.append(f"| {_cell(row['case'])} | {_cell(row['form'])} | {naming(row)} | {_cell(text)} |")
    special = [f"- `{name}`: {case['why']}" for name, case in cases.items() if case["why"]]
    lines += ["", "## Cases that need a word", "", *special]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", default="", help="cases with TEXT in their name or family")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="default: 2")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds of one check; default: {LIMIT:g}")
    parser.add_argument("--merge", action="store_true", help="with --only: put these cases into the last result")
    parser.add_argument("--page", action="store_true", help="write the page again from the last result")
    options = parser.parse_args(arguments)
    where = RESULTS / "peers.json"
    try:
        if min(options.processes, options.limit) <= 0:
            raise ValueError("--processes and --limit must be positive")
        result = read_json(where) if options.page else run(options.only, options.processes, options.limit)
        if options.merge and options.only:
            result = merged(read_json(where), result)
    except (ValueError, FileNotFoundError) as error:
        print(f"peers: {error}", file=sys.stderr)
        return 2
    rows = result["rows"]
    bad = complaints(rows)
    for line in bad:
        print(line)
    for checker in CHECKERS:
        counts = collections.Counter(outcome(row, checker) for row in rows)
        print(f"{checker:<20}" + ", ".join(f"{number} {what}" for what, number in sorted(counts.items())))
    named = collections.Counter(naming(row) for row in rows if row["wrong"])
    print(f"diagnoses: {', '.join(f'{n} {what}' for what, n in named.items())} ({result['seconds']:.0f} s)")
    if options.merge or not options.only:
        write_json(where, result)
        write(DOCS / "peers.md", page(result))
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
