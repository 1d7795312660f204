"""The tasks of a comparison of one pass, carried out here and not on workers."""

from __future__ import annotations

from stitchpipe.engine import MomentComparison
from stitchpipe.engine.keys import pass_key
from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.moments.pass_tasks import finish, read_leaf, read_shifts


def form(plan, resources):
    """Form all shifts and leaves of the only pass; return what is kept on each split."""
    of_splits = [KeptLeaves.of(resources, plan, 0, split) for split in range(len(plan.splits))]
    for leaves in of_splits:
        read_shifts(leaves)
        for leaf in range(len(leaves.split.leaves())):
            read_leaf(leaves, leaf)
    return of_splits


def formed(comparison, resources, *, memory=2**31):
    """Plan a comparison, form all its leaves, and return what its tasks are given."""
    plan = comparison.plan(memory_limit_bytes=memory)
    assert len(plan.passes) == 1
    form(plan, resources)
    return MomentComparison.of(comparison, plan, resources, {})


def finished(work):
    """Finalise every chunk of the only pass; return the numbers of each."""
    key = pass_key(work.plan, 0)
    return [finish(work, 0, number, key) for number in range(len(work.plan.passes[0].chunks))]


def records_of(work):
    """Return the numbers of all chunks one by one."""
    return [record for numbers in finished(work) for record in numbers.records()]
