"""The Sphinx domain of the book: every claim is an object, `:id:claim:` links to it, also from other projects.

Each claim stands in objects.inv twice: as `id:claim` by its name, and as `py:function` by the path of its closed form,
identities.traces.tr_axb_dX, so that a project without this extension can link to it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, ClassVar

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.builders import Builder
from sphinx.domains import Domain, ObjType
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from book import make
from book.data import FILES


class BookDirective(SphinxDirective):
    """A directive that reads the book: its page is made anew when a chapter, the record or the errata change."""

    def note_files(self) -> str:
        """Note what the page depends on, and return the name of the page."""
        for path in FILES:
            self.env.note_dependency(str(path))
        return str(self.env.current_document.docname)


class BookDomain(Domain):
    """Claims by name: the page on which each stands."""

    name = "id"
    label = "Identities"
    object_types: ClassVar[dict[str, ObjType]] = {"claim": ObjType("claim", "claim")}
    roles: ClassVar[dict[str, Any]] = {"claim": XRefRole(innernodeclass=nodes.literal)}
    initial_data: ClassVar[dict[str, Any]] = {"claims": {}}
    data_version = 1

    @property
    def claims(self) -> dict[str, tuple[str, str]]:
        """For each name, its page and the title of that page."""
        found: dict[str, tuple[str, str]] = self.data["claims"]
        return found

    def note(self, name: str, title: str, docname: str) -> None:
        self.claims[name] = (docname, title)

    def clear_doc(self, docname: str) -> None:
        for name in [name for name, (page, _) in self.claims.items() if page == docname]:
            del self.claims[name]

    def merge_domaindata(self, docnames: Set[str], otherdata: dict[str, Any]) -> None:
        self.claims.update({name: row for name, row in otherdata["claims"].items() if row[0] in docnames})

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        for name, (docname, _) in self.claims.items():
            yield name, name, "claim", docname, name, -1  # a search finds the page by its index entries

    def resolve_xref(
        self,
        env: BuildEnvironment,
        fromdocname: str,
        builder: Builder,
        typ: str,
        target: str,
        node: pending_xref,
        contnode: nodes.Element,
    ) -> nodes.reference | None:
        if target not in self.claims:
            return None
        docname, title = self.claims[target]
        made = make_refnode(builder, fromdocname, docname, "", [], title)
        made += [child.deepcopy() for child in node.children]  # all of them: a link may hold more than one node
        return made

    def resolve_any_xref(
        self,
        env: BuildEnvironment,
        fromdocname: str,
        builder: Builder,
        target: str,
        node: pending_xref,
        contnode: nodes.Element,
    ) -> list[tuple[str, nodes.reference]]:
        found = self.resolve_xref(env, fromdocname, builder, "claim", target, node, contnode)
        return [("id:claim", found)] if found is not None else []


class LinkedNames(SphinxTransform):
    """A claim's name in a hand-written page becomes a link to its page."""

    default_priority = 450
    names: ClassVar[frozenset[str]] = frozenset()

    def apply(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(nodes.literal)):
            inside = isinstance(node.parent, nodes.reference | pending_xref | nodes.title)
            if not inside and node.astext() in self.names:
                node.replace_self(make.claim(node.astext(), self.env.current_document.docname, node.deepcopy()))
