"""One question put to files of results, each held against its digest before and behind the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stitchpipe.results.bucket_parts import PROTOCOL, BucketParts
from stitchpipe.results.part_files import SUFFIX, columns_of, is_folder
from stitchpipe.results.query import answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from stitchpipe.results.beside import TableBeside
    from storage import CheckedFile, CheckedFiles


def scanned(
    files: CheckedFiles,
    parts: Sequence[CheckedFile],
    sql: str,
    values: Sequence[Any] = (),
    beside: Sequence[TableBeside] = (),
) -> pa.Table:
    """Let the database answer from parts: from their files on a disk, from their bytes in a bucket.

    Errors as `Catalogue.query`.
    """
    for part in parts:
        files.demand_sound(part)
    names = [columns_of(files, part) for part in parts]
    if is_folder(files):
        paths, reader = [files.place.path(part.key) for part in parts], None
    else:
        paths = [f"{PROTOCOL}://{number}{SUFFIX}" for number in range(len(parts))]
        reader = BucketParts(files, dict(zip(paths, parts, strict=True)))
    table = answer(sql, dict(zip(paths, names, strict=True)), reader=reader, values=values, beside=beside)
    # The database read the files for itself: what changed since they were held against their digests is read again.
    for part in parts:
        files.demand_sound(part)
    return table
