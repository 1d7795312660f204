"""Reading a sealed representation: by row group, by rows, in shuffled batches; every chunk is checked."""

from storage.reading.pairing import check_pairing
from storage.reading.representation import Representation
from storage.reading.shard import ShardReader, forget_shards
from storage.reading.shuffling import RowGroupReader, shuffled_batches

__all__ = [
    "Representation",
    "RowGroupReader",
    "ShardReader",
    "check_pairing",
    "forget_shards",
    "shuffled_batches",
]
