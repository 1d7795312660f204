"""A run opened for questions: numbers, fitted maps, networks and activations, by the names of their layers.

Importing this room is cheap: what a question needs (pandas, xarray, the database, torch) is imported by the first one
that asks for it.
"""

from typing import TYPE_CHECKING

from stitchpipe.front_doors import on_first_use

if TYPE_CHECKING:
    from stitchpipe.asking.activation_arrays import activations, layer_of
    from stitchpipe.asking.differences import Difference, difference
    from stitchpipe.asking.errors import WorkspaceError
    from stitchpipe.asking.exported_matrices import all_matrices, write_matrices
    from stitchpipe.asking.exporting import all_numbers, points, shared_archive
    from stitchpipe.asking.fitted_maps import fitted_map
    from stitchpipe.asking.images import RunImages
    from stitchpipe.asking.labelled_matrix import Matrix
    from stitchpipe.asking.matrices import matrix
    from stitchpipe.asking.nearest_layers import nearest
    from stitchpipe.asking.networks import RunNetworks, StitchedNetwork
    from stitchpipe.asking.numbers import Numbers
    from stitchpipe.asking.picture_of_run import html_of_run
    from stitchpipe.asking.samples import nearest_samples, top_samples
    from stitchpipe.asking.significant_pairs import significant
    from stitchpipe.asking.single_layers import layer_numbers
    from stitchpipe.asking.stored_layers import representations
    from stitchpipe.asking.studied_run import evidence_of, studies, study
    from stitchpipe.asking.summaries_of_samples import class_means, projection
    from stitchpipe.asking.whole_networks import model_scores
    from stitchpipe.asking.workspace import Workspace, open_workspace

__all__ = [
    "Difference",
    "Matrix",
    "Numbers",
    "RunImages",
    "RunNetworks",
    "StitchedNetwork",
    "Workspace",
    "WorkspaceError",
    "activations",
    "all_matrices",
    "all_numbers",
    "class_means",
    "difference",
    "evidence_of",
    "fitted_map",
    "html_of_run",
    "layer_numbers",
    "layer_of",
    "matrix",
    "model_scores",
    "nearest",
    "nearest_samples",
    "open_workspace",
    "points",
    "projection",
    "representations",
    "shared_archive",
    "significant",
    "studies",
    "study",
    "top_samples",
    "write_matrices",
]

_HOMES = {
    "summaries_of_samples": ("class_means", "projection"),
    "samples": ("nearest_samples", "top_samples"),
    "images": ("RunImages",),
    "activation_arrays": ("activations", "layer_of"),
    "differences": ("Difference", "difference"),
    "exported_matrices": ("all_matrices", "write_matrices"),
    "exporting": ("all_numbers", "points", "shared_archive"),
    "fitted_maps": ("fitted_map",),
    "errors": ("WorkspaceError",),
    "labelled_matrix": ("Matrix",),
    "single_layers": ("layer_numbers",),
    "matrices": ("matrix",),
    "whole_networks": ("model_scores",),
    "nearest_layers": ("nearest",),
    "networks": ("RunNetworks", "StitchedNetwork"),
    "numbers": ("Numbers",),
    "picture_of_run": ("html_of_run",),
    "significant_pairs": ("significant",),
    "stored_layers": ("representations",),
    "studied_run": ("evidence_of", "studies", "study"),
    "workspace": ("Workspace", "open_workspace"),
}
__getattr__ = on_first_use(__name__, _HOMES)
