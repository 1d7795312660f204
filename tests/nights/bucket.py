"""A bucket in memory: the functions of `obstore` that `storage.place.bucket` calls, with the faults of a night.

`BucketPlace` itself is the code under test: its retries, its tokens, its reading back after a lost answer.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from obstore.exceptions import AlreadyExistsError, GenericError

import storage.place.bucket
from storage import digest_of
from tests.nights.world import EPOCH_S
from tests.storage.crashing import Crash


@dataclass(frozen=True)
class Object:
    data: bytes
    attributes: dict
    modified_s: float
    tag: str


class Bucket:
    """Objects by key, and how they changed; every request is an operation of the world."""

    def __init__(self, world, weather):
        self.world, self.weather, self.objects = world, weather, {}
        self.url, self._home = "s3://night/run", "run/"
        self.changes, self.broken, self._tags = [], [], 0

    def install(self, patch):
        """Stand in for the client of the place."""
        patch.setattr(storage.place.bucket, "obstore", self)
        patch.setattr(storage.place.bucket, "S3Store", lambda *_, **__: None)

    def end(self):
        pass

    def has(self, key):
        return self._home + key in self.objects

    def digests(self, folder):
        """Return the digest of every object below a folder of the run, by key."""
        below = [key for key in self.objects if key.startswith(f"{self._home}{folder}/")]
        return {key.removeprefix(self._home): digest_of(self.objects[key].data.hex()) for key in below}

    def take_away(self, key):
        del self.objects[self._home + key]

    def put(self, _client, key, data, mode="overwrite", attributes=None, use_multipart=False):
        def act():
            if mode == "create" and key in self.objects:
                raise AlreadyExistsError("returned non-2xx status code: 412")
            self._tags += 1
            known = Object(bytes(data), attributes or {}, EPOCH_S + self.world.now_s, f"t{self._tags}")
            self._change(key, known)

        return self._request("put", key, act, changes=True)

    def get(self, _client, key):
        known = self._there("get", key)
        return _Got(known.attributes, self.weather.altered(key, known.data))

    def get_ranges(self, _client, key, *, starts, ends):
        # Ranges of parts of the results are read by Parquet's library, under checksums of its own, and not again.
        known = self._there("get", key).data
        return [known[start:stop] for start, stop in zip(starts, ends, strict=True)]

    def head(self, _client, key):
        return _told(key, self._there("head", key))

    def delete(self, _client, key):
        return self._request("delete", key, lambda: self._change(key, None), changes=True)

    def list(self, _client, prefix, *, offset, chunk_size):
        listed = [_told(key, known) for key, known in self._listed(prefix) if offset is None or key > offset]
        return iter([listed[:chunk_size]] if listed else [])

    def list_with_delimiter(self, _client, prefix):
        base, folders, objects = f"{prefix}/" if prefix else "", set(), []
        for key, known in self._listed(prefix):
            first, inside, _ = key.removeprefix(base).partition("/")
            if inside:
                folders.add(base + first)
            else:
                objects.append(_told(key, known))
        return {"common_prefixes": sorted(folders), "objects": objects}

    def _there(self, kind, key):
        def act():
            if key not in self.objects:
                raise FileNotFoundError(f"returned non-2xx status code: 404 {key}")
            return self.objects[key]

        return self._request(kind, key, act)

    def _listed(self, prefix):
        base = f"{prefix}/" if prefix else ""

        def act():
            objects, lag_s = self.objects, self.weather.lag_s()
            if lag_s:
                self.world.note(f"list as {lag_s:.1f} s ago", prefix)
                objects = dict(objects)
                for at_s, key, before in reversed(self.changes):
                    if at_s < self.world.now_s - lag_s:
                        break
                    objects.pop(key, None)
                    if before is not None:
                        objects[key] = before
            return sorted((key, known) for key, known in objects.items() if key.startswith(base))

        return self._request("list", prefix or "", act)

    def _change(self, key, after):
        self.changes.append((self.world.now_s, key, self.objects.pop(key, None)))
        if after is not None:
            self.objects[key] = after

    def _request(self, kind, key, act, *, changes=False):
        world, weather = self.world, self.weather
        if world.current is None:
            return act()
        world.pause(weather.latency_s())
        process = world.current.process
        process.operations += 1
        fault = weather.fault(process, world.now_s)
        world.log.append((world.now_s, process.name, f"{kind} {fault}" if fault else kind, key))
        match fault:
            case "":
                return act()
            case "503":
                raise GenericError("returned non-2xx status code: 503")
            case "no answer":
                world.pause(weather.patience_s())
                raise GenericError("operation timed out")
            case "answer lost":
                if changes:
                    with suppress(AlreadyExistsError):
                        act()
                world.pause(weather.patience_s())
                raise GenericError("operation timed out")
            case "killed before" | "run killed before":
                pass
            case _:  # killed after
                with suppress(AlreadyExistsError, FileNotFoundError):
                    act()
        world.kill(process.root if fault.startswith("run") else process)
        raise Crash


@dataclass(frozen=True)
class _Got:
    attributes: dict
    data: bytes

    def bytes(self):
        return self.data


def _told(key, known):
    modified = datetime.fromtimestamp(known.modified_s, UTC)
    return {"path": key, "size": len(known.data), "e_tag": known.tag, "last_modified": modified}
