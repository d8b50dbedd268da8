"""Entries and indices: what a subscript picks, arrays that are collected from entries, sums over indices, cases."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from identities.statements import defining, evaluation, numbers
from identities.statements.arithmetic import Arithmetic
from identities.statements.cursor import INDICES
from identities.statements.environment import Array, Env, lead, must_fit, must_join, pick
from identities.statements.shapes import (
    SCALAR,
    Size,
    column,
    extents,
    is_column,
    is_one,
    of_axes,
    tie,
    words,
)
from identities.statements.syntax import (
    At,
    Big,
    Cases,
    Condition,
    Constant,
    Delta,
    Derivative,
    Differential,
    Entry,
    Index,
    Letter,
    Marked,
    Node,
    Number,
    SingleEntry,
    Target,
    UnitVector,
    children,
    walk,
)
from identities.statements.terms import Bound, Run, Term

FOLDS: dict[str, Callable[..., Any]] = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}


class Entries(Arithmetic):
    """What has a subscript."""

    def place(self, node: Node, size: Size, base: int = 1) -> Callable[[Env], Array]:
        """Where an index points to on an axis of this size, from 0 on."""
        first = base
        if isinstance(node, Letter):
            name = node.name
            last = name in self.sizes and name not in self.index_letters and self.may_be(self.sizes[name], size)
            if (
                name not in self.parameters
                and name not in self.definitions
                and (name in self.bound or name in self.free or (name not in self.kinds and not last))
            ):
                bound = self.index(name)
                if base == 0 and bound.first is None and name in self.free:
                    bound.first = 0
                    self.must_tie(bound.size, size, f"the index {name} runs over two ranges", node.at)
                if bound.first is None or (bound.first == 0 and name in self.free):
                    self.must_tie(bound.size, size, f"the index {name} runs over two ranges", node.at)
                elif bound.last is not None:
                    tie(bound.last, size)
                if bound.first == 0:
                    first = 0
        term = self.number(node, "an index")

        def run(env: Env) -> Array:
            value = term.run(env)
            if np.iscomplexobj(value) or not np.all(np.abs(value - np.rint(value)) < 1e-9):
                raise self.clash("an index is a whole number", node.at)
            if np.any(value < first - 0.5) or np.any(value > int(size) + first - 0.5):
                raise self.clash("an index is out of range", node.at)
            return np.rint(value).astype(np.intp) - first

        return run

    def _entry(self, node: Entry) -> Term:
        base = node.base
        if isinstance(base, Letter) and base.name in self.recursions:
            return self.step(base.name, node)
        if isinstance(base, Letter) and base.name in self.families and len(node.indices) == 1:
            return self.member(base.name, node)
        names = [n.name for n in node.indices if isinstance(n, Letter)]
        if isinstance(base, Differential) and isinstance(base.body, Letter) and base.body.name in self.families:
            return self.member(base.body.name, node, differential=True)
        if isinstance(base, defining.Opaque):
            return self.collected(base.body, names, node.at)
        opened = self.open_indices(base, frozenset(names))
        if not isinstance(base, (Letter, Marked)) and len(names) == len(node.indices) and set(names) <= opened:
            return self.collected(base, names, node.at)
        term = self.of(base)
        axes = extents(term.shape)
        if not term.shape:
            raise self.clash(
                "a number has no entries"
                + (
                    f": declare {base.name} a vector, or one name with its subscript"
                    if isinstance(base, Letter)
                    else ""
                ),
                node.at,
            )
        if len(node.indices) == 1 < len(axes) and isinstance(node.indices[0], Number):  # A_{21}: row 2, column 1
            digits = str(int(node.indices[0].value))
            if len(digits) == len(axes):
                node = dataclasses.replace(node, indices=tuple(Number(node.at, float(c)) for c in digits))
        if len(node.indices) != len(axes):
            raise self.clash(f"{len(axes)} indices were expected, for {words(term.shape)}", node.at)
        from_zero = isinstance(base, Letter) and base.name in self.kinds and self.kinds[base.name].zero_based
        places = [self.place(one, size, 0 if from_zero else 1) for one, size in zip(node.indices, axes, strict=True)]
        kept = [k for k, size in enumerate(term.shape) if not is_one(size)]

        def run(env: Env) -> Array:
            value = term.run(env)
            lost = [k - len(term.shape) for k in range(len(term.shape)) if k not in kept]
            value = np.squeeze(value, axis=tuple(lost)) if lost else value
            return pick(value, len(kept), [p(env) for p in places])

        return Term(SCALAR, run, node.at)

    def member(self, name: str, node: Entry, differential: bool = False) -> Term:
        """v_i of a family, or its differential: a column or row of a matrix, or a slice of an array of three axes."""
        whole = Letter(node.at, self.families[name][0])
        return self.picked(self.of(Differential(node.at, whole) if differential else whole), name, node)

    def picked(self, term: Term, name: str, node: Entry) -> Term:
        """One of a family, from an array that holds them all."""
        whole, how = self.families[name]
        if len(node.indices) != 1:
            raise self.clash(f"one subscript of {name} was expected", node.at)
        if len(term.shape) != (3 if how == "slices" else 2):
            raise self.clash(f"{whole} was expected to hold the {how}, this is {words(term.shape)}", node.at)
        axis = {"columns": 1, "rows": 0, "slices": 0}[how]
        size = term.shape[axis]
        place = self.place(node.indices[0], size, 0 if whole in self.kinds and self.kinds[whole].zero_based else 1)
        others = tuple(s for k, s in enumerate(term.shape) if k != axis)
        rank = len(term.shape)

        def run(env: Env) -> Array:
            value, where = term.run(env), place(env)
            value = np.moveaxis(value, axis - rank, -rank)
            batch = np.broadcast_shapes(value.shape[:-rank], where.shape)
            must_fit(batch + value.shape[-rank:])
            value = np.broadcast_to(value, batch + value.shape[-rank:])
            where = np.broadcast_to(where, batch).reshape(batch + (1,) * rank)
            found = np.take_along_axis(value, where, axis=value.ndim - rank).squeeze(value.ndim - rank)
            return found[..., None] if rank == 2 else found

        return Term(of_axes(others), run, node.at)

    def step(self, name: str, node: Entry) -> Term:
        """f_i of a recursion f_i = … f_{i-1} …, f_0 = …."""
        one = self.recursions[name]
        if len(node.indices) != 1:
            raise self.clash(f"one subscript of {name} was expected", node.at)
        index = node.indices[0]
        if isinstance(index, Letter) and self.stands_as_index(index.name):
            self.index(index.name)  # its range comes from the operand that it also counts
        place = self.number(index, "a subscript")
        if name not in self.first:
            self.first[name] = self.of(one.first)
            saved, self.parameters = self.parameters, dict(self.parameters)
            inner = f"at.{name}"
            self.parameters[one.index] = Term(SCALAR, evaluation.held(inner), node.at)
            self.next[name] = self.of(one.step)
            self.parameters = saved
            self.begin[name] = self.number(one.at_first, "a subscript")
            self.same_shape(self.first[name], self.next[name], "the terms of a recursion have one shape")
        first = self.first[name]
        rank = len(first.shape)

        def at(env: Env, k: int, deep: int = 0) -> Array:
            if k == evaluation.whole(self.begin[name].run(env)):
                return first.run(env)
            if not 0 <= k <= 64 or deep > 64:
                raise numbers.Unusable("a recursion does not end")
            if (name, k) not in env.cache:
                env.cache[name, k] = self.next[name].run(
                    env.replacing({f"at.{name}": np.asarray(float(k - one.shift))})
                )
            return env.cache[name, k]

        def run(env: Env) -> Array:
            value = place.run(env)
            if not np.all(np.abs(value) <= 64):
                raise numbers.Unusable("a recursion has at most 64 steps")
            where = np.rint(value).astype(int)
            each = {k: at(env, k) for k in sorted(set(where.ravel().tolist()))}
            if len(each) == 1:
                return next(iter(each.values()))
            batch = np.broadcast_shapes(where.shape, *(v.shape[: v.ndim - rank] for v in each.values()))
            some = next(iter(each.values()))
            must_fit(batch + some.shape[some.ndim - rank :])
            result = np.zeros(batch + some.shape[some.ndim - rank :])
            for k, value in each.items():
                result = np.where((where == k).reshape(where.shape + (1,) * rank), value, result)
            return result

        return Term(first.shape, run, node.at)

    def open_indices(self, node: Node, names: frozenset[str] = frozenset()) -> set[str]:
        """Letters that stand as indices in the node and are not bound inside; `names` are indices in any case."""

        def indices(of: Node) -> set[str]:
            found = {n.name for n in walk(of) if isinstance(n, Letter)}
            return {n for n in found if n in names or (n not in self.kinds and n not in self.sizes)}

        found: set[str] = set()
        if isinstance(node, Entry):
            inner = self.open_indices(node.base, names)
            mine = set().union(*(indices(one) for one in node.indices))
            if not isinstance(node.base, Letter) and mine and mine <= inner:
                return inner - mine
            return inner | mine
        if isinstance(node, (Delta, SingleEntry, UnitVector)):
            return indices(node)
        if isinstance(node, Big):
            found = self.open_indices(node.body, names).union(*(indices(c) for c in node.conditions))
            return found - {i.name for i in node.indices}
        if isinstance(node, Cases):
            for _, conditions in node.rows:
                found |= set().union(*(indices(c) & (INDICES | names) for c in conditions))
        if isinstance(node, Derivative):
            for target in node.targets:
                found |= set().union(*(indices(one) for one in target.indices))
        if isinstance(node, Letter):
            return {node.name} if node.name in names or (node.name in INDICES and self.unknown(node.name)) else set()
        for child in children(node):
            if not isinstance(child, Target):
                found |= self.open_indices(child, names)
        return found

    def collected(self, base: Node, names: Sequence[str], at: At) -> Term:
        """The array whose entries are a number that depends on the indices."""
        saved = dict(self.bound)
        mine = {name: Bound(Size()) for name in names}
        self.bound.update(mine)
        term = self.of(base)
        self.bound = saved
        letters = {n.name for n in walk(base) if isinstance(n, Letter)}
        if is_column(term.shape) and len(names) == 1 and names[0] not in letters:  # lambda_i = eig(A), one by one
            return term
        if term.shape:
            raise self.clash(f"the entries of an array are numbers, these are {words(term.shape)}", base.at)
        sizes = [mine[name].size for name in names]

        def run(env: Env) -> Array:
            for name, size in zip(names, sizes, strict=True):
                env = env.binding(name, np.arange(1, int(size) + 1))
            value = lead(term.run(env), 0, env.depth)
            must_fit(tuple(int(s) for s in sizes) + value.shape[len(sizes) :])
            value = np.broadcast_to(value, tuple(int(s) for s in sizes[::-1]) + value.shape[len(sizes) :])
            value = np.moveaxis(value, range(len(sizes)), [value.ndim - 1 - k for k in range(len(sizes))])
            return value[..., None] if len(sizes) == 1 else value

        return Term(of_axes(sizes), run, at, names=tuple(names), entrywise=len(names) == 2)

    def _delta(self, node: Delta) -> Term:
        a, b = (self._soft_index(n) for n in (node.left, node.right))
        return Term(SCALAR, lambda env: (a(env) == b(env)).astype(float), node.at)

    def _soft_index(self, node: Node) -> Run:
        free = isinstance(node, Letter) and node.name not in self.kinds and node.name not in self.sizes
        if isinstance(node, Letter) and (free or self.must_be_index(node.name)):
            self.index(node.name)
        return self.number(node, "an index").run

    def _singleentry(self, node: SingleEntry) -> Term:
        shape = (Size(), Size())
        row, col = self.place(node.row, shape[0]), self.place(node.column, shape[1])

        def run(env: Env) -> Array:
            r, c = row(env)[..., None, None], col(env)[..., None, None]
            must_fit((*np.broadcast_shapes(r.shape[:-2], c.shape[:-2]), int(shape[0]), int(shape[1])))
            rows, columns = np.arange(int(shape[0]))[:, None], np.arange(int(shape[1]))
            return ((r == rows) & (c == columns)).astype(float)

        return Term(shape, run, node.at)

    def _unitvector(self, node: UnitVector) -> Term:
        size = Size()
        place = self.place(node.index, size)
        return Term(
            column(size),
            lambda env: (place(env)[..., None, None] == evaluation.counted_to(size)[:, None]).astype(float),
            node.at,
        )

    def binding_both(self, node: Big) -> Big:
        """In a sum over i < j, j is bound too where it stands nowhere else."""
        inside = collections.Counter(n.name for n in walk(node) if isinstance(n, Letter))
        bound = {one.name for one in node.indices}
        more = [
            Index(n.at, n.name)
            for c in node.conditions
            for n in walk(c.right)
            if isinstance(n, Letter) and n.name not in bound and n.name not in self.bound and self.unknown(n.name)
            if inside[n.name] == self.everywhere.get(n.name)
        ]
        return dataclasses.replace(node, indices=(*node.indices, *{one.name: one for one in more}.values()))

    def _big(self, node: Big) -> Term:
        if not node.indices:
            return self.folded(node)
        node = self.binding_both(node)
        node = dataclasses.replace(node, indices=(*node.indices, *self.paired(node)))
        saved = dict(self.bound)
        ranges: list[tuple[str, Bound, Run | None, Run | None]] = []
        for one in node.indices:
            low = self.number(one.low, "a bound") if one.low is not None else None
            high = self.bound_high(one, low)
            first = None if low is None else int(low.constant) if low.constant is not None else 1
            bound = Bound(Size(), first, high[1])
            if isinstance(one.high, Letter) and high[1] is not None and first == 1:
                bound.first, bound.size = 1, high[1]
            endless = isinstance(one.high, Constant) and one.high.name == "infinity"
            if endless and (node.operator != "sum" or len(node.indices) != 1):
                raise self.unread("only a sum over one index has no end", node.at)
            ranges.append((one.name, bound, low.run if low else None, evaluation.last_term if endless else high[0]))
        for name, bound, _, _ in ranges:
            self.bound[name] = bound
        conditions = [self.condition(c) for c in node.conditions]
        body = self.of(node.body)
        self.bound = saved
        rank = len(body.shape)
        operator = node.operator

        def run(env: Env) -> Array:
            lengths = []
            for name, bound, low, high in ranges:
                if high is not None:
                    start = evaluation.whole(low(env)) if low else 1
                    must_fit((max(0, evaluation.whole(high(env)) + 1 - start),))
                    values = np.arange(start, evaluation.whole(high(env)) + 1)
                else:
                    values = (
                        np.arange(1, int(bound.size) + 1)
                        if low is None
                        else np.arange(bound.first or 0, int(bound.size))
                    )
                lengths.append(len(values))
                env = env.binding(name, values if len(values) else np.zeros(1, int))
            if 0 in lengths:
                empty = 0.0 if operator == "sum" else 1.0
                must_fit(tuple(int(s) for s in body.shape))
                return np.full(tuple(int(s) for s in body.shape), empty)
            must_fit(tuple(lengths))
            value = lead(body.run(env), rank, env.depth)
            spread = tuple(lengths[::-1]) + value.shape[len(lengths) :]
            must_fit(spread)
            value = np.broadcast_to(value, spread)
            if conditions:
                keep = conditions[0](env)
                for more in conditions[1:]:
                    other = more(env)
                    must_join(keep, other)
                    keep = keep & other
                keep = lead(keep, 0, env.depth).reshape(lead(keep, 0, env.depth).shape + (1,) * rank)
                neutral = {"sum": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf}[operator]
                must_join(keep, value)
                value = np.where(keep, value, neutral)
            if operator in ("max", "min"):
                numbers.must_be_real(value)
            axes = tuple(range(len(lengths)))
            if ranges[0][3] is evaluation.last_term:
                evaluation.must_end(value)
            return FOLDS[operator](value, axis=axes)

        return Term(body.shape, run, node.at, entrywise=body.entrywise)

    def paired(self, node: Big) -> list[Index]:
        """The j of a product over i > j, where it stands nowhere else."""
        mine = {one.name for one in node.indices}
        found = [
            n.name for c in node.conditions if c.relation in "<>≤≥" for n in walk(c.right) if isinstance(n, Letter)
        ]
        inside = [n.name for n in walk(node) if isinstance(n, Letter)]
        return [
            Index(node.at, name)
            for name in dict.fromkeys(found)
            if name not in mine and self.unknown(name) and inside.count(name) == self.everywhere.get(name)
        ]

    def bound_high(self, one: Index, low: Term | None) -> tuple[Run | None, Size | None]:
        """The upper bound of a sum, and the size that it names: the n of i=1…n and of k=0…n-1."""
        if one.high is None:
            return None, None
        named = defining.named_size(one.high, 1 if low is None else low.constant)
        if named and named not in self.kinds and named not in self.definitions and not self.is_index(named):
            self.sizes.setdefault(named, Size(name=named))
        high = self.number(one.high, "a bound")
        return high.run, self.sizes.get(named) if named else None

    def folded(self, node: Big) -> Term:
        """sum eig(X), max eig(X): over the entries of a vector."""
        body = self.of(node.body)
        if not body.shape:
            raise self.clash(f"the index of the {node.operator} was expected", node.at)
        axes = tuple(range(-len(body.shape), 0))
        fold = FOLDS[node.operator]

        def run(env: Env) -> Array:
            value = body.run(env)
            if node.operator in ("max", "min"):
                numbers.must_be_real(value)
            return fold(value, axis=axes)

        return Term(SCALAR, run, node.at)

    def condition(self, node: Condition) -> Callable[[Env], Array]:
        for one in (node.left, node.right):
            for letter in walk(one):
                known = (self.kinds, self.sizes, self.definitions, self.parameters)
                if isinstance(letter, Letter) and not any(letter.name in where for where in known):
                    self.index(letter.name)
        a, b = self.number(node.left, "a condition"), self.number(node.right, "a condition")
        return lambda env: evaluation.compared(node.relation, a.run(env), b.run(env))

    def _cases(self, node: Cases) -> Term:
        rows = [(self.of(value), [self.condition(c) for c in conditions]) for value, conditions in node.rows]
        wide = next((t for t, _ in rows if t.shape), rows[0][0])
        for term, _ in rows:
            if term.shape != wide.shape and not term.zero:
                self.same_shape(wide, term, "cases have one shape")
        rank = len(wide.shape)

        def run(env: Env) -> Array:
            chosen: list[Array] = []
            values: list[Array] = []
            for term, conditions in rows:
                keep = np.asarray(True)
                for one in conditions:
                    other = one(env)
                    must_join(keep, other)
                    keep = keep & other
                values.append(evaluation.guarded(term, env))
                chosen.append(keep.reshape(keep.shape + (1,) * rank))
            result: Array = np.asarray(0.0)
            for keep, value in zip(chosen[::-1], values[::-1], strict=True):
                must_join(keep, value, result)
                result = np.where(keep, value, result)
            return result

        return Term(wide.shape, run, node.at, entrywise=True)
