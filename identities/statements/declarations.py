"""What is declared about the letters of a statement, where the text alone does not say it.

A declaration may say what a letter is; it never changes what the text says.  Clauses are apart by `;`, or given one by
one:

    W: Symmetric n n          an operand with a structure word (identities.engine.operands) and its dims
    A: n m                    an operand with its dims; `x: n` is a vector; `a: number`, `M: matrix`, `v: vector`
    z: complex                complex, of its usual kind; `A: complex n n`
    k: integer 1..4           a whole number, drawn from a range
    n = 2                     a dim, or a number, with its value
    let f(X) = A + BX         a definition, in the notation of the statement
    letter \\mu_2             a letter with its subscript, which a `let` defines
    const A                   a letter whose differential is zero
    rows x of X               x_i is row i of X, as a column; `columns v of V`; `slices A of A`, of three axes
    zero-based c              the entries of c count from 0
    index a b                 letters that stand as indices
    symmetric X               derivatives by X are in its free entries; `diagonal X`, `toeplitz X`, `within symmetric X`
    total symmetric A         the same for derivatives written with d, and for those of A itself; ∂ holds entries free
    entrywise sin exp         functions that act entry by entry on square matrices too
    diag matrix               diag of a matrix is a matrix; `diag vector`
    norm F                    the norm of a matrix without a kind; `norm 1`, `norm 2`, `norm inf`
    layout numerator          the gradient of a number is a row
    gradient                  by a complex operand, the gradient 2 df/dz^* is meant
    imaginary i               i is the imaginary unit
    differential d            a plain d before a letter or a function is the differential
    remark                    words behind the last side, or the range of a letter there, are a remark
    C is G                    a letter of the text that stands for another
    random x y                x and y have a joint law of a few atoms
    random x independent      the coordinates of x are independent; `random x alike`: with the same central moments too
    random x gaussian m S     x is Gaussian, as far as moments of the order 5 tell
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from identities.engine import operands
from identities.engine.errors import nearest
from identities.statements.cursor import INDICES, Vocabulary
from identities.statements.errors import Unread
from identities.statements.latex import read_definitions
from identities.statements.meaning import Kind, Reading
from identities.statements.shapes import Shape, Size, column, is_one
from identities.statements.syntax import Definition
from identities.statements.tokens import GREEK

MOST_ALONG = 1000  # the largest size along an axis, and the largest whole number that is drawn
MOST_AXES = 8
LAWS = ("independent", "alike", "gaussian")
STRUCTURES = ("symmetric", "diagonal", "toeplitz", "symmetric toeplitz")
WORDS = {name: getattr(operands, name) for name in operands.__all__ if operands.is_word(getattr(operands, name))}
NAME = r"\\?[A-Za-z]+(?:_?\{?\w+\}?)?'?"


ONE_LETTER = r"(?:[A-Za-z]|\\[A-Za-z]+)(?:_\w+)?"
RENAMED = re.compile(rf"((?:\\(?:bar|dot|hat|tilde)\s*\{{?)?{ONE_LETTER}\}}?)\s+is\s+([A-Za-z]\w*|\\[A-Za-z]+)")


@dataclasses.dataclass
class Declarations:
    """Everything that is declared, read."""

    kinds: dict[str, Kind] = dataclasses.field(default_factory=dict)
    sizes: dict[str, Size] = dataclasses.field(default_factory=dict)
    lets: list[str] = dataclasses.field(default_factory=list)
    functions: set[str] = dataclasses.field(default_factory=set)
    families: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    indices: set[str] = dataclasses.field(default_factory=set)
    structures: dict[str, str] = dataclasses.field(default_factory=dict)
    random: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    entrywise: set[str] = dataclasses.field(default_factory=set)
    diagonal: str = ""
    norm: str = ""
    layout: str = "denominator"
    gradient: bool = False
    imaginary: bool = False
    differential: bool = False
    remark: bool = False
    zero_based: set[str] = dataclasses.field(default_factory=set)
    constants: set[str] = dataclasses.field(default_factory=set)
    letters: set[str] = dataclasses.field(default_factory=set)
    totals: dict[str, str] = dataclasses.field(default_factory=dict)
    aliases: dict[str, str] = dataclasses.field(default_factory=dict)

    def vocabulary(self) -> Vocabulary:
        return Vocabulary(
            frozenset(self.kinds) | frozenset(self.letters),
            frozenset(self.functions),
            frozenset(self.families),
            INDICES | frozenset(self.indices),
            self.differential,
            self.imaginary,
            self.remark,
            tuple(self.aliases.items()),
            bool(self.random),
        )

    def reading(self) -> Reading:
        return Reading(
            self.layout,
            self.gradient,
            frozenset(self.entrywise),
            dict(self.structures),
            self.diagonal,
            dict(self.families),
            dict(self.totals),
            dict(self.random),
            self.norm,
        )

    def definitions(self) -> list[Definition]:
        """The definitions of `let`, in the notation of statements."""
        vocabulary = self.vocabulary()
        return [one for text in self.lets for one in read_definitions(text, vocabulary)]

    def final_kinds(self) -> dict[str, Kind]:
        return {
            name: dataclasses.replace(
                kind,
                zero_based=kind.zero_based or name in self.zero_based,
                constant=kind.constant or name in self.constants,
            )
            for name, kind in self.kinds.items()
        }


def declare(clauses: str | Sequence[str], known: Declarations | None = None) -> Declarations:
    """Read clauses, and add them to what is known.  Raises Unread with one sentence."""
    found = known or Declarations()
    texts = [clauses] if isinstance(clauses, str) else list(clauses)
    for text in texts:
        for clause in filter(None, (part.strip() for part in text.split(";"))):
            _clause(clause, found)
    return found


def _clause(clause: str, found: Declarations) -> None:
    first, _, rest = clause.partition(" ")
    rest = rest.strip()
    letters = [name(word) for word in rest.replace(",", " ").split()]
    if first == "let" and rest:
        found.lets.append(rest)
        function = re.match(r"\s*(\\?[A-Za-z]+(?:_?\{?\w+\}?)?)'*\s*\(", rest)
        if function:
            found.functions.add(name(function[1]))
    elif first == "const":
        found.constants.update(letters)
        for one in letters:
            found.kinds.setdefault(one, _usual(one))
    elif first == "letter" and letters:
        found.letters.update(letters)
    elif first == "total" and letters and rest.rsplit(" ", 1)[0] in STRUCTURES:
        found.totals[letters[-1]] = f"{rest.rsplit(' ', 1)[0]} entries"
    elif first in ("rows", "columns", "slices") and len(letters) == 3 and letters[1] == "of":
        found.families[letters[0]] = (letters[2], first)
    elif first == "zero-based":
        found.zero_based.update(letters)
        for one in letters:
            found.kinds.setdefault(one, _usual(one))
    elif first == "index":
        found.indices.update(letters)
    elif first == "within" and rest.rsplit(" ", 1)[0] in STRUCTURES and len(letters) >= 2:
        found.structures[letters[-1]] = f"within {' '.join(letters[:-1])}"
    elif clause.rsplit(" ", 1)[0] in STRUCTURES and letters:
        found.structures[letters[-1]] = f"{clause.rsplit(' ', 1)[0]} entries"
    elif first == "entrywise":
        found.entrywise.update(letters)
    elif first == "diag" and rest in ("matrix", "vector"):
        found.diagonal = rest
    elif first == "norm" and rest in ("F", "1", "2", "inf"):
        found.norm = rest
    elif first == "layout" and rest in ("numerator", "denominator"):
        found.layout = rest
    elif clause in ("gradient", "imaginary i", "remark", "differential d"):
        setattr(found, first, True)
    elif (renamed := RENAMED.fullmatch(clause)) is not None:
        accented = re.fullmatch(r"\\(bar|dot|hat|tilde)\s*\{?(\w+)\}?", renamed[1])
        found.aliases[f"{accented[1]}({accented[2]})" if accented else name(renamed[1])] = name(renamed[2])
    elif first == "random" and letters:
        law = next((k for k, word in enumerate(letters) if word in LAWS), len(letters))
        for one in letters[:law]:
            found.random[one] = tuple(letters[law:])
            found.kinds.setdefault(one, _usual(one))
    elif ":" in clause:
        _operand(clause, found)
    elif re.fullmatch(rf"{NAME}\s*=\s*-?[\d./]+", clause):
        _value(clause, found)
    else:
        raise Unread(
            f"the declaration {clause!r} is not read; write, for instance, 'W: Symmetric n n', 'k: integer 1..4', "
            "'n = 2' or 'let f(X) = A + BX'"
        )


def name(text: str) -> str:
    """A letter as the tree holds it: \\Sigma_1 and \\Sigma_{1} are Sigma_1."""
    return re.sub(r"\\|[{}]", "", text.strip())


def _usual(one: str) -> Kind:
    core = one.split("_")[0]
    if not re.match("[A-Za-z]", core):
        raise Unread(f"{one!r} is no letter")
    if core[0].isupper():
        return Kind((Size(), Size()))
    return Kind(()) if core in GREEK or core == "t" else Kind(column(Size()))


def _operand(clause: str, found: Declarations) -> None:
    left, _, right = clause.partition(":")
    words = right.split()
    if not words or not left.strip():
        raise Unread(f"the declaration {clause!r} has a letter before its colon and its kind behind")
    for letter in left.replace(",", " ").split():
        if not re.fullmatch(NAME, letter):
            raise Unread(f"{letter!r} in {clause!r} is no letter")
        found.kinds[name(letter)] = _kind(name(letter), words, found, clause)


def _kind(letter: str, words: Sequence[str], found: Declarations, clause: str) -> Kind:
    kind: dict[str, Any] = {}
    dims: list[str] | None = None
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("number", "scalar"):
            dims = []
        elif word == "vector":
            dims = ["?"]
        elif word == "matrix":
            dims = ["?", "?"]
        elif word.lower() == "complex":
            kind["complex"] = True
        elif word == "real":
            kind["complex"] = False
        elif word == "integer":
            low, high = 1, 4
            if rest and re.fullmatch(r"\d+(\.\.\d+)?", rest[0]):
                ends = rest.pop(0).split("..")
                low, high = int(ends[0][:9]), int(ends[-1][:9])
                if not low <= high <= MOST_ALONG:
                    raise Unread(f"a range in {clause!r} goes upwards, to {MOST_ALONG} at most")
            if rest:
                raise Unread(f"{rest[0]!r} in {clause!r} is no range: a whole number or 1..4 was expected")
            kind["integer"] = (low, high)
            dims = []
        elif word in WORDS:
            kind["word"] = WORDS[word]
        elif word[0].isupper() and len(word) > 1:
            raise Unread(
                f"{word!r} in {clause!r} is no structure word; there are {', '.join(WORDS)}{nearest(word, WORDS)}"
            )
        else:
            dims = [word, *rest]
            rest = []
    if dims is None:
        shape = _usual(letter).shape
        if kind.get("word") and len(shape) == 2 and getattr(kind["word"], "square", False):
            shape = (shape[0], shape[0])
    else:
        shape = _shape(dims, found, clause)
    if kind.get("word") is not None:
        _must_suit(kind["word"], shape, clause)
    if kind.get("word") is not None and kind.get("complex") is None:
        kind["complex"] = operands.is_complex(kind["word"])
    return Kind(shape, **kind)


def _must_suit(word: Any, shape: Shape, clause: str) -> None:
    """Words about matrices stand with two dims, those about square ones with one dim twice."""
    english = getattr(word, "english", "")
    if getattr(word, "square", False):
        if len(shape) != 2 or (shape[0].find() is not shape[1].find() and shape[0].value != shape[1].value):
            raise Unread(f"{clause!r}: what is {english} has one dim twice, such as n n")
        if is_one(shape[1]):
            raise Unread(f"{clause!r}: what is {english} is a matrix, this is a vector")
    elif word in (operands.FullRank, operands.Orthogonal) and (len(shape) != 2 or is_one(shape[1])):
        raise Unread(f"{clause!r}: what is {english} has two dims")
    elif word is operands.Simplex and not shape:
        raise Unread(f"{clause!r}: what is {english} has one dim")


def _shape(dims: Sequence[str], found: Declarations, clause: str) -> Shape:
    sizes: list[Size] = []
    for dim in dims:
        if dim == "?":
            sizes.append(Size())
        elif re.fullmatch(r"[0-9]+", dim):
            if not 1 <= int(dim[:9]) <= MOST_ALONG:
                raise Unread(f"{dim[:12]!r} in {clause!r} is no dim: there are those from 1 to {MOST_ALONG}")
            sizes.append(Size(int(dim)))
        elif dim.isidentifier():
            sizes.append(found.sizes.setdefault(dim, Size(name=dim, declared=True)))
        else:
            raise Unread(f"{dim!r} in {clause!r} is no dim: a letter or a whole number was expected")
    if len(sizes) > MOST_AXES:
        raise Unread(f"an operand has at most {MOST_AXES} axes, {clause!r} names {len(sizes)}")
    return tuple(sizes) if len(sizes) != 1 else column(sizes[0])


def _value(clause: str, found: Declarations) -> None:
    left, _, right = clause.partition("=")
    letter, value = name(left), float(eval_fraction(right))
    if letter in found.sizes:
        if not 1 <= value <= MOST_ALONG or value != int(value):
            raise Unread(f"{clause!r}: a dim is a whole number from 1 to {MOST_ALONG}")
        found.sizes[letter].value = int(value)
    else:
        found.kinds[letter] = Kind((), value=value)


def eval_fraction(text: str) -> float:
    """0.5, -2, 1/3."""
    above, _, below = text.strip().partition("/")
    try:
        value = float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        raise Unread(f"{text.strip()!r} is no number") from None
    if not math.isfinite(value):
        raise Unread(f"{text.strip()[:12]!r}… is too large a number")
    return value


def of_operands(signature: Mapping[str, Any]) -> Declarations:
    """What an entry's signature declares: each operand with its structure word and dims."""
    found = Declarations()
    for letter, operand in signature.items():
        word, dims = operand.word, operand.dims
        sizes = [
            Size(d) if isinstance(d, int) else found.sizes.setdefault(d, Size(name=d, declared=True)) for d in dims
        ]
        shape = tuple(sizes) if len(sizes) != 1 else column(sizes[0])
        if isinstance(word, operands.CountRange):
            found.kinds[letter] = Kind((), integer=(word.low, word.high))
        else:
            found.kinds[letter] = Kind(shape, word, operands.is_complex(word))
    return found
