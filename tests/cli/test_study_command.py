"""Studies, asked as a user does: listed, told what a run lacks, and answered as Python answers."""

from __future__ import annotations

import json

import stitchpipe as sp
from stitchpipe.studies import STUDIES
from tests.cli.command import refused, stitchpipe


def test_studies_are_listed_with_their_questions():
    shown = stitchpipe("study", columns=200).stdout
    for study in STUDIES.values():
        assert study.name in shown
    rows = json.loads(stitchpipe("study", "--format", "json").stdout)
    assert [row["question"] for row in rows] == [study.question for study in STUDIES.values()]


def test_an_answer_is_that_of_python_and_of_the_page(tiny):
    document = json.loads(stitchpipe("study", "self", tiny.root, "--format", "json").stdout)
    answer = sp.open(tiny.root).study("self")
    assert document == json.loads(json.dumps(answer.record()))
    shown = {finding["name"]: finding for finding in tiny.run.place.findings()["findings"]}
    for finding in document["findings"]:
        kept = {key: value for key, value in finding.items() if key not in ("table", "cases")}
        assert {key: shown[finding["name"]][key] for key in kept} == kept
    people = " ".join(stitchpipe("study", "self", tiny.root, columns=200).stdout.split())
    for finding in answer.findings:
        assert " ".join(finding.answer.split()[:12]) in people
        assert "What would say otherwise" in people


def test_what_a_run_lacks_is_said_with_the_lines_that_would_add_it(tiny):
    shown = stitchpipe("study", tiny.root, columns=200).stdout
    for name in STUDIES:
        assert name in shown
    told = stitchpipe("study", "ood", tiny.root, columns=200).stdout
    assert '[[study]]\nname = "ood"' in told
    assert "[ood.detector]" in told


def test_a_study_without_a_run_says_what_to_type():
    assert "stitchpipe study self RUN" in str(refused("study", "self"))
