"""What flows where in a network without a graph: which layers' values are needed behind the end of a block.

Automatic differentiation notes what each value was made of. From the answer back to the first values that were there at
some moment, these are the values that are needed behind it. What it does not note (whole numbers, decisions) is found
by trying: see `stitchpipe.graph.trial`.
"""

from __future__ import annotations

import copy
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from stitchpipe.graph.answers import answer_of
from stitchpipe.graph.hooks import call_name, only_tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

Source: TypeAlias = tuple[Any, int]
"""What made a value: a step of automatic differentiation, and which of its results."""


@dataclass
class Flow:
    """One run of a network that automatic differentiation noted.

    Attributes
    ----------
    answer, images
        What the walk back begins with, and what it must not reach.
    made
        Layers with what made their values, in the order in which calls ended.
    ends
        Modules whose calls ended, whatever they returned, and how many layers there were then.
    """

    answer: Any = None
    images: Any = None
    made: list[tuple[str, Source]] = field(default_factory=list)
    ends: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, network: nn.Module, images: Tensor) -> Flow:
        """Run a network on images; what other threads do with it is not noted.

        Raises
        ------
        RuntimeError
            Nothing is noted: the network does not differentiate.
        """
        flow, calls, thread = cls(), dict[str, int](), threading.get_ident()

        def noting(path: str) -> Callable[[nn.Module, Any, Any], None]:
            def called(_: nn.Module, __: Any, output: Any) -> None:
                if threading.get_ident() != thread:
                    return
                value = only_tensor(output)
                if value is not None:
                    number = calls.get(path, 0)
                    calls[path] = number + 1
                    if value.grad_fn is not None:
                        flow.made.append((call_name(path, number), (value.grad_fn, value.output_nr)))
                flow.ends.append((path, len(flow.made)))

            return called

        with ExitStack() as hooks, torch.inference_mode(mode=False), torch.enable_grad():
            if any(tensor.is_inference() for tensor in chain(network.parameters(), network.buffers())):
                network = copy.deepcopy(
                    network
                )  # of tensors that cannot be differentiated, in tensors that can
            for path, module in network.named_modules():
                if path:
                    hooks.enter_context(module.register_forward_hook(noting(path)))
            given = images.clone().requires_grad_()
            answer = answer_of(network(given))
        if answer.grad_fn is None:
            raise RuntimeError("its answer has no gradient")
        flow.answer, flow.images = (answer.grad_fn, answer.output_nr), given
        return flow

    def needed(self, count: int) -> tuple[str, ...]:
        """Return which of the first `count` layers are needed for the answer, in order; none where images are too.

        Of modules that return the same value, one right after the other, it is the last, which is the outermost.
        """
        there = {source: number for number, (_, source) in enumerate(self.made[:count])}
        needed, seen, waiting = set[int](), set[Any](), [self.answer]
        while waiting:
            source = waiting.pop()
            if source in there:
                needed.add(there[source])
                continue
            step, _ = source
            if getattr(step, "variable", None) is self.images:
                return ()
            if step not in seen:
                seen.add(step)
                waiting += [before for before in step.next_functions if before[0] is not None]
        return tuple(dict.fromkeys(self._outermost(number) for number in sorted(needed)))

    def _outermost(self, number: int) -> str:
        source = self.made[number][1]
        while number + 1 < len(self.made) and self.made[number + 1][1] == source:
            number += 1
        return self.made[number][0]
