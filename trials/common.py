"""What the trials share: where results and pages go, and what a run states about its machine."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import platform
import tempfile
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "trials" / "results"
DOCS = ROOT / "docs"
PLOTS = DOCS / "plots"


def machine() -> dict[str, Any]:
    """Date, machine and versions, for the head of a result."""
    import jax
    import numpy

    import identities

    device = jax.devices()[0]
    return {
        "date": datetime.date.today().isoformat(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "device": device.platform if device.platform == "cpu" else device.device_kind,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": numpy.__version__,
        "identities": identities.__version__,
    }


def say_machine(about: dict[str, Any]) -> str:
    """One line of a page about where and when it was measured."""
    return (
        f"{about['date']}; {about['platform']}, {about['cores']} cores, {about['device']}; Python {about['python']}, "
        f"jax {about['jax']}, NumPy {about['numpy']}, matrix-identities {about['identities']}"
    )


def write(path: pathlib.Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(name, 0o644)
    os.replace(name, path)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write a JSON object, one line an entry of what it holds, whole or not at all."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    def entries(value: Any) -> str:
        if isinstance(value, dict) and value:
            return "{\n  " + ",\n  ".join(f"{line(str(k))}: {line(v)}" for k, v in value.items()) + "\n }"
        if isinstance(value, list) and value:
            return "[\n  " + ",\n  ".join(map(line, value)) + "\n ]"
        return line(value)

    write(path, "{\n " + ",\n ".join(f"{line(k)}: {entries(v)}" for k, v in content.items()) + "\n}\n")


def read_json(path: pathlib.Path) -> Any:
    """Read a result.  Raises FileNotFoundError with the command that makes it."""
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is not there yet; `make {path.stem}` measures it")
    return json.loads(path.read_text(encoding="utf-8"))


def figure(width: float = 7.5, height: float = 4.2) -> tuple[Any, Any]:
    """A matplotlib figure with one plot, without a display."""
    import matplotlib

    matplotlib.use("svg")
    # the same numbers give the same file, and text stays text
    matplotlib.rcParams.update({"svg.hashsalt": "identities", "svg.fonttype": "none", "axes.spines.top": False})
    matplotlib.rcParams.update({"axes.spines.right": False, "font.size": 10, "axes.grid": True, "grid.alpha": 0.25})
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")


def save(figure: Any, path: pathlib.Path) -> None:
    """Write a plot as SVG on white, so that it reads on a dark page too."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)
