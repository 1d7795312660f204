"""What `make gpu` runs on a GPU, tried on the CPU with a tiny helping: the code, and that wrong numbers are refused."""

from __future__ import annotations

import pytest
import torch

from tests.benchmarks.gpu import products
from tests.benchmarks.gpu.__main__ import main


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 0
    assert "No GPU here" in capsys.readouterr().out


@pytest.mark.slow
def test_every_step_gives_the_cpus_numbers(tmp_path, capsys):
    assert main(["--device", "cpu", "--out", str(tmp_path / "told" / "gpu.md")]) == 0
    table = (tmp_path / "told" / "gpu.md").read_text()
    assert table.strip() in capsys.readouterr().out
    for step in ("dump", "products in float64", "products in tf32", "at once of 3", "detector, energies"):
        assert step in table
    assert len([line for line in table.splitlines() if line.startswith("| ")]) == 2 + 10


@pytest.mark.slow
def test_other_numbers_are_refused(monkeypatch, capsys):
    add = products.RoundedFactors.add_product
    monkeypatch.setattr(
        products.RoundedFactors, "add_product", lambda self, total, x, y: add(self, total, 1.1 * x, y)
    )
    assert main(["--device", "cpu"]) == 1
    assert "Not the CPU's numbers: products in tf32" in capsys.readouterr().out
