"""Entry points of installed packages: real packages on the path, and every way in which they can be wrong."""

from __future__ import annotations

import importlib
import sys

import pytest

from stitchpipe.config import UntrainedModel
from stitchpipe.errors import ExplainedError
from stitchpipe.plugins import PluginError, Plugins, digest_of_sources
from stitchpipe.run.declared import architecture_of, network_fields


class ShapeError(ExplainedError):
    """A room's own error."""


SHAPES = Plugins("stitchpipe.shapes", "shape", ShapeError)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a package with one module and its entry points onto the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def installed(package, source, **points):
        (tmp_path / f"{package}.py").write_text(source)
        about = tmp_path / f"{package}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {package}:{attribute}" for name, attribute in points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[stitchpipe.shapes]", *lines]))
        monkeypatch.delitem(sys.modules, package, raising=False)  # another test's package of that name
        importlib.invalidate_caches()

    return installed


def test_what_a_package_registers_is_found_by_its_name(install):
    install("first_shapes", "def square(side): return side**2\nring = 3", square="square", ring="ring")
    install("other_shapes", "cube = 27", cube="cube")
    assert SHAPES.names() == ["cube", "ring", "square"]
    assert SHAPES.load("square")(4) == 16
    assert (SHAPES.load("ring"), SHAPES.load("cube")) == (3, 27)
    assert Plugins("stitchpipe.nothing", "nothing").names() == []


def test_who_registers_a_name_is_known_without_an_import(install):
    install("slow_shapes", "raise RuntimeError('nobody asked')", ring="ring")
    assert SHAPES.provider("ring") == "slow_shapes 1.0"
    assert SHAPES.provider("torus") is None


def test_a_package_is_imported_only_when_its_name_is_asked_for(install):
    install("good_shapes", "square = 1", square="square")
    install("slow_shapes", "raise RuntimeError('nobody asked')", ring="ring")
    assert SHAPES.names() == ["ring", "square"]
    assert SHAPES.load("square") == 1


def test_an_unknown_name_is_answered_with_the_nearest(install):
    install("first_shapes", "square = 1", square="square", ring="square")
    with pytest.raises(
        ShapeError, match="shape: .*'sqare', which no installed package.*Did you mean 'square'"
    ):
        SHAPES.load("sqare")
    with pytest.raises(ShapeError, match="There are: ring, square. Is the package installed"):
        SHAPES.load("zzz")
    with pytest.raises(PluginError, match="There are: none"):
        Plugins("stitchpipe.nothing", "nothing").load("zzz")


def test_two_packages_that_register_one_name_are_both_named(install):
    install("first_shapes", "square = 1", square="square")
    install("other_shapes", "square = 2", square="square")
    assert SHAPES.names() == ["square"]
    with pytest.raises(ShapeError, match="shape: expected one entry point 'square'.*found 2: ") as refused:
        SHAPES.load("square")
    assert "first_shapes:square of package first_shapes" in str(refused.value)
    assert "other_shapes:square of package other_shapes" in str(refused.value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_package_at_all", "ModuleNotFoundError: No module named 'no_such_package_at_all'"),
        ("raise OSError('disk on fire\\nand smoke')", "OSError: disk on fire"),
        ("round = 1", "AttributeError: module 'bad_shapes' has no attribute 'square'"),
        ("def square(:", "SyntaxError"),
    ],
)
def test_a_package_that_cannot_be_imported_is_one_line_with_its_name(install, source, reason):
    install("bad_shapes", source, square="square")
    with pytest.raises(ShapeError) as refused:
        SHAPES.load("square")
    message = str(refused.value)
    assert "entry point 'square' (bad_shapes:square of package bad_shapes)" in message
    assert reason in message
    assert "\n" not in message


def test_sources_of_a_package_tell_its_code_apart_under_one_version(install, tmp_path):
    install("own_shapes", "square = 1", square="square")
    before = SHAPES.code("square")
    assert before.startswith("own_shapes 1.0, sources ")
    assert SHAPES.code("square") == before
    (tmp_path / "own_shapes.py").write_text("square = 2")
    assert SHAPES.code("square") != before
    (tmp_path / "own_shapes.py").write_text("square = 1")
    assert SHAPES.code("square") == before
    assert SHAPES.code("torus") is None
    assert "own_shapes" not in sys.modules
    assert digest_of_sources("no_such_package_at_all") == ""
    assert len(digest_of_sources("stitchpipe")) == 12


def test_a_network_of_a_package_is_another_one_with_other_sources(install, tmp_path, monkeypatch):
    install("own_networks", "make = dict", my_network="make")
    about = tmp_path / "own_networks-1.0.dist-info" / "entry_points.txt"
    about.write_text(about.read_text().replace("stitchpipe.shapes", "stitchpipe.models"))
    declared = UntrainedModel(name="A", architecture="my_network", untrained=True)
    before = network_fields(declared), architecture_of(declared)
    assert "sources" in before[0]
    (tmp_path / "own_networks.py").write_text("make = list")
    after = network_fields(declared), architecture_of(declared)
    assert (before[0] != after[0], before[1] != after[1]) == (True, True)
    ours = UntrainedModel(name="A", architecture="cifar_resnet", untrained=True)
    assert "sources" not in network_fields(ours)
    assert architecture_of(ours) == "cifar_resnet()"
