"""Names that do not exist are refused before any work, all of them in one message; of members of a zoo none is."""

from __future__ import annotations

import pytest

from stitchpipe import config
from stitchpipe.errors import ExplainedError
from stitchpipe.run import Run
from stitchpipe.run import networks as run_networks
from stitchpipe.steps.work_units import check_declaration

SWEEP = """
name = "names"
data = { kind = "digits", limit = 24 }
zoo = [{ models = ["*.safetensors"], architecture = "no_such_network" }]
[[models]]
name = "A"
architecture = "resnet81"
untrained = true
[[models]]
name = "B"
architecture = "timm/vit_tinny_patch16_224"
untrained = true
[[models]]
name = "C"
architecture = "cifar_resnet"
weights = "absent.pt"
[[models]]
name = "D"
architecture = "cifar_resnet"
weights = "file:///absent/absent.pt"
"""


def test_every_name_that_does_not_exist_is_told_and_no_network_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr(run_networks, "declared_network", pytest.fail)
    (tmp_path / "member.safetensors").write_bytes(b"cut short")
    sweep = config.parse(SWEEP, where="names", folder=tmp_path)
    with pytest.raises(ExplainedError) as caught:
        check_declaration(Run.open(sweep, tmp_path / "run"), ("inspect",))
    told = str(caught.value)
    assert "4 mistakes" in told
    for said in ("resnet81", "vit_tinny", "model 'C'", "file:///absent/absent.pt"):
        assert said in told
    assert "member" not in told
    assert "no_such_network" not in told
