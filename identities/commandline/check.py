"""`identities check`: prove claims here and now, with a progress bar and a table by chapter; or check a statement."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from identities.commandline import statements

if TYPE_CHECKING:
    from identities.engine.identity import Claim
    from identities.engine.verdict import Verdict


PROBE = {"auto": None, "always": True, "never": False}
QUICK: dict[str, Any] = {
    "dtype": ("float64",),
    "shapes": 1,
    "samples": 4,
}  # what --quick sets, where nothing else is asked for
FULL: dict[str, Any] = {"dtype": ("float64", "float32"), "shapes": 3, "samples": None}


def add_commands(commands: Any) -> None:
    p = commands.add_parser("check", help="hold claims against autodiff and against differences", description=__doc__)
    p.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a claim, an identity, a chapter or an importable module; none: the whole book; "
        "or an equation in LaTeX, Unicode or plain text; or a .tex file, whose displayed equations are checked",
    )
    p.add_argument("--only", metavar="TEXT", help="only claims whose name contains TEXT")
    p.add_argument(
        "--source", metavar="SOURCE", help='only claims that cite this source, for instance MCB or "MCB 101"'
    )
    p.add_argument(
        "--dtype", action="append", choices=("float64", "float32"), help="precision (repeatable; default: both)"
    )
    p.add_argument("--dims", type=parse_dims, metavar="m=4,n=3", help="fix dims (and integers such as k) by name")
    p.add_argument("--shapes", type=positive, help="telling shapes per claim (default 3)")
    p.add_argument("--samples", type=positive, help="draws per shape (default 16; of operands above 2^18 entries: 1)")
    p.add_argument(
        "--quick",
        action="store_true",
        help="the same claims at fewer draws, for a new installation: --dtype float64 --shapes 1 --samples 4; "
        "whichever of the three is given beside it goes before",
    )
    p.add_argument(
        "--probe",
        choices=PROBE,
        default="auto",
        help="check Jacobians and Hessians along random directions, not as a whole (default: above 2^20 entries)",
    )
    p.add_argument("--seed", type=natural, default=0, help="seed of shapes and draws (default 0)")
    p.add_argument("--device", choices=("cpu", "gpu", "tpu"), help="where to run (default: JAX's choice)")
    p.add_argument("--json", action="store_true", help="print verdicts as JSON")
    p.add_argument("--record", type=pathlib.Path, metavar="FILE", help="also write what was measured into this record")
    statements.add_options(p)
    p.set_defaults(run=run)


def parse_dims(text: str) -> dict[str, int]:
    """Read m=4,n=3."""
    dims = {}
    for part in text.split(","):
        name, equals, size = part.partition("=")
        if not equals or not name.strip().isidentifier() or not size.strip().isdigit():
            raise argparse.ArgumentTypeError(f"{part.strip()!r} is not of the form m=4")
        dims[name.strip()] = int(size)
    return dims


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 was expected, got {text!r}")
    return int(text)


def natural(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number of at least 0 was expected, got {text!r}")
    return int(text)


def select(names: Sequence[str], only: str | None = None, source: str | None = None) -> list[Claim]:
    """The claims that names and filters leave, in order.  Raises UnknownName or UnknownSource."""
    from identities import book
    from identities.engine import sources
    from identities.engine.errors import UnknownName, UnknownSource, nearest

    claims = [c for name in names for c in book.find(name)] if names else list(book.catalogue().values())
    if only is not None:
        claims = [c for c in claims if only in c.name]
        if not claims:
            raise UnknownName(f"no claim among those asked for has {only!r} in its name")
    if source is not None:
        key, locator = [*source.split(maxsplit=1), "", ""][:2]
        known = sources.known_keys()
        if key not in known:
            raise UnknownSource(
                f"unknown source {key!r}; the bibliography holds {', '.join(sorted(known))}{nearest(key, known)}"
            )
        claims = [c for c in claims if any(s.key == key and locator in ("", s.locator) for s in c.sources)]
        if not claims:
            raise UnknownSource(f"no claim among those asked for cites {source!r}")
    return claims


def use_cache() -> None:
    """Keep what XLA compiles between runs, unless JAX was told where to keep it."""
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(home) / "matrix-identities" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def extent(options: argparse.Namespace) -> dict[str, Any]:
    """How much is tried: what was asked for, and for the rest the preset."""
    preset = QUICK if options.quick else FULL
    dtypes, shapes, samples = (getattr(options, name) or value for name, value in preset.items())
    return {"dtypes": tuple(dict.fromkeys(dtypes)), "shapes": shapes, "samples": samples}


def run(options: argparse.Namespace) -> int:
    return statements.run(options) if statements.wanted(options) else check_claims(options)


def check_claims(options: argparse.Namespace) -> int:
    """Prove claims, a progress bar and a table."""
    import jax
    import rich.console
    import rich.progress

    from identities import book
    from identities.engine.checking import Options, examine
    from identities.engine.errors import NotEvaluated
    from identities.engine.program import find_device
    from identities.engine.verdict import Verdicts

    if options.record and (options.names or options.only or options.source or options.dims or options.quick):
        raise ValueError("--record measures the whole book; leave names, --only, --source, --dims and --quick away")
    sys.path.insert(0, os.getcwd())  # a user's own module, as with `python -m`
    claims = select(options.names, options.only, options.source)
    book.require_dims(claims, options.dims)
    find_device(options.device)
    use_cache()
    how = Options(
        dims=options.dims,
        seed=options.seed,
        device=options.device,
        probe=PROBE[options.probe],
        **extent(options),
    )
    started = time.perf_counter()
    verdicts: list[Verdict] = []
    rows: dict[str, list[Verdict]] = {}  # by chapter, or by module: two of these may use one name
    unread: list[str] = []
    console = rich.console.Console(stderr=True)
    columns = (
        rich.progress.TextColumn("{task.description:<18}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
    )
    groups = book.by_identity(claims)
    silent = options.json or not console.is_terminal
    with rich.progress.Progress(*columns, console=console, transient=True, disable=silent) as progress:
        task = progress.add_task("", total=sum(map(len, groups)))
        chapter = ""
        for group in groups:
            room = group[0].function.__module__.removeprefix("identities.")
            if room != chapter:
                chapter = room
                jax.clear_caches()  # what was traced for one chapter is of no use to the next
            progress.update(task, description=chapter)
            try:
                found_now = examine(group, how)
            except NotEvaluated as error:  # of one identity; the others are checked all the same
                unread.append(f"{group[0].function.__module__}: {' '.join(str(error).split())}")
                continue
            finally:
                progress.advance(task, len(group))
            verdicts += found_now
            rows.setdefault(room, []).extend(found_now)
    seconds = time.perf_counter() - started
    found = Verdicts(verdicts)
    if options.record and not unread:
        from identities.engine import record

        record.update(options.record, {c.name: c for c in claims}, found)
    if options.json:
        ok = found.ok and not unread
        print(json.dumps({"ok": ok, "verdicts": [v.to_json() for v in found], "problems": unread}, indent=1))
    elif verdicts:
        report(rows, how.dtypes, seconds)
    for sentence in unread:
        print(f"identities check: {sentence}", file=sys.stderr)
    return 2 if unread else 0 if found.ok else 1


def report(rows: Mapping[str, Sequence[Verdict]], dtypes: Sequence[str], seconds: float) -> None:
    """The table by chapter, each failure in full, and the summary line."""
    import jax
    import rich.box
    import rich.console
    import rich.table

    found = [v for mine in rows.values() for v in mine]
    # in a pipe, rich assumes 80 columns and would cut the headings
    console = rich.console.Console(width=None if sys.stdout.isatty() else 110)
    title = f"closed forms against jax {jax.__version__} on {found[0].device}; worst residual of each dtype in its eps"
    table = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("chapter", no_wrap=True)
    for heading in ("claims", "held", "refuted", "failed", "shapes", *dtypes, "seconds", "ms/claim"):
        table.add_column(heading, justify="right", no_wrap=True)
    for chapter, mine in rows.items():
        counts = tally(mine)
        worst = [max((v.residual for v in mine if v.dtype == d and v.status == "holds"), default=0.0) for d in dtypes]
        shapes = len({(v.claim, *t.dims.items()) for v in mine for t in v.shapes})
        took = sum(v.seconds for v in mine)
        times = (f"{took:.1f}", f"{1000 * took / counts[0]:.0f}")
        table.add_row(chapter, *map(str, counts), str(shapes), *(f"{w:.3g}" for w in worst), *times)
    console.print(table)
    for v in (v for v in found if not v.ok):
        console.print(f"\n{v}", markup=False, highlight=False, soft_wrap=True)
    total, held, refuted, failed = (sum(counts) for counts in zip(*map(tally, rows.values()), strict=True))
    draws = found[0].samples
    print(
        f"{total} claims: {held} held, {refuted} refuted as stated, {failed} failed "
        f"({' and '.join(dtypes)}, {draws} draws a shape, {seconds:.1f} s, {seconds / len(found):.3f} s a verdict)"
    )
    run, unread = ({v.claim for v in found if getattr(v, name)} for name in ("stated", "unread"))
    if run or unread:
        left = f"; {len(unread)} not read by machine" if unread else ""
        print(f"statements: {len(run)} run as they stand, and hold what the code holds{left}")


def tally(verdicts: Any) -> tuple[int, int, int, int]:
    """Claims, held, refuted as stated, failed: a claim counts once, and fails if it fails in any dtype."""
    ok: dict[str, bool] = {}
    status = {v.claim: v.status for v in verdicts}
    for v in verdicts:
        ok[v.claim] = ok.get(v.claim, True) and v.ok
    held = sum(good and status[name] == "holds" for name, good in ok.items())
    return len(ok), held, sum(ok.values()) - held, len(ok) - sum(ok.values())
