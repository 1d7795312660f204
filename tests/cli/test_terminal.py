"""What a person sees of units that are under way."""

from stitchpipe.cli.terminal import Progress


def test_off_a_terminal_a_unit_is_one_line_once_it_is_complete(capsys):
    with Progress() as progress:
        for done, total in ((0, 1), (0, 25), (24, 25)):
            progress("train A", done, total)
        for done, total in ((0, 1), (15, 20), (16, 20)):
            progress("dump A test", done, total)
        assert capsys.readouterr().err == ""
        progress("dump A test", 20, 20)
        progress("dump A test", 20, 20)
        progress("train A", 25, 25)
        progress("inspect A", 0, 1)
        progress("inspect A", 1, 1)
    lines = [line.partition(" in ") for line in capsys.readouterr().err.splitlines()]
    assert [line[0] for line in lines] == [
        "dump A test: 5 row groups done",
        "train A: 25 epochs done",
        "inspect A: done",
    ]
    assert lines[0][2].endswith(" s, 15 row groups kept")
    assert "kept" not in lines[1][2]


def test_a_log_says_now_and_then_how_far_a_long_unit_is(capsys, monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr("stitchpipe.cli.terminal.time.monotonic", lambda: now_s[0])
    with Progress() as progress:
        for done in range(11):
            progress("dump A test", done, 100)
            now_s[0] += 20.0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "dump A test: 4 of 100 row groups, about 32 min still",
        "dump A test: 8 of 100 row groups, about 31 min still",
    ]


def test_bytes_are_sizes(capsys):
    with Progress() as progress:
        progress("verify", 0, 4096)
        progress("verify", 4096, 4096)
    assert capsys.readouterr().err.startswith("verify: 4 KiB done in ")


def test_what_is_said_of_a_unit_has_no_controls(capsys):
    with Progress() as progress:
        progress.say("dump \x1b[2J", "failed: \x1b]0;x\x07")
    assert "\x1b" not in capsys.readouterr().err
