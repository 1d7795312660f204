"""One module for each kind of data, called as the kind.

A module has a function ``load(declared, splits, reading)``. It takes the kind's section of the sweep file, the names of
the wanted splits and what is to be done to the pixels, and returns one `stitchpipe.data.ImageSplit` for each name. That
and the section in `stitchpipe.config.data` are all there is to a kind.
"""
