"""What a person sees of units that are under way."""

from stitchpipe.cli.terminal import Progress


def test_off_a_terminal_a_unit_is_one_line_once_it_is_complete(capsys):
    with Progress() as progress:
        progress("train A", 0, 1)
        progress("train B", 1, 25)
        progress("train A", 24, 25)
        assert capsys.readouterr().err == ""
        progress("train B", 25, 25)
        progress("train B", 25, 25)
        progress("train A", 25, 25)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" in ")[0] for line in lines] == ["train B: done (25)", "train A: done (25)"]
