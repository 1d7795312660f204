"""How the documentation is built: `make docs`. Nothing is fetched, neither by the build nor by the pages."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from stitchpipe import __version__  # noqa: E402 - found by the path above

project = "stitchpipe"
author = "The stitchpipe developers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = [
    "generated_pages",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_ext", "generated/parts"]
root_doc = "index"

myst_enable_extensions = ["colon_fence", "deflist", "smartquotes"]
myst_heading_anchors = 3
suppress_warnings = [
    "myst.header",
    "misc.highlighting_failure",
]  # notes of rooms skip a level of headings; … in code

# References to what is documented here must resolve. Others' documentation is on the network, where the build never
# looks, and hints name classes by the module that defines them, of which only the faces of rooms are documented.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!(stitchpipe|storage)\.).*"),
    (r"py:.*", r"(stitchpipe\.\w+|storage)\.\w+\..*"),
    (r"py:.*", r"stitchpipe\.(config|stitching|ood|engine|data|models|graph|capture|studies)\..*"),
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 80

html_theme = "pydata_sphinx_theme"
html_title = f"stitchpipe {release}"
html_static_path = ["_static"]
html_css_files = ["wide-tables.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
