"""How Sphinx builds these pages: nothing is fetched, so the build works without a network."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import GenericAlias

import skdim

sys.path.insert(0, str(Path(__file__).parent))  # for the extensions beside this file
os.environ.setdefault("MPLBACKEND", "Agg")  # the examples are run, on machines without a screen

project = "skdim"
author = "skdim developers"
project_copyright = f"2026, {author}"
version = release = skdim.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "myst_parser",
    "links",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "README.md"]  # the latter is the front page, which index.rst includes
nitpicky = False  # numpydoc's types are words such as "array of shape (n, d)", not references
default_role = "code"

autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "none"  # the parameter lists give types, shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the members follow each class in full

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!(.*/)?plot_).*\.py$",  # of the name alone, or of the path: versions differ
    "within_subsection_order": "gallery_order.ByStory",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "parallel": 2,
    "ignore_repr_types": r"matplotlib[.]",  # a figure is shown as such; what the last line gives back is not
}

# One file of MathJax, copied from a package: pages show formulas without a network.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}

# As forges read Markdown: formulas, pictures with a width, and anchors of headings.
myst_enable_extensions = ["dollarmath", "html_image"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"skdim {release}"
html_favicon = "images/icon.svg"
html_static_path = ["_static"]
html_css_files = ["skdim.css"]


def skip_aliases(app, what, name, obj, skip, options):
    """Leave out names of types such as tuple[int, ...]: autodoc takes them for classes and looks for a signature.

    Also what scikit-learn adds for metadata routing: its text refers to pages that are not here.
    """
    return True if isinstance(obj, GenericAlias) or name.endswith("_request") else None


def copy_mathjax(app, error):
    """Put the one file of MathJax that is used beside the pages, once they are written."""
    if error is None and app.builder.format == "html":
        (package,) = importlib.util.find_spec("sphinx-mathjax-offline").submodule_search_locations
        target = Path(app.outdir, "_static", mathjax_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(package, "static", mathjax_path), target)


def forget_moved_modules(app, config):
    """Remove the pages of modules that are gone. The others stay, so that Sphinx reads only what has changed."""
    for page in sorted(Path(app.srcdir, "generated").glob("*.rst")):
        try:
            known = importlib.util.find_spec(page.stem) is not None
        except ModuleNotFoundError:  # its package is gone too
            known = False
        if not known:
            page.unlink(missing_ok=True)
            # That of its package lists it.
            page.with_name(f"{page.stem.rpartition('.')[0]}.rst").unlink(missing_ok=True)


def setup(app):
    """Connect what is defined here."""
    app.connect("config-inited", forget_moved_modules)
    app.connect("autodoc-skip-member", skip_aliases)
    app.connect("build-finished", copy_mathjax)
