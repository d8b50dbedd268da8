"""How Sphinx builds the reference site; `make docs` runs it.  The extension `book`, here, writes the pages."""

import importlib.util
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import identities  # noqa: E402
from identities.engine import pages  # noqa: E402

project = "matrix-identities"
author = "The matrix-identities contributors"
copyright = author
version = release = identities.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "book"]
nitpicky = True
nitpick_ignore_regex = [("py:class", ".*")]  # types in signatures: those of Python and JAX have no inventory at hand

myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_labels = False
myst_heading_anchors = 3
myst_update_mathjax = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
toc_object_entries = False
maximum_signature_line_length = 100

html_theme = "furo"
html_title = "matrix-identities"
html_baseurl = f"{pages.SITE}/"
html_css_files = ["book.css"]
html_js_files = ["book.js", "formulas.js"]
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
copybutton_prompt_text = r">>> |\.\.\. "  # what is copied of a session runs as it is: no prompts, no outputs
copybutton_prompt_is_regexp = True
html_search_scorer = str(HERE / "static" / "scorer.js")
html_theme_options = {"source_repository": "", "navigation_with_keys": False}

# MathJax comes from a package and lies beside the pages.  Its glyphs are paths inside the script, so that formulas show
# where pages are opened as files and fonts may not be loaded.
_mathjax = importlib.util.find_spec("sphinx-mathjax-offline")
if _mathjax is None or not _mathjax.submodule_search_locations:
    raise ImportError("the site needs MathJax: pip install sphinx-mathjax-offline, or pip install -e '.[docs]'")
mathjax_path = "tex-svg.js"
mathjax_config_path = "static/mathjax-config.js"
html_static_path = ["static", f"{_mathjax.submodule_search_locations[0]}/static/mathjax/{mathjax_path}"]
