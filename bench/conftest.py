"""What a run of the benchmarks states about its machine, and what it keeps.

    pytest bench --bench-quick                 two dozen claims, n = 256
    pytest bench                               everything, n = 1024
    pytest bench --bench-part 2/3 --bench-lean -k first_order

What an item measured is appended to a journal at once (.cache/bench/), under a key of versions and device, with a
digest of the code that it runs (its chapter, the engine, this room): a run that was cut off goes on where it stopped,
and after a change of one chapter only that one is measured again.  At the end all rows go into one result file a
machine, bench/results/, which `identities bench report` reads.  `--benchmark-json` of pytest-benchmark holds the
same rows.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import pathlib
import platform
import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

# The LAPACK of JAX on CPU is SciPy's OpenBLAS, and its threads and those of XLA wait for each other on few cores; so do
# those of torch that have nothing to do.  OpenBLAS reads its number once, when it is loaded, and some plugin of pytest
# may have loaded it: `make bench` sets it, and without it nothing is measured.  torch is loaded later.
PINNED = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY")
for _name, _value in zip(PINNED[1:], ("1", "1", "passive"), strict=True):
    os.environ.setdefault(_name, _value)

ROOT = pathlib.Path(__file__).parent.parent
RUN = pytest.StashKey["Run"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "benchmarks of closed forms")
    group.addoption("--bench-quick", action="store_true", help="telling claims only, at n = 256")
    group.addoption("--bench-n", type=int, metavar="N", help="n of first-order claims (default 1024; quick: 256)")
    group.addoption("--bench-second-n", type=int, metavar="N", help="n of Hessians (default 128; quick: 32)")
    group.addoption("--bench-lean", action="store_true", help="no columns of value and gradient together")
    group.addoption("--bench-dtype", action="append", choices=("float64", "float32"), help="repeatable; default: both")
    group.addoption("--bench-part", default="1/1", metavar="K/N", help="every N-th item, beginning with the K-th")
    group.addoption("--bench-seconds", type=float, metavar="S", help="for each column (default 1; quick: 0.1)")
    group.addoption("--bench-device", choices=("cpu", "gpu"), help="where to run (default: JAX's choice)")
    group.addoption(
        "--bench-precision",
        default="highest",
        help="of float32 products (default highest; tensorfloat32: a tier of its own)",
    )
    group.addoption("--bench-results", type=pathlib.Path, metavar="FILE", help="default: bench/results/MACHINE.json")
    group.addoption("--bench-journal", type=pathlib.Path, metavar="FILE", help="default: .cache/bench/MACHINE.jsonl")
    group.addoption("--bench-fresh", action="store_true", help="begin again, whatever was measured before")


class Run:
    """One run: its options, its machine, and the rows measured so far by item."""

    def __init__(self, config: pytest.Config):
        option = config.getoption
        self.quick: bool = option("--bench-quick")
        self.lean: bool = option("--bench-lean")
        self.n: int = option("--bench-n") or (256 if self.quick else 1024)
        self.second_n: int = option("--bench-second-n") or (32 if self.quick else 128)
        self.dtypes: tuple[str, ...] = tuple(option("--bench-dtype") or ("float64", "float32"))
        self.seconds: float = option("--bench-seconds") or (0.1 if self.quick else 1.0)
        self.part = part(option("--bench-part"))
        self.machine = machine(option("--bench-precision"))
        # products of another precision are a tier of their own, in a file of its own
        tier = "" if self.machine["precision"] == "highest" else f" {self.machine['precision']}"
        name = slug(self.machine, tier) + ("-quick" if self.quick else "")
        self.results = option("--bench-results") or ROOT / "bench" / "results" / f"{name}.json"
        self.journal = option("--bench-journal") or ROOT / ".cache" / "bench" / f"{name}.jsonl"
        self.key = {k: self.machine[k] for k in ("jax", "jaxlib", "device", "threads", "precision")}
        self.rows: dict[str, dict[str, Any]] = {} if option("--bench-fresh") else self.before()

    def before(self) -> dict[str, dict[str, Any]]:
        """What earlier runs with the same key measured: from the result file, then from the journal."""
        rows: dict[str, dict[str, Any]] = {}
        try:
            old = json.loads(self.results.read_text(encoding="utf-8"))
            if {k: old["machine"].get(k) for k in self.key} == self.key:
                rows |= {row["item"]: row for row in old["rows"]}
                for k in ("gemm", "date"):
                    self.machine[k] = old["machine"].get(k, self.machine[k])
        except (OSError, ValueError, KeyError):
            pass  # nothing there, or nothing that can be used
        try:
            head, *lines = self.journal.read_text(encoding="utf-8").splitlines()
            if json.loads(head) == self.key:
                for line in lines:
                    row = json.loads(line)
                    rows[row["item"]] = row
        except (OSError, ValueError, KeyError):
            pass  # a line that was cut off ends the journal
        return rows

    def has(self, item: pytest.Item) -> bool:
        """Whether the item was measured, by the code as it is."""
        return self.rows.get(item.name, {}).get("digest") == digest(item)

    def keep(self, item: pytest.Item, row: dict[str, Any]) -> None:
        if not self.rows or not self.journal.exists():
            self.begin()
        self.rows[item.name] = {"item": item.name, **row, "digest": digest(item)}
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.rows[item.name]) + "\n")

    def begin(self) -> None:
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(content) for content in (self.key, *self.rows.values())]
        self.journal.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def write(self) -> None:
        """All rows into the result file, one a line, whole or not at all."""
        import identities
        from bench.peers import PROBLEMS
        from identities.engine.bench import KINDS

        chapters, kinds = {c: i for i, c in enumerate(identities.CHAPTERS)}, list(KINDS)

        def place(row: dict[str, Any]) -> tuple[Any, ...]:
            chapter = chapters.get(row["chapter"], len(chapters))
            return kinds.index(row["kind"]), chapter, row["name"], row["n"], row["dtype"] != "float64"

        book = identities.catalogue()
        known = {*book, *book.identities, *PROBLEMS}  # what has left the book leaves the result
        kept = ({k: v for k, v in r.items() if k != "reason"} for r in self.rows.values() if r["name"] in known)
        rows = sorted((r | reason(r) for r in kept), key=place)
        about = ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in self.machine.items())
        lines = ",\n".join(json.dumps(row) for row in rows)
        self.results.parent.mkdir(parents=True, exist_ok=True)
        half = self.results.with_suffix(".tmp")
        half.write_text(f'{{"machine": {{\n  {about}\n}},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")
        os.replace(half, self.results)


def reason(row: dict[str, Any]) -> dict[str, str]:
    """What somebody wrote of an item whose closed form is slower than autodiff."""
    from bench.reasons import REASONS
    from identities.engine.bench import TABLED

    return {"reason": REASONS[row["name"]]} if row["kind"] in TABLED and row["name"] in REASONS else {}


def part(text: str) -> tuple[int, int]:
    """Read K/N.  Raises UsageError."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise pytest.UsageError(f"--bench-part must be K/N with K from 1 to N, for instance 1/3; got {text!r}")
    return int(match[1]), int(match[2])


