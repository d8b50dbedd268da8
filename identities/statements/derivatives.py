"""Derivatives, differentials, values at a place, minima and expectations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from identities.statements import differences, evaluation, expectations, numbers
from identities.statements.environment import Array, Env, lead, must_fit, pick
from identities.statements.functions import Functions
from identities.statements.shapes import (
    SCALAR,
    Shape,
    Size,
    column,
    extents,
    is_column,
    of_axes,
    product,
)
from identities.statements.syntax import (
    Average,
    Definition,
    Derivative,
    Differential,
    Entry,
    Given,
    Letter,
    Minimum,
    Target,
    walk,
)
from identities.statements.terms import Kind, Run, Term


@dataclasses.dataclass(frozen=True)
class Changed:
    base: Run
    back: Callable[[Array], Array]


class Derivatives(Functions):
    """What varies a letter."""

    def _derivative(self, node: Derivative) -> Term:
        if node.order is not None:
            return self.repeated(node)
        term = self.partial(node) or self.of(node.body)
        scalar = not term.shape
        for target in node.targets:
            term = self.by(term, target, node)
        if scalar and self.reading.layout == "numerator" and len(node.targets) == 1 and len(term.shape) == 2:
            inner = term
            term = dataclasses.replace(inner, shape=inner.shape[::-1], run=lambda env: numbers.T(inner.run(env)))
        return dataclasses.replace(term, at=node.at)

    def partial(self, node: Derivative) -> Term | None:
        """∂c/∂a of c = a + b, where b depends on a too: the definition with its other letters held."""
        body = node.body
        if not isinstance(body, Letter) or body.name not in self.definitions or len(node.targets) != 1:
            return None
        right = self.definitions[body.name].right
        letters = {n.name for n in walk(right) if isinstance(n, Letter)}
        others = sorted(n for n in letters if n in self.definitions and n != node.targets[0].letter and n != body.name)
        if node.targets[0].letter not in letters or not others:
            return None
        term = self.of(right)
        held = {name: self.defined(name, node.at) for name in others}
        return dataclasses.replace(term, held=tuple(held.items()))

    def by(self, body: Term, target: Target, node: Derivative) -> Term:
        if target.letter in self.families and len(target.indices) == 1 and not body.shape:  # by mu_j, one of several
            every = dataclasses.replace(target, letter=self.families[target.letter][0], indices=())
            one = Entry(target.at, Letter(target.at, target.letter), target.indices)
            return self.picked(self.by(body, every, node), target.letter, one)
        letter = self._letter(Letter(target.at, target.letter))
        name = self.key(target.letter)
        if self.is_index(target.letter):
            raise self.clash(f"{target.letter} is an index, nothing is differentiated by it", target.at)
        own = letter.shape
        changed = self.changed(target, letter)
        axes = extents(own if target.mark != "+" else own[::-1])
        if target.mark == "vec":
            axes = (product(*axes),)
        places = self.places(target, axes)
        rank = len(body.shape)
        structure = self.reading.structures.get(target.letter, "")
        itself = node.body.base if isinstance(node.body, Entry) else node.body
        if node.total or (isinstance(itself, Letter) and itself.name == target.letter):
            structure = self.reading.totals.get(target.letter, structure)
        is_complex = target.letter in self.kinds and self.kinds[target.letter].complex

        def run(env: Env) -> Array:
            if body.held:
                env = env.replacing({other: term.run(env) for other, term in body.held})
            base = changed.base(env)
            sizes = base.shape[base.ndim - len(own) :]
            must_fit((*sizes, *sizes))
            directions = differences.directions(sizes, structure, target.mark == "vec")

            def moved(value: Array) -> Array:
                return body.run(env.replacing({name: changed.back(value)}, deeper=1))

            found = differences.along(moved, base, directions, rank, env.depth)
            varies = is_complex or (target.letter in self.definitions and np.iscomplexobj(base))
            if varies or target.mark in ("Re", "Im"):
                found = self.complex_part(found, moved, base, directions, rank, env.depth, target.mark, varies)
            found = np.moveaxis(found, 0, -1)
            if places:
                shape = tuple(int(s) for s in axes)
                value = found.reshape(found.shape[:-1] + shape)
                spread = [p(env).reshape(p(env).shape + (1,) * rank) for p in places]
                return pick(value, len(shape), spread)
            if not axes:
                return found[..., 0]
            out = tuple(int(s) for s in extents(body.shape))
            lead_axes = found.shape[: found.ndim - 1 - rank]
            total = out + tuple(int(s) for s in axes)
            return found.reshape(lead_axes + (total if len(total) > 1 else (*total, 1)))

        if places or not axes:
            return Term(body.shape, run, node.at, names=body.names, entrywise=bool(body.shape))
        shape = (
            (own if target.mark != "+" else own[::-1])
            if not body.shape and target.mark != "vec"
            else of_axes(extents(body.shape) + axes)
        )
        return Term(shape, run, node.at, names=body.names, entrywise=len(shape) == 2)

    def key(self, letter: str) -> str:
        """Under which name the environment holds a letter: a parameter has one of its own."""
        return self.inner.get(letter, letter) if letter in self.parameters else letter

    def changed(self, target: Target, letter: Term) -> Changed:
        """The variable itself, and the letter as a function of it: X^+ varies X = (X^+)^+."""
        if target.mark == "+":
            return Changed(lambda env: numbers.pseudoinverse(letter.run(env)), numbers.pseudoinverse)
        return Changed(letter.run, lambda value: value)

    def places(self, target: Target, axes: Shape) -> list[Callable[[Env], Array]]:
        if not target.indices:
            return []
        if len(target.indices) != len(axes):
            raise self.clash(f"{len(axes)} indices were expected behind ∂{target.letter}", target.at)
        zero = target.letter in self.kinds and self.kinds[target.letter].zero_based
        return [self.place(i, s, 0 if zero else 1) for i, s in zip(target.indices, axes, strict=True)]

    def complex_part(
        self,
        real: Array,
        moved: Callable[[Array], Array],
        base: Array,
        directions: Array,
        rank: int,
        depth: int,
        mark: str,
        is_complex: bool,
    ) -> Array:
        """Wirtinger's derivatives, or the gradient, from those along the real and the imaginary axis."""
        if mark == "Re":
            return real
        if not is_complex:
            return np.zeros_like(real)
        imaginary = differences.along(moved, base, np.complex128(1j) * directions, rank, depth)
        if mark == "Im":
            return imaginary
        if mark == "gradient" or (mark == "" and self.reading.complex_gradient):
            return real + np.complex128(1j) * imaginary
        sign = 1 if mark == "*" else -1
        return (real + sign * np.complex128(1j) * imaginary) / 2

    def repeated(self, node: Derivative) -> Term:
        """d^k/dx^k, of a function that one number enters."""
        (target,) = node.targets
        body = self.of(node.body)
        order = self.number(node.order, "an order")  # type: ignore[arg-type]
        chain = [body]
        for _ in range(3):
            chain.append(self.by(chain[-1], target, node))

        def run(env: Env) -> Array:
            times = evaluation.whole(order.run(env))
            if times > 3:
                raise numbers.Unusable("a derivative of higher order than 3 has too few digits")
            return chain[times].run(env)

        return Term(body.shape, run, node.at)

    def _differential(self, node: Differential) -> Term:
        if isinstance(node.body, Letter) and not node.along:
            name = node.body.name
            if f"d{name}" in self.definitions:
                return self.defined(f"d{name}", node.at)
            if name not in self.definitions and name not in self.parameters:
                kind = self.kind(name, node.at)
                if kind.constant:
                    return Term(SCALAR, lambda env: np.asarray(0.0), node.at, zero=True)
                self.varied.add(name)
                return Term(kind.shape, lambda env: env.tangents[name], node.at)
        body = self.of(node.body)
        self.varied.update(node.along)
        rank = len(body.shape)
        own = node.along

        def run(env: Env) -> Array:
            names = own or tuple(sorted(self.varied))
            t = np.zeros(())

            def moved(shift: Array) -> Array:
                values = {}
                for name in names:
                    base, tangent = env.values[name], env.tangents[name]
                    step = shift.reshape(shift.shape + (1,) * self.rank_of(name))
                    values[name] = base + step * tangent
                return body.run(env.replacing(values, deeper=1))

            scaled = np.ones((1,)) * 0.5
            return differences.along(moved, t, scaled, rank, env.depth)[0] / 0.5

        return Term(body.shape, run, node.at, entrywise=body.entrywise, names=body.names)

    def rank_of(self, name: str) -> int:
        return len(self.kinds[name].shape)

    def define_behind(self, node: Given) -> list[Definition]:
        """Define what holds everywhere, once, and before any side is read; what holds inside alone is given back."""
        varied = {t.letter for n in walk(node.body) if isinstance(n, Derivative) for t in n.targets}
        local = [d for d in node.definitions if isinstance(d.left, Letter) and d.left.name in varied]
        if not any(node is one for one in self.behind):
            self.behind.append(node)
            self.define([d for d in node.definitions if d not in local])
        return local

    def _given(self, node: Given) -> Term:
        """Letters that a derivative inside varies get their values there; others are defined everywhere."""
        local = self.define_behind(node)
        saved, names_before = self.parameters, self.inner
        values: list[tuple[str, Term]] = []
        for one in local:
            letter, term = one.left.name, dataclasses.replace(self.of(one.right), zero=False)  # type: ignore[attr-defined]
            inner = f"at.{letter}"
            values.append((inner, term))
            self.parameters = {**self.parameters, letter: dataclasses.replace(term, run=evaluation.held(inner))}
            self.inner = {**self.inner, letter: inner}
        body = self.of(node.body)
        self.parameters, self.inner = saved, names_before

        def run(env: Env) -> Array:
            return body.run(env.replacing({name: term.run(env) for name, term in values}))

        return dataclasses.replace(body, run=run, at=node.at)

    def _minimum(self, node: Minimum) -> Term:
        """By one step of Newton's method, exact for a function quadratic in the letter."""
        kind = self.kinds.get(node.letter) or Kind(column(Size()))
        saved, self.parameters = self.parameters, dict(self.parameters)
        inner = f"min.{node.letter}"
        self.parameters[node.letter] = Term(kind.shape, lambda env: env.values[inner], node.at)
        body = self.of(node.body)
        self.parameters = saved
        if body.shape or not is_column(kind.shape):
            raise self.clash("a minimum is that of a number over a vector", node.at)

        def run(env: Env) -> Array:
            n = int(kind.shape[0])
            must_fit((n, n, n))
            unit = np.eye(n)[:, :, None]
            zero = np.zeros((n, 1))

            def f(value: Array, depth: int) -> Array:
                return lead(body.run(env.replacing({inner: value}, deeper=depth)), 0, env.depth + depth)

            pad = (1,) * env.depth
            f0 = f(zero, 0)
            plus = f(unit.reshape((n, *pad, n, 1)), 1)
            minus = f(-unit.reshape((n, *pad, n, 1)), 1)
            gradient = np.moveaxis((plus - minus) / 2, 0, -1)
            pair = (unit[:, None] + unit[None, :]).reshape((n, n, *pad, n, 1))
            both = f(pair, 2)
            mixed = both - plus[:, None] - plus[None, :] + f0
            hessian = np.moveaxis(mixed, (0, 1), (-2, -1))
            best = -np.linalg.solve(hessian, gradient[..., None])
            return lead(body.run(env.replacing({inner: best})), 0, env.depth)

        return Term(SCALAR, run, node.at)

    def _average(self, node: Average) -> Term:
        letters = tuple(self.reading.random)
        if not letters:
            raise self.unread("an expectation needs a declared random letter", node.at)
        for name in letters:
            self.kind(name, node.at)
        terms = [self.of(one) for one in node.arguments]
        if node.operator == "E" and len(terms) == 1:
            (term,) = terms
            return dataclasses.replace(
                term, run=expectations.mean(term.run, len(term.shape), letters), at=node.at, zero=False, constant=None
            )
        if node.operator == "E" or len(terms) > 2 or (node.operator == "Var" and len(terms) > 1):
            raise self.clash(f"{node.operator} takes another number of arguments", node.at)
        a, b = terms[0], terms[-1]
        if not all(is_column(t.shape) or not t.shape for t in (a, b)) or bool(a.shape) != bool(b.shape):
            raise self.clash(f"{node.operator} takes numbers, or columns", node.at)
        shape = (a.shape[0], b.shape[0]) if a.shape else SCALAR
        run = expectations.covariance((a.run, len(a.shape)), (b.run, len(b.shape)), letters)
        return Term(shape, run, node.at)
