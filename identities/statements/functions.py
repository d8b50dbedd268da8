"""Named functions and those that a text defines, norms and moduli."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from identities.statements import defining, evaluation, numbers
from identities.statements.entries import Entries
from identities.statements.environment import Array, Env, must_fit
from identities.statements.shapes import (
    SCALAR,
    Size,
    column,
    extents,
    is_column,
    is_matrix,
    is_vector,
    product,
    tie,
    words,
)
from identities.statements.syntax import (
    Apply,
    Columns,
    Entry,
    Iverson,
    LeftDivision,
    Letter,
    Modulus,
    Node,
    Norm,
)
from identities.statements.terms import Run, Term


class Functions(Entries):
    """What stands before an argument."""

    def _iverson(self, node: Iverson) -> Term:
        a, b = self.of(node.condition.left), self.of(node.condition.right)
        if a.shape and b.shape:
            self.same_shape(a, b, "a comparison takes one shape")
        shape = a.shape or b.shape
        rank = len(shape)
        return Term(
            shape,
            lambda env: evaluation.compared(
                node.condition.relation, evaluation.spread(a, rank, env), evaluation.spread(b, rank, env)
            ).astype(float),
            node.at,
            entrywise=True,
        )

    def _columns(self, node: Columns) -> Term:
        raise self.unread(f"[{node.letter}_1, …] stands behind a statement: V = [v_1, …, v_n]", node.at)

    def _apply(self, node: Apply) -> Term:
        name = node.function
        if name in self.functions and not node.primed:
            return self.called(name, node)
        if node.primed and name + "'" * node.primed in self.functions:
            return self.called(name + "'" * node.primed, node)
        if name.endswith("^-1"):
            raise self.unread(f"the inverse function of {name[:-3]} is not read: write it out", node.at)
        if node.primed:
            raise self.unread(f"{name}' is not read: write the derivative out", node.at)
        arguments = [self.of(a) for a in node.arguments]
        own = getattr(self, f"_of_{name.lower()}", None)
        if own and len(arguments) == 1:
            return own(arguments[0], node)
        if name == "density" and len(arguments) == 3:
            return self.density(arguments, node)
        if name == "cof" and len(arguments) == 3:
            matrix = defining.made("cof", node.arguments[0])
            return self._entry(Entry(node.at, matrix, node.arguments[1:]))
        if name == "solve" and len(arguments) == 2:
            return self._leftdivision(LeftDivision(node.at, *node.arguments))
        if name in ("max", "min") and len(arguments) == 2:
            a, b = arguments
            both = np.maximum if name == "max" else np.minimum
            if a.shape and b.shape:
                self.same_shape(a, b, f"{name} takes two arrays of one shape")
            shape = a.shape or b.shape
            rank = len(shape)
            return Term(
                shape,
                lambda env: both(*evaluation.reals(evaluation.spread(a, rank, env), evaluation.spread(b, rank, env))),
                node.at,
                entrywise=bool(shape),
            )
        if len(arguments) != 1:
            raise self.clash(f"{name} takes one argument, got {len(arguments)}", node.at)
        (argument,) = arguments
        if argument.zero and name in ("exp", "cos", "sin"):
            argument = dataclasses.replace(argument, zero=False)
        if name in numbers.OF_MATRICES and is_matrix(argument.shape) and name not in self.reading.entrywise:
            if argument.entrywise and not tie(*argument.shape):
                return self.entry_by_entry(name, argument, node)
            self.must_be_square(argument, f"{name} of a matrix")
            of_matrix = numbers.OF_MATRICES[name]
            weight = 150 if name == "ln" else 60  # a logarithm takes many square roots
            return Term(argument.shape, evaluation.heavy(argument, of_matrix, weight), node.at)
        if name in numbers.ENTRYWISE:
            return self.entry_by_entry(name, argument, node)
        raise self.unread(f"the function {name} is not known", node.at)

    def entry_by_entry(self, name: str, argument: Term, node: Apply) -> Term:
        entry = numbers.ENTRYWISE[name]
        return Term(
            argument.shape,
            lambda env: entry(argument.run(env)),
            node.at,
            entrywise=bool(argument.shape),
            names=argument.names,
        )

    def called(self, name: str, node: Apply) -> Term:
        """A declared function: its definition, with the parameters standing for the arguments."""
        one = self.functions[name]
        left = one.left if isinstance(one.left, Apply) else None
        entries: tuple[Node, ...] = ()
        if isinstance(one.left, Entry):
            assert isinstance(one.left.base, Apply)
            left, entries = one.left.base, one.left.indices
        assert left is not None
        if len(left.arguments) != len(node.arguments):
            raise self.clash(f"{name} takes {len(left.arguments)} arguments, got {len(node.arguments)}", node.at)
        if len(self.making) > 20:
            raise self.unread(f"{name} is defined by itself", node.at)
        renamed = {
            letter.name: argument
            for letter, argument in zip(left.arguments, node.arguments, strict=True)
            if isinstance(letter, Letter) and isinstance(argument, Letter) and self.stands_as_index(argument.name)
        }
        if renamed and len(renamed) == len(node.arguments):  # S^{ij} with its indices renamed
            body_node = defining.substituted(
                Entry(node.at, defining.Opaque(node.at, one.right), entries) if entries else one.right, renamed
            )
            self.making.append(f"{name}()")
            term = self.of(body_node)
            self.making.pop()
            return dataclasses.replace(term, at=node.at)
        arguments = [self.of(a) for a in node.arguments]
        parameters: dict[str, Term] = {}
        local: list[tuple[str, Term]] = []
        for letter, term in zip(left.arguments, arguments, strict=True):
            if not isinstance(letter, Letter):
                raise self.unread("the parameters of a function are letters", letter.at)
            inner = f"{name}.{letter.name}.{len(self.making)}"
            local.append((inner, term))
            parameters[letter.name] = dataclasses.replace(term, run=evaluation.held(inner), zero=False)
        saved, self.parameters = self.parameters, {**self.parameters, **parameters}
        names_before, self.inner = (
            self.inner,
            {**self.inner, **{k: f"{name}.{k}.{len(self.making)}" for k in parameters}},
        )
        bound, self.bound = self.bound, dict(self.bound)
        self.making.append(f"{name}()")
        if entries:
            names = [n.name for n in entries if isinstance(n, Letter)]
            body = self.collected(one.right, names, node.at)
        else:
            body = self.of(one.right)
        self.making.pop()
        self.parameters, self.bound, self.inner = saved, bound, names_before

        def run(env: Env) -> Array:
            return body.run(env.replacing({inner: term.run(env) for inner, term in local}))

        return dataclasses.replace(body, run=run, at=node.at)

    def density(self, arguments: Sequence[Term], node: Apply) -> Term:
        """The Gaussian density at x, of mean m and covariance S; of numbers, S is the variance."""
        x, m, s = arguments
        if not x.shape and not m.shape and not s.shape:

            def of_numbers(env: Env) -> Array:
                variance = s.run(env)
                if np.any(variance <= 0):
                    raise numbers.Unusable("a variance is not positive")
                return np.exp(-((x.run(env) - m.run(env)) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)

            return Term(SCALAR, of_numbers, node.at)
        self.same_shape(x, m, "a density has its point and its mean of one shape")
        size = self.must_be_square(s, "the covariance of a density")
        if not is_column(x.shape) or not tie(size, x.shape[0]):
            raise self.clash("the covariance of a density has the size of the point", s.at)

        def run(env: Env) -> Array:
            gap, covariance = x.run(env) - m.run(env), s.run(env)
            form = (numbers.T(gap) @ numbers.inverse(covariance) @ gap)[..., 0, 0]
            return np.exp(-form / 2) / numbers.root(np.linalg.det(2 * np.pi * covariance))

        return Term(SCALAR, run, node.at)

    def _of_max(self, x: Term, node: Apply) -> Term:
        return self.extreme(x, np.max)

    def _of_min(self, x: Term, node: Apply) -> Term:
        return self.extreme(x, np.min)

    def extreme(self, x: Term, which: Callable[..., Array]) -> Term:
        """The largest or smallest entry."""
        axes = tuple(range(-len(x.shape), 0))

        def run(env: Env) -> Array:
            value = x.run(env)
            numbers.must_be_real(value)
            return which(value, axis=axes)

        return Term(SCALAR, run, x.at)

    def _of_tr(self, x: Term, node: Apply) -> Term:
        if not x.shape:
            return dataclasses.replace(x, at=node.at)
        self.must_be_square(x, "tr")
        return Term(SCALAR, lambda env: np.trace(x.run(env), axis1=-2, axis2=-1), node.at)

    def _of_det(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "det")
        return Term(SCALAR, lambda env: np.linalg.det(x.run(env)), node.at)

    def _of_logdet(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "logdet")
        return Term(SCALAR, lambda env: numbers.logarithm(np.linalg.det(x.run(env))), node.at)

    def _of_rank(self, x: Term, node: Apply) -> Term:
        if not x.shape:
            raise self.clash("rank takes a matrix, this is a number", x.at)
        return Term(SCALAR, evaluation.heavy(x, numbers.rank, 20), node.at)

    def _of_adj(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "adj")
        return Term(x.shape, self.cofactors(x, numbers.T), node.at)

    def _of_cof(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "cof")
        return Term(x.shape, self.cofactors(x, lambda a: a), node.at)

    def cofactors(self, x: Term, turned: Callable[[Array], Array]) -> Run:
        """A determinant for each entry."""

        def run(env: Env) -> Array:
            value = x.run(env)
            env.work.spend(value.size * float(value.shape[-1]) ** 3)
            return turned(numbers.cofactors(value))

        return run

    def _of_sym(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "sym")

        def run(env: Env) -> Array:
            a = x.run(env)
            return (a + numbers.T(a)) / 2

        return Term(x.shape, run, node.at)

    def _of_vec(self, x: Term, node: Apply) -> Term:
        if len(x.shape) != 2:
            raise self.clash(f"vec takes a matrix, this is {words(x.shape)}", x.at)

        def run(env: Env) -> Array:
            a = x.run(env)
            return numbers.T(a).reshape((*a.shape[:-2], -1, 1))

        return Term(column(product(*x.shape)), run, node.at, entrywise=x.entrywise)

    def _of_diag(self, x: Term, node: Apply) -> Term:
        if is_vector(x.shape):
            size = extents(x.shape)[0]

            def matrix(env: Env) -> Array:
                a = x.run(env)
                a = a.reshape((*a.shape[:-2], 1, -1))
                must_fit((*a.shape[:-2], a.shape[-1], a.shape[-1]))
                return np.eye(int(size)) * a

            return Term((size, size), matrix, node.at)
        size = self.must_be_square(x, "diag")
        if self.reading.diagonal == "matrix":
            return Term(x.shape, lambda env: x.run(env) * evaluation.identity(size), node.at)
        if self.reading.diagonal == "vector":
            return Term(column(size), lambda env: np.diagonal(x.run(env), axis1=-2, axis2=-1)[..., None], node.at)
        raise self.unread("diag of a matrix could be a vector or a matrix: declare which", node.at)

    def _of_eig(self, x: Term, node: Apply) -> Term:
        size = self.must_be_square(x, "eig")
        run = evaluation.heavy(x, lambda a: numbers.eigenvalues(a)[..., None], 60)
        return Term(column(size), run, node.at, spectrum=True)

    def _of_sing(self, x: Term, node: Apply) -> Term:
        if not x.shape:
            raise self.clash("sing takes a matrix, this is a number", x.at)
        return Term(
            column(Size()), evaluation.heavy(x, lambda a: np.linalg.svd(a, compute_uv=False)[..., None], 20), node.at
        )

    def _of_softmax(self, x: Term, node: Apply) -> Term:
        if not is_vector(x.shape):
            raise self.clash(f"softmax takes a vector, this is {words(x.shape)}", x.at)

        def run(env: Env) -> Array:
            a = x.run(env)
            e = np.exp(a - np.max(a, axis=(-2, -1), keepdims=True))
            return e / e.sum(axis=(-2, -1), keepdims=True)

        return Term(x.shape, run, node.at, entrywise=True)

    def _factor(self, x: Term, node: Apply, square: bool, which: Callable[[Array], Array]) -> Term:
        if square:
            self.must_be_square(x, "the factorisation")
        if not x.shape:
            raise self.clash("only a matrix is factorised, this is a number", x.at)
        return Term(x.shape, evaluation.heavy(x, which, 20), node.at)

    def _of_cholesky(self, x: Term, node: Apply) -> Term:
        return self._factor(x, node, True, np.linalg.cholesky)

    def _of_qr_q(self, x: Term, node: Apply) -> Term:
        return self._factor(x, node, False, lambda a: numbers.qr(a).Q)

    def _of_qr_r(self, x: Term, node: Apply) -> Term:
        if not x.shape:
            raise self.clash("only a matrix is factorised, this is a number", x.at)
        return Term((x.shape[1], x.shape[1]), evaluation.heavy(x, lambda a: numbers.qr(a).R, 20), node.at)

    def _of_lu_u(self, x: Term, node: Apply) -> Term:
        return self._factor(x, node, True, numbers.upper)

    def _of_lu_l(self, x: Term, node: Apply) -> Term:
        raise self.unread("the lower factor of PX = LU is not read", node.at)

    def _of_eigh_values(self, x: Term, node: Apply) -> Term:
        size = self.must_be_square(x, "eigenvalues")
        return Term(column(size), lambda env: np.linalg.eigvalsh(numbers.symmetrised(x.run(env)))[..., None], node.at)

    def _of_eigh_vectors(self, x: Term, node: Apply) -> Term:
        self.must_be_square(x, "eigenvectors")
        return Term(x.shape, lambda env: numbers.signed_vectors(x.run(env)), node.at)

    def _norm(self, node: Norm) -> Term:
        x = self.of(node.argument)
        kind = node.kind
        if not x.shape:
            return Term(SCALAR, lambda env: np.abs(x.run(env)), node.at)
        if len(x.shape) > 2:
            raise self.clash("a norm is that of a vector or a matrix", node.at)
        if is_matrix(x.shape) and kind == "":
            kind = self.reading.norm
        if is_matrix(x.shape) and kind == "":
            raise self.unread("the norm of a matrix was expected with its kind: F, 2, 1, ∞", node.at)
        if is_vector(x.shape) and kind not in ("", "1", "2", "inf", "F", "max"):
            raise self.clash(f"a vector has no norm {kind}", node.at)

        def run(env: Env) -> Array:
            a = x.run(env)
            size = np.abs(a)
            if is_vector(x.shape) or kind in ("F", "max"):
                if kind in ("inf", "max"):
                    return np.max(size, axis=(-2, -1))
                return size.sum((-2, -1)) if kind == "1" else np.sqrt((size**2).sum((-2, -1)))
            if kind in ("1", "inf"):
                return np.max(size.sum(-2 if kind == "1" else -1), axis=-1)
            env.work.spend(20 * a.size * a.shape[-1])
            values = np.linalg.svd(a, compute_uv=False)
            return values[..., 0] if kind == "2" else values.sum(-1)

        return Term(SCALAR, run, node.at)

    def _modulus(self, node: Modulus) -> Term:
        x = self.of(node.argument)
        if is_matrix(x.shape) and not x.entrywise:
            raise self.unread("|A| of a matrix could be its determinant or its norm: write det or a norm", node.at)
        return Term(x.shape, lambda env: np.abs(x.run(env)), node.at, entrywise=bool(x.shape))