def machine(precision: str) -> dict[str, Any]:
    """All that a time depends on and that we can know."""
    import jax

    import identities
    from identities.engine.bench import OWN

    device = jax.devices()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": processor(),
        "cores": cores,
        "device": "cpu" if device.platform == "cpu" else device.device_kind,
        "python": platform.python_version(),
    }
    for package in ("jax", "jaxlib", "numpy", "scipy", "torch", "pytest-benchmark"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    if device.platform != "cpu":
        found["driver"] = driver()
        found["runtime"] = str(device.client.platform_version).splitlines()[0]
        found["memory"] = (device.memory_stats() or {}).get("bytes_limit")
    pinned = {name: os.environ.get(name) for name in PINNED}
    nproc = os.environ.get("NPROC")  # XLA asks it before it counts the cores
    found["threads"] = {**pinned, OWN: int(nproc) if nproc and nproc.isdigit() else cores}
    found |= {"precision": precision, "identities": identities.__version__, "commit": commit()}
    return found | {"gemm": {}, "empty call": 0.0}


def processor() -> str:
    """The name of the processor, where the system tells it."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.processor() or platform.machine()


def driver() -> str | None:
    """The version of NVIDIA's driver, where there is one."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.split("\n")[0].strip() or None


def commit() -> str | None:
    """The commit, with a + where the code differs from it; None outside a repository."""
    git = ["git", "-C", str(ROOT)]
    try:
        run = lambda *words: subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout  # noqa: E731
        dirty = run("status", "--porcelain", "--", "identities", "bench/*.py").strip()
        return run("rev-parse", "--short", "HEAD").strip() + ("+" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@functools.cache
def digest(item: pytest.Item) -> str:
    """A digest of what decides what an item measures: its chapter, the engine below it, and this room."""
    import identities

    name, book = item.callspec.params["name"], identities.catalogue()  # type: ignore[attr-defined]
    entry = book.identities.get(name) or (book[name].identity if name in book else None)
    names = ["bench/dims.py", "bench/harness.py", "bench/hlo.py", "identities/lemmas.py", "identities/operators.py"]
    names += [f"identities/engine/{n}.py" for n in ("identity", "operands", "reference", "shapes")]
    others = {"peers": "bench/peers.py", "kernels": "bench/kernels.py", "first_order": "identities/engine/rules.py"}
    names += [path for word, path in others.items() if word in item.path.name]
    paths = [*(ROOT / n for n in names), item.path]
    if entry is not None:
        paths.append(pathlib.Path(inspect.getfile(entry.function)))
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def slug(about: dict[str, Any], tier: str = "") -> str:
    """The machine as a file name."""
    name = f"{about['cpu']} {about['cores']} cores" if about["device"] == "cpu" else about["device"]
    name = re.sub(r"\(\w+\)|@.*?GHz|\bCPU\b|\bProcessor\b", " ", name)
    return re.sub(r"[^a-z0-9]+", "-", (name + tier).lower()).strip("-")


def ceilings(run: Run) -> None:
    """The best rate of a matrix product, in GFLOP/s by dtype, and what an empty call of a program takes."""
    import jax
    import jax.numpy as jnp

    n = 2048 if run.machine["device"] == "cpu" else 8192
    for dtype in run.dtypes:
        a = jnp.full((n, n), 0.5, dtype)
        product = jax.jit(jnp.matmul).lower(a, a).compile()
        best = min(timed(lambda product=product, a=a: product(a, a)) for _ in range(5))
        run.machine["gemm"][dtype] = max(round(2e-9 * n**3 / best, 1), run.machine["gemm"].get(dtype, 0.0))
    x = jnp.zeros(1)
    empty = jax.jit(lambda x: x + 1).lower(x).compile()
    stats = jax.devices()[0].memory_stats() or {}  # None on a CPU
    if "peak_bytes_in_use" in stats:
        run.machine["peak memory"] = stats["peak_bytes_in_use"]
    run.machine["empty call"] = float(f"{sorted(timed(lambda: empty(x)) for _ in range(201))[100]:.3g}")


def timed(call: Callable[[], Any]) -> float:
    import jax

    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def run_of(config: pytest.Config) -> Run:
    return config.stash[RUN]


@pytest.hookimpl(trylast=True)  # after the root's, which chooses the strict settings
def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError("bench needs pytest-benchmark: pip install -e '.[bench]' -c constraints.txt")
    if not os.environ.get("OPENBLAS_NUM_THREADS"):
        raise pytest.UsageError("set OPENBLAS_NUM_THREADS (to 1, as `make bench` does) before Python starts")
    import jax

    device = config.getoption("--bench-device")
    if device is not None:
        jax.config.update("jax_platforms", "cuda,cpu" if device == "gpu" else "cpu")
    if device == "gpu" and jax.devices()[0].platform == "cpu":
        raise pytest.UsageError("JAX has no gpu here; it has cpu")
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are those of a first run
    jax.config.update("jax_default_matmul_precision", config.getoption("--bench-precision"))
    config.stash[RUN] = Run(config)
    config.addinivalue_line("filterwarnings", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning")


def pytest_report_header(config: pytest.Config) -> str:
    run = run_of(config)
    return f"bench: {run.machine['device']}, {run.machine['threads']}, {len(run.rows)} items measured before"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    run = run_of(config)
    k, number = run.part
    mine = items[k - 1 :: number]
    todo = [item for item in mine if not run.has(item)]
    left = set(todo)
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = todo


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    run = session.config.stash.get(RUN, None)
    if run is None or session.config.option.collectonly or not run.rows:
        return
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK  # all of it was measured before
    ceilings(run)
    run.write()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if run is not None and run.rows:
        terminalreporter.write_line(f"{len(run.rows)} rows in {os.path.relpath(run.results)}")


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["identities"] = run_of(config).machine


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_commit_info(config: pytest.Config, commit_info: dict[str, Any]) -> None:
    commit_info["identities"] = run_of(config).machine["commit"]


@pytest.fixture
def measure(request: pytest.FixtureRequest, benchmark: Any) -> Callable[..., None]:
    """Measure what `make` returns, and keep its row under the name of the test."""
    import jax

    from bench import harness

    run = run_of(request.config)

    def go(make: Callable[[], harness.Item], **about: Any) -> None:
        try:
            row = harness.measure(benchmark, make(), run.seconds)
        except harness.LeftOut as reason:
            benchmark.skipped = True
            run.keep(request.node, {**about, "left out": str(reason)})
            pytest.skip(str(reason))
        if row:
            run.keep(request.node, row)
        jax.clear_caches()

    return go
