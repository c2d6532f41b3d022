"""Links that only the built site has: from names of code to the reference, and to examples as pages of the gallery.

A page says ``CrystalRegressor`` in the type of code and ``[Gallery](../examples/README.md)``, which is shown well
wherever Markdown is.
"""

import re
from collections import Counter
from pathlib import PurePosixPath

from docutils import nodes
from sphinx import addnodes

# Plain words such as `predict` are as often commands or methods of any estimator.
_NAME = re.compile(r"[A-Za-z]\w*(?:\.\w+)+|[A-Z]\w+|[a-z]\w*_\w+")


def page_of(file):
    """Name the page that is made of a file outside this folder, or None."""
    file = PurePosixPath(file)
    if file.name.startswith("plot_") and file.parent.name == "examples":
        return f"auto_examples/{file.stem}"
    if file.stem == "CHANGELOG":
        return "changes"
    return "auto_examples/index" if file.with_suffix("").match("examples/README") else None


def lead_to_pages(app, doctree):
    """Turn links to files of which pages are made into links to these pages."""
    for node in [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]:
        page = page_of(node["reftarget"]) if node.get("reftype") == "myst" else None
        if page:
            target = {"refdomain": "doc", "reftype": "myst", "reftarget": page, "reftargetid": None}
            node.replace_self(
                addnodes.pending_xref("", *node.children, refdoc=app.env.docname, refexplicit=True, **target)
            )


def short_names(objects):
    """Map what a page may call an object to its full name: with or without the package, of classes the last part."""
    names, last = {}, Counter()
    for name, entry in objects.items():
        if not entry.aliased:
            parts = name.split(".")
            owner = [parts[-2]] if entry.objtype in ("method", "property", "attribute") else []
            shorts = {".".join([*owner, parts[-1]])} if owner or entry.objtype != "module" else set()
            last.update(shorts)
            names.update(dict.fromkeys({name, name.removeprefix("skdim."), *shorts}, name))
    return {short: name for short, name in names.items() if last[short] <= 1}


def link_code(app, doctree, docname):
    """Link names of the reference that a page has in the type of code."""
    if docname.startswith(("generated/", "auto_examples/", "changes")):
        return
    objects = app.env.domains["py"].objects
    names = short_names(objects)
    for node in list(doctree.findall(nodes.literal)):
        name = names.get(node.astext()) if _NAME.fullmatch(node.astext()) else None
        if name is None or isinstance(node.parent, nodes.reference):
            continue
        entry = objects[name]
        address = f"{app.builder.get_relative_uri(docname, entry.docname)}#{entry.node_id}"
        node.replace_self(nodes.reference("", "", node.deepcopy(), internal=True, refuri=address, reftitle=name))


def setup(app):
    """Connect both."""
    app.connect("doctree-read", lead_to_pages)
    app.connect("doctree-resolved", link_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
