"""Folding batch normalisation into the convolution before it: the same function with less traffic to memory."""

from __future__ import annotations

import copy
from collections import Counter
from typing import TYPE_CHECKING

from torch import nn
from torch.fx import GraphModule, Node
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import fuse_conv_bn_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
"""These types and not those made of them: they may compute something else."""


def folded(tail: nn.Module) -> nn.Module:
    """Return a copy of a frozen tail in which convolutions do the work of the batch normalisation behind them.

    In eval mode ``γ (W∗x + b − μ)/√(σ² + ε) + β`` is a convolution with weights ``γ/√(σ² + ε)·W``: a step forwards and
    backwards is shorter by what normalisation reads and writes. Sums are rounded otherwise: logits agree to single
    precision, not bitwise.

    A pair is left as it is where either is called twice, has hooks or a type of its own, where something else takes the
    convolution's output, or where the batch's own statistics are used. A tail without a graph is returned itself.
    """
    if not isinstance(tail, GraphModule):
        return tail
    shorter = copy.deepcopy(tail)
    for node, convolution, norm in list(_pairs(shorter)):
        # Without running statistics the normalisation uses those of the batch, in eval mode too, and is no
        # fixed map.
        mean, variance = norm.running_mean, norm.running_var
        if mean is None or variance is None:
            continue
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias
        )
        # Whoever read the normalisation now reads the convolution, which does the work of both.
        node.replace_all_uses_with(node.all_input_nodes[0])
        shorter.graph.erase_node(node)
    shorter.delete_all_unused_submodules()
    shorter.recompile()
    return shorter.requires_grad_(requires_grad=False)


def _pairs(tail: GraphModule) -> Iterator[tuple[Node, _ConvNd, _BatchNorm]]:
    """Yield each call of a batch normalisation right behind a convolution, and both modules."""
    nodes = list(tail.graph.nodes)
    modules = dict(tail.named_modules(remove_duplicate=False))
    # Modules are counted by identity: one that stands under two names is still called twice.
    calls = Counter(id(modules[node.target]) for node in nodes if node.op == "call_module")
    # A parameter that the graph reads by itself must keep its value, and so its module must be left alone.
    read = {id(modules[node.target.rpartition(".")[0]]) for node in nodes if node.op == "get_attr"}
    for node in nodes:
        before = node.all_input_nodes[0] if node.all_input_nodes else node
        # Where something else reads the convolution's output, that reader must get it before the
        # normalisation.
        if {node.op, before.op} != {"call_module"} or len(before.users) != 1:
            continue
        convolution, norm = modules[before.target], modules[node.target]
        if not (isinstance(convolution, _ConvNd) and isinstance(norm, _BatchNorm)):
            continue
        if not any(
            type(module) not in _FOLDABLE
            or module.training
            or calls[id(module)] > 1
            or id(module) in read
            or module._forward_hooks  # noqa: SLF001 - torch has no other way to ask
            or module._forward_pre_hooks  # noqa: SLF001
            for module in (convolution, norm)
        ):
            yield node, convolution, norm
