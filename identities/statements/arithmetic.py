"""Sums, products, quotients, powers, marks and blocks."""

from __future__ import annotations

import dataclasses

import numpy as np

from identities.statements import evaluation, numbers
from identities.statements.environment import Array, Env, must_fit, must_join
from identities.statements.scope import Scope
from identities.statements.shapes import (
    ONE,
    SCALAR,
    Shape,
    Size,
    is_one,
    is_vector,
    product,
    tie,
    total,
    words,
)
from identities.statements.syntax import (
    Add,
    At,
    Blocks,
    Elementwise,
    Kronecker,
    LeftDivision,
    Marked,
    Number,
    Power,
    Product,
    Quotient,
)
from identities.statements.terms import Term


class Arithmetic(Scope):
    """What stands between operands."""

    def _add(self, node: Add) -> Term:
        parts = [(sign, self.of(one)) for sign, one in node.terms]
        shaped = [(s, t) for s, t in parts if not t.zero]
        if not shaped:
            return dataclasses.replace(parts[0][1], at=node.at)
        if len(parts) == 1:
            (sign, only) = parts[0]
            constant = None if only.constant is None else sign * only.constant
            return dataclasses.replace(only, run=lambda env: sign * only.run(env), at=node.at, constant=constant)
        wide = next((t for _, t in shaped if t.shape), None)
        if wide is None:
            return Term(SCALAR, evaluation.summed(parts, 0), node.at)
        entrywise = any(t.entrywise for _, t in shaped if t.shape) or is_vector(wide.shape)
        for _, term in shaped:
            if not term.shape:
                if not entrywise:
                    raise self.clash(
                        f"a number is added to {words(wide.shape)}: a multiple of I was meant, or a matrix of ones",
                        term.at,
                    )
                continue
            self.same_shape(wide, term, "a sum has terms of one shape")
        names = next((t.names for _, t in shaped if t.names), ())
        kept = any(t.entrywise for _, t in shaped if t.shape)
        return Term(wide.shape, evaluation.summed(parts, len(wide.shape)), node.at, entrywise=kept, names=names)

    def same_shape(self, a: Term, b: Term, what: str) -> None:
        fits = len(a.shape) == len(b.shape) and all(
            is_one(x) == is_one(y) for x, y in zip(a.shape, b.shape, strict=True)
        )
        before = words(a.shape), words(b.shape)
        if not fits or not all(tie(x, y) for x, y in zip(a.shape, b.shape, strict=True)):
            raise self.clash(f"{what}: {before[0]} and {before[1]}", b.at)

    def _product(self, node: Product) -> Term:
        terms = [self.of(f) for f in node.factors]
        if any(t.zero for t in terms):
            return dataclasses.replace(next(t for t in terms if t.zero), at=node.at)
        stack: list[Term] = []
        for term in terms:
            stack.append(term)
            while len(stack) > 1 and evaluation.may_multiply(stack[-2], stack[-1]):
                right = stack.pop()
                left = stack.pop()
                stack.append(self.multiplied(left, right))
        if len(stack) > 1:
            left, right = stack[0], stack[1]
            raise self.clash(
                f"{words(left.shape)} is not multiplied by {words(right.shape)}: is a transpose missing, or is a "
                "letter no "
                f"{'vector' if is_vector(right.shape) else 'matrix'}",
                right.at,
            )
        return dataclasses.replace(stack[0], at=node.at)

    def multiplied(self, a: Term, b: Term) -> Term:
        at = (a.at[0], b.at[1])
        if not a.shape or not b.shape:
            wide, number = (b, a) if not a.shape else (a, b)
            rank = len(wide.shape)

            def scaled(env: Env) -> Array:
                factor, value = number.run(env), wide.run(env)
                factor = factor.reshape(factor.shape + (1,) * rank)
                must_join(factor, value)
                return factor * value

            return Term(wide.shape, scaled, at, entrywise=wide.entrywise, names=wide.names)
        if len(a.shape) > 2 or len(b.shape) > 2:
            raise self.clash("arrays of three and more axes are not multiplied: write a sum over entries", b.at)
        if not tie(a.shape[1], b.shape[0]):
            raise self.clash(f"{words(a.shape)} times {words(b.shape)}: the inner sizes differ", b.at)
        shape: Shape = (a.shape[0], b.shape[1])
        if is_one(shape[0]) and is_one(shape[1]):
            return Term(SCALAR, lambda env: evaluation.matrix_product(a, b, env)[..., 0, 0], at)
        return Term(shape, lambda env: evaluation.matrix_product(a, b, env), at)

    def _elementwise(self, node: Elementwise) -> Term:
        a, b = self.of(node.left), self.of(node.right)
        divide = node.operator == "⊘"
        if a.shape and b.shape:
            self.same_shape(a, b, f"{node.operator} takes two arrays of one shape")
        shape, rank = (a.shape or b.shape), len(a.shape or b.shape)

        def run(env: Env) -> Array:
            x, y = a.run(env), b.run(env)
            x = x if a.shape else x.reshape(x.shape + (1,) * rank)
            y = y if b.shape else y.reshape(y.shape + (1,) * rank)
            must_join(x, y)
            return x / y if divide else x * y

        return Term(shape, run, node.at, entrywise=True)

    def _kronecker(self, node: Kronecker) -> Term:
        a, b = self.of(node.left), self.of(node.right)
        for t in (a, b):
            if len(t.shape) > 2:
                raise self.clash("⊗ takes matrices", t.at)
        if not a.shape or not b.shape:
            return self.multiplied(a, b)
        shape = (product(a.shape[0], b.shape[0]), product(a.shape[1], b.shape[1]))

        def run(env: Env) -> Array:
            x, y = a.run(env), b.run(env)
            must_fit((*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), *x.shape[-2:], *y.shape[-2:]))
            found = x[..., :, None, :, None] * y[..., None, :, None, :]
            rows, columns = found.shape[-4] * found.shape[-3], found.shape[-2] * found.shape[-1]
            return found.reshape((*found.shape[:-4], rows, columns))

        return Term(shape, run, node.at)

    def _quotient(self, node: Quotient) -> Term:
        a, b = self.of(node.above), self.of(node.below)
        rank = len(a.shape)
        if b.shape:
            if not (b.entrywise or (a.shape and is_vector(b.shape))):
                raise self.clash(f"nothing is divided by {words(b.shape)}", b.at)
            if a.shape:
                self.same_shape(a, b, "a quotient entry by entry has one shape")
            wide = len(b.shape)

            def entries(env: Env) -> Array:
                above, below = evaluation.spread(a, wide, env), b.run(env)
                must_join(above, below)
                return above / below

            return Term(b.shape, entries, node.at, entrywise=True)
        if a.zero:
            return dataclasses.replace(a, at=node.at)
        if a.constant is not None and b.constant is not None and b.constant:
            return self._number(Number(node.at, a.constant / b.constant))

        def run(env: Env) -> Array:
            above, below = a.run(env), b.run(env)
            below = below.reshape(below.shape + (1,) * rank)
            must_join(above, below)
            return above / below

        return Term(a.shape, run, node.at, entrywise=a.entrywise, names=a.names)

    def _leftdivision(self, node: LeftDivision) -> Term:
        a, b = self.of(node.matrix), self.of(node.right)
        self.must_be_square(a, "the matrix before the backslash")
        return self.multiplied(dataclasses.replace(a, run=evaluation.heavy(a, numbers.inverse, 3)), b)

    def _power(self, node: Power) -> Term:
        base, exponent = self.of(node.base), self.number(node.exponent, "an exponent")
        rank = len(base.shape)
        if not base.shape or node.elementwise or is_vector(base.shape):
            if base.shape and exponent.constant is not None and exponent.constant < 0 and not node.elementwise:
                raise self.clash(f"{words(base.shape)} has no inverse", node.at)

            def entries(env: Env) -> Array:
                x, e = base.run(env), exponent.run(env)
                e = e.reshape(e.shape + (1,) * rank)
                must_join(x, e)
                return evaluation.powers(x, e)

            return Term(base.shape, entries, node.at, entrywise=bool(base.shape))
        if len(base.shape) != 2 or not tie(*base.shape):
            raise self.clash(f"only a square matrix has powers, this is {words(base.shape)}", node.base.at)
        value = exponent.constant
        if value is not None and not np.isfinite(value):
            raise self.clash("an exponent is a finite number", node.exponent.at)
        if value is not None and value != int(value):
            return Term(base.shape, evaluation.heavy(base, lambda x: numbers.fraction(x, value), 10), node.at)

        def run(env: Env) -> Array:
            x, e = base.run(env), exponent.run(env)
            if not np.isfinite(e).all() or np.max(np.abs(e), initial=0.0) > numbers.LARGEST_POWER:
                raise numbers.Unusable(f"a power of a matrix is at most {numbers.LARGEST_POWER}")
            whole = np.rint(e).astype(int)
            if not np.allclose(e, whole):
                raise self.clash("the exponent of a matrix is a whole number", node.exponent.at)
            wanted = sorted(set(whole.ravel().tolist()))
            env.work.spend(len(wanted) * 12 * x.size * x.shape[-1])
            found = {k: numbers.power(x, k) for k in wanted}
            if len(found) == 1:
                return next(iter(found.values()))
            whole = whole[..., None, None]
            batch = np.broadcast_shapes(whole.shape[:-2], x.shape[:-2])
            must_fit(batch + x.shape[-2:])
            result = np.zeros(batch + x.shape[-2:], np.result_type(*found.values()))
            for k, one in found.items():
                result = np.where(whole == k, one, result)
            return result

        return Term(base.shape, run, node.at)

    def _marked(self, node: Marked) -> Term:
        base = self.of(node.base)
        if node.mark == "*":
            return dataclasses.replace(base, run=lambda env: np.conj(base.run(env)), at=node.at)
        if not base.shape:
            run = base.run if node.mark == "T" else lambda env: np.conj(base.run(env))
            if node.mark == "+":
                raise self.clash("a pseudoinverse is that of a matrix", node.at)
            return dataclasses.replace(base, run=run, at=node.at)
        if len(base.shape) > 2:
            raise self.clash("an array of three and more axes has no transpose", node.at)
        shape = (base.shape[1], base.shape[0])
        change = {"T": numbers.T, "H": lambda a: np.conj(numbers.T(a)), "+": numbers.pseudoinverse}[node.mark]
        names = base.names[::-1] if node.mark == "T" else ()
        run = evaluation.heavy(base, change, 20) if node.mark == "+" else lambda env: change(base.run(env))
        return Term(shape, run, node.at, entrywise=base.entrywise, names=names)

    def _blocks(self, node: Blocks) -> Term:
        rows = [[self.of(cell) for cell in row] for row in node.rows]
        if all(not cell.shape for row in rows for cell in row):
            return self.of_numbers(rows, node.at)
        heights = [next((c.shape[0] for c in row if c.shape), None) for row in rows]
        widths = [next((row[k].shape[1] for row in rows if row[k].shape), None) for k in range(len(rows[0]))]
        for r, row in enumerate(rows):
            for k, cell in enumerate(row):
                if cell.zero:
                    continue
                if len(cell.shape) != 2:
                    raise self.clash(f"a block is a matrix, this is {words(cell.shape)}", cell.at)
                if not tie(cell.shape[0], heights[r] or ONE) or not tie(cell.shape[1], widths[k] or ONE):
                    raise self.clash("the blocks of a row have one height, those of a column one width", cell.at)
        if None in heights or None in widths:
            raise self.clash("a row or column of zeros has no size", node.at)
        tall, wide = [h for h in heights if h], [w for w in widths if w]

        def run(env: Env) -> Array:
            cells = [
                [np.zeros((int(tall[r]), int(wide[k]))) if c.zero else c.run(env) for k, c in enumerate(row)]
                for r, row in enumerate(rows)
            ]
            batch = np.broadcast_shapes(*(c.shape[:-2] for row in cells for c in row))
            must_fit((*batch, sum(int(t) for t in tall), sum(int(w) for w in wide)))
            spread = [[np.broadcast_to(c, batch + c.shape[-2:]) for c in row] for row in cells]
            return np.concatenate([np.concatenate(row, axis=-1) for row in spread], axis=-2)

        return Term((total(tall), total(wide)), run, node.at)

    def of_numbers(self, rows: list[list[Term]], at: At) -> Term:
        height, width = len(rows), len(rows[0])
        shape = (Size(height) if height > 1 else ONE, Size(width) if width > 1 else ONE)

        def run(env: Env) -> Array:
            cells = [[c.run(env) for c in row] for row in rows]
            batch = np.broadcast_shapes(*(c.shape for row in cells for c in row))
            must_fit((*batch, height, width))
            return np.stack([np.stack([np.broadcast_to(c, batch) for c in row], -1) for row in cells], -2)

        if height == width == 1:
            return rows[0][0]
        return Term(shape, run, at)
