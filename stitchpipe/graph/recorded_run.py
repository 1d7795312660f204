"""What the modules of a network returned in one run, and when: so that it need not be done again."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from stitchpipe.graph.hooks import call_name, is_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


class UnknownError(Exception):
    """An output that is no tensor, and none of tensors."""


@dataclass
class RecordedRun:
    """One run of a network on some images.

    Attributes
    ----------
    outputs
        Path → a copy of what the module returned at its last call. Only tensors, what is plain, and tuples and lists of
        both.
    done
        Layer → its number in the order in which calls ended; the second call of ``relu`` is ``relu:1``.
    calls
        How often each module was called.
    within
        How often each was called while another one ran.
    running
        Modules that were called and have not returned.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    within: dict[str, Counter[str]] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)

    def replaceable(self) -> set[str]:
        """Return modules whose one call can be left out.

        Calls of a module are numbered: of those that run in one that is left out, all are left out.
        """
        return {
            path
            for path in self.outputs
            if self.calls[path] == 1
            and all(count == self.calls[inner] for inner, count in self.within[path].items())
        }

    @classmethod
    def of(cls, network: nn.Module, images: Tensor) -> RecordedRun:
        """Run a network on some images; what other threads do with it is not recorded."""
        recorded, thread = cls(), threading.get_ident()

        def noting(note: Callable[[str, Any], None], path: str) -> Callable[..., None]:
            def called(_: nn.Module, __: Any, output: Any = None) -> None:
                # Another thread may run the same module at the same time, and its calls are not of this
                # run.
                if threading.get_ident() == thread:
                    note(path, output)

            return called

        with ExitStack() as hooks:
            for path, module in network.named_modules():
                if path:
                    hooks.enter_context(module.register_forward_pre_hook(noting(recorded.begin, path)))
                    hooks.enter_context(module.register_forward_hook(noting(recorded.end, path)))
            network(images)
        return recorded

    def begin(self, path: str, _: Any = None) -> None:
        """Note that a module is called."""
        # All modules that have not returned hold this call inside them, parents and grandparents alike.
        for outer in self.running:
            self.within[outer][path] += 1
        self.within.setdefault(path, Counter())
        self.running.append(path)

    def end(self, path: str, output: Any) -> None:
        """Note what it returns."""
        self.running.remove(path)
        self.done[call_name(path, self.calls[path])] = len(self.done)
        self.calls[path] += 1
        try:
            # A copy, because operations that follow may work in place on what the module returned.
            self.outputs[path] = copied(output)
        except UnknownError:
            self.outputs.pop(path, None)


def copied(output: Any) -> Any:
    """Return a module's output in memory of its own.

    Raises
    ------
    UnknownError
        There is something else in it than tensors, numbers, texts and None.
    """
    if is_plain(output):
        return output
    if isinstance(output, Tensor):
        return output.clone()
    if type(output) in {tuple, list}:
        return type(output)(copied(part) for part in output)
    raise UnknownError
