"""What a network answers: the logits of a classifier, or the features of a network that has no head.

Networks return one tensor, or a record of several. Of a record one tensor counts: its logits, or else the features that
it is named for. A tail, and whether a layer is a cut, are about this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from torch import nn

FEATURES = ("image_embeds", "pooler_output", "features", "last_hidden_state", "feature_maps", "out")
"""Of a record without logits, the field that counts: the first of these that holds tensors, or else its last one."""


def answer_of(output: Any) -> Any:
    """Return the one tensor of a network's output that counts, or the output itself where it holds none.

    Of a record (a mapping, a dataclass, a named tuple) that is ``logits``, or else the first of `FEATURES`, or else the
    last field; of a plain tuple the first tensor, of a list of feature maps the last, which is the deepest.
    """
    answer = _answer(output)
    return output if answer is None else answer


def gives_logits(network: nn.Module, output: Any) -> bool:
    """Return whether a network classifies: whether what it answered is a row of logits for each image.

    A field ``logits`` of a record says so. A single tensor ``(n, k)`` is taken for logits, unless the
    network's attribute ``num_classes`` is 0, as timm's convention for a network without a head has it.
    """
    logits = _named(output).get("logits")
    if isinstance(logits, Tensor):
        return logits.ndim == 2
    if getattr(network, "num_classes", None) == 0 or isinstance(output, Mapping) or is_dataclass(output):
        return False
    answer = answer_of(output)
    return isinstance(answer, Tensor) and answer.ndim == 2


def _answer(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    named = _named(output)
    if named:
        wanted = [named[name] for name in ("logits", *FEATURES) if name in named]
        return next(
            (
                found
                for value in (*wanted, *reversed(named.values()))
                if (found := _deepest(value)) is not None
            ),
            None,
        )
    if isinstance(output, tuple):
        return next((found for value in output if (found := _deepest(value)) is not None), None)
    return _deepest(output)


def _named(output: Any) -> dict[str, Any]:
    """Return the fields of a record by name, in its order; none of what is no record."""
    if isinstance(output, Mapping):
        return {str(name): value for name, value in output.items()}
    if is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name) for field in fields(output)}
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return dict(zip(output._fields, output, strict=True))
    if isinstance(getattr(output, "logits", None), Tensor):
        return {"logits": output.logits}
    return {}


def _deepest(value: Any) -> Tensor | None:
    """Return a tensor itself, and of a list or tuple of feature maps the last one that is a tensor."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list | tuple):
        return next((part for part in reversed(value) if isinstance(part, Tensor)), None)
    return None
