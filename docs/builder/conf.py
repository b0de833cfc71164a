"""Sphinx's settings: `make docs` gathers pages in docs/build/pages and builds site/ from them."""

import sys
from pathlib import Path

import grokode

BUILDER = Path(__file__).parent
sys.path.insert(0, str(BUILDER))

from gallery import EXECUTED  # noqa: E402

project = "grokode"
copyright = "the grokode founders"
version = release = grokode.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "docstrings",
    "gallery",
]

# Docstrings are numpy's, and name objects and arguments in single backticks.
default_role = "py:obj"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# Types are words and shapes, "array (neuron, x)", no names to be looked up.
napoleon_use_param = False
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
# "--out" is a flag, not a dash.
smartquotes = False
# Indented blocks of a docstring are tables and formulas.
highlight_language = "none"
# A name that a module passes on has its source where it is made, and leads back to that page.
viewcode_follow_imported_members = False
# Annotations name classes shortly; two are called Verdict.
suppress_warnings = ["ref.python"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": str(BUILDER.parents[1] / "examples"),
    "gallery_dirs": "examples",
    "image_scrapers": ("gallery.figure_of_example",),
    "reset_argv": "gallery.arguments",
    "filename_pattern": EXECUTED,
    "copyfile_regex": r".*\.ipynb",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "grokode"
html_static_path = [str(BUILDER / "site.css")]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "footer_end": [],
}
