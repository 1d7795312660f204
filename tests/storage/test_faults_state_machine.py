"""Everything that may happen to one store, in any order, held against a model of what must be readable.

A rule does one thing to the store and says in `sealed` and `written` what follows; the invariants then demand that
readers see exactly that. A rule for maintenance is a few lines: call it, and update `sealed` where it takes something
out of sight.
"""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from storage import StoreError, UnfinishedError, open_store
from tests.storage.crashing import crash_in
from tests.storage.small_dump import activations, address, begin, blocks_of, finish, new_store
from tests.storage.test_faults_damage import as_a_new_process

ROW_GROUPS = 2
PASSES = {"narrow": ("logits",), "wide": ("logits", "blocks.1")}

weights = st.sampled_from(["w0", "w1"])
passes = st.sampled_from(sorted(PASSES))
noises = st.sampled_from([0.0, 1e-6])
numbers = st.integers(0, 10**6)


class StoreMachine(RuleBasedStateMachine):
    """`sealed` are the (weights, layer) that must be readable, `written` the row groups that must not be redone."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.root = Path(self.folder, "s").resolve()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(os, "fsync", lambda descriptor: None)
        self.sealed = set()
        self.written = {}
        self.writers = []
        new_store(self.root, row_groups=ROW_GROUPS)
        self.fingerprints = {w: self.begun(w, "narrow").fingerprint for w in ("w0", "w1")}

    def teardown(self):
        self.patch.undo()
        shutil.rmtree(self.folder)

    def opened(self):
        return open_store(self.root, mode="a")

    def begun(self, w, which):
        dump = begin(self.opened(), PASSES[which], identity={"weights": w})
        assert set(dump.layers) == {layer for layer in PASSES[which] if (w, layer) not in self.sealed}
        return dump

    def layers_of(self, dump):
        return dump.identity.identity["weights"], frozenset(dump.layers)

    @precondition(lambda self: len(self.writers) < 4)
    @rule(w=weights, which=passes, noise=noises)
    def a_writer_begins(self, w, which, noise):
        self.writers.append((self.begun(w, which), noise))

    @precondition(lambda self: self.writers)
    @rule(writer=numbers, group=st.integers(0, ROW_GROUPS - 1))
    def a_writer_writes_a_row_group(self, writer, group):
        dump, noise = self.writers[writer % len(self.writers)]
        dump.write(group, blocks_of(dump, group, noise=noise))
        self.written.setdefault(self.layers_of(dump), set()).add(group)

    @precondition(lambda self: self.writers)
    @rule(writer=numbers)
    def a_writer_seals(self, writer):
        dump, _ = self.writers[writer % len(self.writers)]
        missing = dump.missing_row_groups()
        if missing:
            with pytest.raises(UnfinishedError):
                dump.seal()
            return
        dump.seal()
        self.sealed |= {(dump.identity.identity["weights"], layer) for layer in dump.layers}

    @precondition(lambda self: self.writers)
    @rule(writer=numbers)
    def a_writer_goes_away(self, writer):
        self.writers.pop(writer % len(self.writers))

    @rule(w=weights, which=passes, after=st.integers(0, 120), torn=st.booleans())
    def a_process_dumps_and_crashes(self, w, which, after, torn):
        layers = set(self.begun(w, which).layers)
        _, finished = crash_in(self.patch, lambda: finish(self.begun(w, which)), after=after, torn=torn)
        seen = {layer for found, layer in self.seen() if found == w} & layers
        assert seen == layers if finished else seen in (set(), layers)
        self.sealed |= {(w, layer) for layer in seen}

    @precondition(lambda self: self.sealed)
    @rule(file=numbers, bit=numbers)
    def a_bit_flips_and_is_found(self, file, bit):
        files = sorted(self.committed_files())
        path = files[file % len(files)]
        before = path.read_bytes()
        flipped = bytearray(before)
        flipped[bit // 8 % len(before)] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            as_a_new_process()
            for w, layer in sorted(self.sealed):
                with suppress(StoreError):
                    self.demand_right(w, layer)
            as_a_new_process()
            assert self.problems()
        finally:
            path.write_bytes(before)
            as_a_new_process()

    @precondition(lambda self: self.sealed)
    @rule(file=numbers, bit=numbers)
    def a_bit_flips_and_is_repaired(self, file, bit):
        self.maintenance_begins()
        files = sorted(self.committed_files())
        path = files[file % len(files)]
        data = bytearray(path.read_bytes())
        data[bit // 8 % len(data)] ^= 1 << bit % 8
        path.write_bytes(data)
        as_a_new_process()
        done = self.opened().repair()
        assert done.problems
        again = {(one.fingerprint, one.address.layer) for one in done.redo}
        for w, fingerprint in self.fingerprints.items():
            layers = [layer for found, layer in again if found == fingerprint]
            if layers:  # what was begun before and never sealed is named too, once a dump was touched
                finish(begin(self.opened(), layers, identity={"weights": w}))
                self.sealed |= {(w, layer) for layer in layers}
        as_a_new_process()

    @precondition(lambda self: self.sealed)
    @rule(chosen=numbers)
    def a_layer_is_evicted(self, chosen):
        self.maintenance_begins()
        w, layer = sorted(self.sealed)[chosen % len(self.sealed)]
        self.opened().evict(layer=layer, fingerprint=self.fingerprints[w])
        self.sealed.remove((w, layer))

    @rule()
    def garbage_is_collected(self):
        self.maintenance_begins()
        self.opened().gc(older_than_s=0, now_s=time.time() + 60).remove()

    def maintenance_begins(self):
        """Nobody writes beside maintenance, and what was not sealed may have to be done again."""
        self.writers.clear()
        self.written.clear()

    def committed_files(self):
        """Return the shards, markers and manifests that what is sealed rests on."""
        for w, layer in self.sealed:
            found = self.representation(w, layer)
            home = next(self.root.rglob(f"*~{self.fingerprints[w][:12]}")) / "commits" / found.layer_set
            yield from home.iterdir()
            yield from (self.root / found.shard_file(group) for group in range(ROW_GROUPS))

    def problems(self):
        try:
            return open_store(self.root).verify()
        except StoreError as error:
            return [error]

    def seen(self):
        return {
            (w, found.address.layer)
            for w, fingerprint in self.fingerprints.items()
            for found in open_store(self.root).representations(fingerprint=fingerprint)
        }

    def representation(self, w, layer):
        return open_store(self.root).representation(address(layer), fingerprint=self.fingerprints[w])

    def demand_right(self, w, layer):
        found = self.representation(w, layer)
        order = found.split.original_index
        np.testing.assert_allclose(found.read_rows(slice(None)), activations(layer)[order], rtol=3e-6)

    @invariant()
    def readers_see_what_was_sealed_and_nothing_else(self):
        assert self.seen() == self.sealed
        for w, layer in sorted(self.sealed):
            self.demand_right(w, layer)

    @invariant()
    def the_store_verifies(self):
        assert open_store(self.root).verify() == []

    @invariant()
    def what_was_written_is_not_redone(self):
        for (w, layers), groups in self.written.items():
            if layers and not any((w, layer) in self.sealed for layer in layers):
                dump = begin(self.opened(), sorted(layers), identity={"weights": w})
                assert not groups & set(dump.missing_row_groups())


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}

TestAStore = StoreMachine.TestCase
TestAStore.settings = settings(max_examples=5, stateful_step_count=15, derandomize=True, **COMMON)


class LongerMachine(StoreMachine):
    """The same for longer."""


TestAStoreForLonger = pytest.mark.slow(LongerMachine.TestCase)
TestAStoreForLonger.settings = settings(max_examples=40, stateful_step_count=40, **COMMON)
