"""What goes wrong with a statement: a sentence that points at a place of the text.

`Unread`        the text is not in the language, or is ambiguous on paper: what was expected, and where
`WrongShapes`   it can be read, but kinds or shapes clash: which declaration would mend it
`NoEvidence`    it can be read, but no draw tells right from wrong
`TooLarge`      it can be read, but takes too many numbers, too many steps or too deep a nesting
`Unforeseen`    its evaluation failed in a way that no other sentence names: a fault of this program
"""

from __future__ import annotations

import re


class StatementError(ValueError):
    """A statement that was not decided.  `start` and `end` are places in `text`."""

    def __init__(self, message: str, at: tuple[int, int] | None = None, text: str = ""):
        message = _with_letters(message)
        super().__init__(message)
        self.message = message
        self.at = at
        self.text = text
        self.hint = ""  # how the statement is mended, behind its place

    def __str__(self) -> str:
        return self.placed() + self.hint

    def placed(self) -> str:
        """The message, and the place in the text."""
        if self.at is None or not self.text:
            return self.message
        start, end = self.at
        low, high = max(0, start - 30), min(len(self.text), end + 30)
        before = ("…" if low else "") + self.text[low:start]
        here = self.text[start:end] or "(the end)"
        after = self.text[end:high] + ("…" if high < len(self.text) else "")
        place = "at the end" if start >= len(self.text) else f"at character {start + 1}"
        sentence = " ".join(f"{self.message} ({place}: {before}→{here}←{after})".split())
        return sentence.encode("utf-8", "backslashreplace").decode("utf-8")  # half of a pair cannot be printed


def _with_letters(message: str) -> str:
    """Open sizes, which count on from statement to statement (d17), by letters: m, n, p."""
    open_sizes = dict.fromkeys(re.findall(r"\bd\d+\b", message))
    free = [c for c in "mnpqrstuvw" if not re.search(rf"\b{c}\b", message)]
    for size, letter in zip(open_sizes, free, strict=False):
        message = re.sub(rf"\b{size}\b", letter, message)
    return message


class Unread(StatementError):
    """The text is no statement of the language."""


class WrongShapes(StatementError):
    """Kinds or shapes clash."""


class NoEvidence(StatementError):
    """Every draw was ill-conditioned, outside of a domain, or told nothing."""


class TooLarge(StatementError):
    """A value would hold too many numbers, or a statement takes too much work."""


class Unforeseen(StatementError):
    """NumPy or this program failed where a sentence of its own was due."""
