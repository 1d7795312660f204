"""Whether indices tell layers apart that have one shape: the control of width and size, both of which change."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stitchpipe.studies.distance import falls_with_layers
from stitchpipe.studies.finding import Finding, fraction, signed
from stitchpipe.studies.indices import title_under

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.studies.effect import Effect
    from stitchpipe.studies.evidence import Evidence
    from stitchpipe.studies.pairs import Pairs


def one_shape(evidence: Evidence) -> Finding | None:
    """Answer whether likeness falls with the layers between where no width and size changes; None without such pairs.

    Pairs are of two layers of one network that lie in one stage; all of a network of constant width and size.
    """
    claims = evidence.claims
    rows: list[dict[str, Any]] = []
    effects: list[Effect] = []
    cases: list[pd.DataFrame] = []
    for (index, view), pairs in claims.pairs.items():
        alike = _same_shape(pairs)
        name = title_under(index, view)
        parts = {
            "of one shape": pairs.at(alike),
            "of other shapes": pairs.at(pairs.within & ~alike & (pairs.source != pairs.target)),
        }
        of_one, of_other = (
            falls_with_layers(f"Spearman ρ with the layers between, {which}, {name}", part)
            for which, part in parts.items()
        )
        if not isfinite(of_one.value):
            continue
        effects += [effect for effect in (of_one, of_other) if isfinite(effect.value)]
        cases.append(_cases(pairs.at(alike)).assign(index=name))
        rows.append({"index": name, "pairs": int(alike.sum()), **_row("one shape", of_one)})
        rows[-1] |= _row("other shapes", of_other)
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    falling = frame["one shape, high"].notna() & (frame["one shape, high"] < 0)
    blind = [str(name) for name in frame.loc[~falling, "index"]]
    return Finding(
        name="one-shape",
        question="Do indices tell layers apart where neither width nor size changes?",
        answer=f"Between layers of one shape likeness falls with the layers between, the interval of ρ below 0, by "
        f"{fraction(int(falling.sum()), len(frame))} indices: ρ from {signed(frame['one shape'].min())} to "
        f"{signed(frame['one shape'].max())}." + (f" Not so: {', '.join(blind)}." if blind else ""),
        claim="",
        outcome=None,
        criterion="",
        numbers={f"{row['index']}, one shape": row["one shape"] for row in rows},
        table=frame,
        detail=pd.concat(cases, ignore_index=True),
        falsifier="For an index as a measure of what layers represent: an interval that holds 0 among layers of one "
        "shape, and one below 0 among others. What looks like depth is then width, size and the resize between them.",
        effects=tuple(effects),
        left_out=claims.left_out,
    )


def _same_shape(pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Return which pairs are of two layers of one network in one stage; a network of a single stage has no numbers."""
    stage = pairs.axis.stage
    source, target = stage[pairs.source], stage[pairs.target]
    alike = (source == target) | (np.isnan(source) & np.isnan(target))
    return np.asarray(pairs.within & alike & (pairs.source != pairs.target), np.bool_)


def _row(which: str, rho: Effect) -> dict[str, float | None]:
    if not isfinite(rho.value):
        return dict.fromkeys((which, f"{which}, low", f"{which}, high"))
    return {which: rho.value, f"{which}, low": rho.low, f"{which}, high": rho.high}


def _cases(pairs: Pairs) -> pd.DataFrame:
    ends = pairs.axis.ends
    return pd.DataFrame(
        {
            "model": [ends[number][0] for number in pairs.source],
            "source": [ends[number][1] for number in pairs.source],
            "target": [ends[number][1] for number in pairs.target],
            "layers between": np.abs(pairs.later_by),
            "value": pairs.value,
        }
    )
