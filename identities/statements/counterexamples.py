"""The smallest place where a statement fails: the smallest sizes, and whole numbers from -2 to 2 if these refute it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from identities.statements.places import Place, Trial, shapes_by_size

LARGEST_DIM = 4
SECONDS = 2.0  # for the whole search; what was found by then is shown
INTEGERS = 60  # draws of whole numbers at one choice of sizes


def smallest(trial: Trial, seed: int = 0, seconds: float = SECONDS) -> tuple[Sequence[int], Place] | None:
    """Sizes and values where the statement is false; None where small sizes do not refute it."""
    until = time.monotonic() + seconds
    for sizes in shapes_by_size(trial, LARGEST_DIM):
        if time.monotonic() > until:
            return None
        if not trial.set(sizes):
            continue
        general = next((p for k in range(6) if (p := _general(trial, seed + k)) and trial.refuted_around(p)), None)
        if general is None:
            continue
        for k in range(INTEGERS):
            if time.monotonic() > until:
                break
            place = trial.integers(seed + k)
            if place is not None and trial.refuted_around(place):
                return sizes, shrunk(trial, place, until)
        return sizes, general
    return None


def _general(trial: Trial, seed: int) -> Place | None:
    try:
        return trial.general(seed)
    except (ArithmeticError, ValueError):
        return None


def shrunk(trial: Trial, place: Place, until: float) -> Place:
    """Entries become 0, 1, -1 or 2, one after another, for as long as the statement stays false."""
    values, tangents = dict(place.values), dict(place.tangents)
    for group in (values, tangents):
        for name in list(group):
            if name not in trial.meaning.kinds:  # weights and atoms of random letters
                continue
            kind = trial.meaning.kinds[name]
            if kind.word is not None or kind.complex or kind.value is not None or kind.integer is not None:
                continue
            for index in np.ndindex(group[name].shape):
                now = float(group[name][index])
                for smaller in (0.0, 1.0, -1.0, 2.0):
                    if (abs(smaller), smaller < 0) >= (abs(now), now < 0) or time.monotonic() > until:
                        break
                    attempt = group[name].copy()
                    attempt[index] = smaller
                    saved, group[name] = group[name], attempt
                    if trial.refuted_around(Place(values, tangents)):
                        break
                    group[name] = saved
    return Place(values, tangents)
