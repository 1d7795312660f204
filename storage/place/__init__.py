"""Where a store lies: the contract with a file system or a bucket, and the two that keep it.

A place is a write-once key–value store: it creates files whole under their key, reads ranges of them and lists them.
Nothing above this room knows whether it is a directory or a bucket.
"""

from storage.place.contract import COMMITS, LEASE_S, PARTIAL, QUARANTINE, Entry, Place, Staged
from storage.place.names import decode_name, encode_name
from storage.place.opening import open_place, place_and_key
from storage.place.rereading import asked_again, read_confirmed

__all__ = [
    "COMMITS",
    "LEASE_S",
    "PARTIAL",
    "QUARANTINE",
    "Entry",
    "Place",
    "Staged",
    "asked_again",
    "decode_name",
    "encode_name",
    "open_place",
    "place_and_key",
    "read_confirmed",
]
