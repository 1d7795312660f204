"""The catalogue: records that cannot contradict themselves, parts that appear whole, queries that only read."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stitchpipe.measures import EXTRAS, Number
from stitchpipe.results import (
    COLUMNS,
    SCHEMA,
    Catalogue,
    CatalogueError,
    Making,
    QueryError,
    Result,
    ResultError,
    Side,
    Subject,
    table_of_records,
)
from storage import CheckedFiles, CorruptError, open_place

RECORD = {
    "index": "cka",
    "value": 0.5,
    "status": "ok",
    "view": "pooled",
    "grid": "1x1",
    "source_model": "A",
    "source_layer": "layer1.0",
    "target_model": "B",
    "target_layer": "layer1.1",
    "split": "test",
    "n_samples": 450,
    "n_rows": 450,
    "p": 16,
    "q": 32,
    "source_digest": "aa",
    "target_digest": "bb",
}


def result(**changes):
    return {**RECORD, **changes}


def whole(record):
    """Return a record with every column."""
    return {**dict.fromkeys(SCHEMA.names), **record}


def write(catalogue, key, records):
    return catalogue.write(key, table_of_records(records))


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(CheckedFiles(open_place(tmp_path)))


def table_of(catalogue, key):
    """Return a part as other programs read it."""
    return pq.read_table(pa.BufferReader(catalogue.files.read(f"results/{key}")))


def put(catalogue, key, table):
    """Keep a table as a part, in place of the one that is there."""
    data = io.BytesIO()
    pq.write_table(table, data)
    catalogue.files.remove(f"results/{key}")
    catalogue.files.write(f"results/{key}", ".parquet", data.getvalue())


@pytest.fixture
def filled(catalogue):
    write(catalogue, "k1", [result(value=0.25), result(value=0.75, source_layer="layer2.0")])
    write(catalogue, "k2", [result(index="cca", value=None, status="too_few_rows", reason="n < p")])
    return catalogue


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"value": None}, "value"),
        ({"value": math.nan}, "finite"),
        ({"value": math.inf}, "finite"),
        ({"status": "constant"}, "exactly where the status"),
        ({"value": math.nan, "status": "constant"}, "finite"),
        ({"condition": math.inf}, "condition"),
        ({"final_loss": math.nan}, "final_loss"),
        ({"n_rows": -1}, "n_rows"),
        ({"view": None}, "view"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes, word):
    with pytest.raises(ResultError, match=word) as caught:
        table_of_records([result(), result(**changes)])
    assert "A/layer1.0 -> B/layer1.1" in caught.value.where
    assert caught.value.remedy


def test_what_is_written_is_read_back_exactly(catalogue):
    rows = [
        result(value=0.1 + 0.2, rank=3, condition=7.5),
        result(value=None, status="constant", reason="no variance"),
        result(
            index="stitch_accuracy", method="tlm", init="random", seed=2**32 - 1, steps=300, final_loss=0.01
        ),
    ]
    write(catalogue, "k", rows)
    part = table_of(catalogue, "k")
    assert part.schema.remove_metadata().equals(SCHEMA)
    assert part.to_pylist() == [whole(row) for row in rows]


def test_no_number_is_null_in_the_part_and_never_nan(filled):
    column = table_of(filled, "k2")["value"]
    assert column.null_count == 1
    assert filled.query("SELECT count(*) FILTER (value IS NULL) AS n FROM results")["n"][0] == 1
    assert filled.query("SELECT count(*) FILTER (isnan(value)) AS n FROM results")["n"][0] == 0


def test_keys_select_parts_in_their_order(filled):
    assert filled.keys() == ["k1", "k2"]
    assert filled.has("k1")
    assert not filled.has("k3")
    assert list(filled.read()["index"]) == ["cka", "cka", "cca"]
    assert list(filled.read(["k2", "k1", "k2"])["index"]) == ["cca", "cka", "cka"]
    assert filled.query("SELECT count(*) AS n FROM results", keys=["k2"])["n"][0] == 1


def test_an_empty_part_and_an_empty_catalogue_have_all_columns(catalogue):
    assert list(catalogue.read().columns) == SCHEMA.names
    write(catalogue, "nothing", [])
    assert catalogue.has("nothing")
    assert catalogue.read().shape == (0, len(SCHEMA))


def test_of_two_writers_of_a_key_the_first_wins(filled):
    before = filled.files.find("results/k1")
    assert write(filled, "k1", [result(value=0.9)]) == before
    assert list(filled.read(["k1"])["value"]) == [0.25, 0.75]


@pytest.mark.parametrize("key", ["", "../k", "a/b", ".hidden", "a\0b", "é", "k" * 300, "a b"])
def test_a_key_cannot_leave_the_folder(catalogue, key):
    for use in (catalogue.has, lambda k: write(catalogue, k, []), lambda k: catalogue.read([k])):
        with pytest.raises(CatalogueError, match="key"):
            use(key)


def test_a_missing_part_is_named(filled):
    with pytest.raises(CatalogueError, match=r"k9.*no such file"):
        filled.read(["k1", "k9"])


def test_a_damaged_part_is_named_and_never_read(catalogue):
    write(catalogue, "k", [result(value=number / 1000, reason=f"n{number}") for number in range(1000)])
    path = Path(catalogue.files.place.path(catalogue.files.find("results/k").key))
    whole = path.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptError, match=path.name):
            catalogue.read()
    for position in range(0, len(whole), 137):  # in pages and footer
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(CorruptError, match=path.name):
            catalogue.read()
    assert len(catalogue.files.verify()) == 1


@pytest.mark.parametrize("ask", [lambda all_: all_.read(), lambda all_: all_.query("SELECT * FROM results")])
def test_what_changes_between_its_check_and_its_reading_is_no_answer(catalogue, monkeypatch, ask):
    """Another number under the same name, in a file that is as sound as the first: only its digest tells."""
    write(catalogue, "k", [result(value=0.25)])
    write(catalogue, "other", [result(value=0.75)])
    part, other = (
        Path(catalogue.files.place.path(catalogue.files.find(f"results/{key}").key)) for key in ("k", "other")
    )
    check, looks = CheckedFiles.demand_sound, []

    def checked(files, file):
        check(files, file)
        if file.name == "results/k" and not looks:
            part.write_bytes(other.read_bytes())
        looks.append(file.name)

    monkeypatch.setattr(CheckedFiles, "demand_sound", checked)
    with pytest.raises(CorruptError, match=part.name):
        ask(catalogue)


def test_a_part_with_another_column_is_read_beside_the_others(filled):
    table = table_of(filled, "k1")
    put(filled, "k3", table.append_column("energy", [[0.01] * len(table)]))
    frame = filled.read()
    assert len(frame) == 5
    assert frame["energy"].notna().sum() == 2


def test_select_with_and_describe_are_answered(filled):
    assert filled.query("SELECT max(value) AS m FROM results")["m"][0] == 0.75
    assert len(filled.query("WITH a AS (SELECT * FROM results) SELECT * FROM a WHERE index = 'cka'")) == 2
    assert list(filled.query("DESCRIBE results")["column_name"]) == SCHEMA.names
    assert isinstance(filled.query("SELECT 'a;b' AS text"), pd.DataFrame)


FORBIDDEN = [
    "",
    " ; ",
    "-- a remark",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE results",
    "COPY results TO '{folder}/out.csv'",
    "COPY results FROM '{folder}/secret.csv'",
    "ATTACH '{folder}/db'",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "INSTALL httpfs",
    "LOAD json",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "DROP TABLE results",
    "DELETE FROM results",
    "UPDATE results SET value = 1",
    "INSERT INTO results SELECT * FROM results",
    "CREATE TABLE t (a INT)",
    "EXPORT DATABASE '{folder}/dump'",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT * FROM read_csv('{folder}/secret.csv')",
    "SELECT * FROM read_text('{folder}/secret.csv')",
    "SELECT * FROM '{folder}/secret.csv'",
    "SELECT * FROM read_parquet('{folder}/results/k1.parquet')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM query('COPY results TO ''{folder}/out.csv''')",
    "SELECT * FROM secret_frame",
    "SELECT * FROM parts",
    "SELECT nothing FROM results",
    "SELCT 1",
    "SELECT error('a') FROM results",
    "WITH gone AS (DELETE FROM results RETURNING *) SELECT * FROM gone",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_query_only_reads_results(filled, tmp_path, statement):
    secret_frame = pd.DataFrame({"secret": [1]})
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(QueryError) as caught:
        filled.query(statement.format(folder=tmp_path))
    assert "\n" not in str(caught.value)
    assert all((caught.value.where, caught.value.expected, caught.value.found, caught.value.remedy))
    assert sorted(tmp_path.rglob("*")) == before
    assert len(filled.read()) == 3
    assert len(secret_frame) == 1


def test_no_results_yet_is_said_with_the_remedy(catalogue):
    with pytest.raises(QueryError, match="quickstart"):
        catalogue.query("SELECT 1")


def without(catalogue, key, columns):
    """Rewrite a part as an older version would have written it."""
    put(catalogue, key, table_of(catalogue, key).drop_columns(columns))


def test_parts_from_before_a_column_was_added_read_as_null_there(filled):
    write(filled, "k3", [result(index="ood_knn", auroc=0.75)])
    without(filled, "k1", ["auroc", "floor", "warned"])
    frame = filled.read()
    assert list(frame.columns) == SCHEMA.names
    assert frame["auroc"].tolist()[3:] == [0.75]
    assert frame["auroc"].isna().sum() == 3
    assert filled.query("SELECT count(auroc) AS n FROM results")["n"][0] == 1


def test_a_part_that_lacks_any_other_column_is_refused(filled):
    without(filled, "k2", ["value", "key"])
    for read in (filled.read, lambda: filled.query("SELECT 1")):
        with pytest.raises(CatalogueError, match=r"k2~.*'value' missing, 'key' missing.*Remove the file"):
            read()


def test_a_part_with_another_type_in_a_column_is_refused(filled):
    table = table_of(filled, "k1")
    texts = table.set_column(table.column_names.index("rank"), "rank", [["three"] * len(table)])
    put(filled, "k1", texts)
    with pytest.raises(CatalogueError, match=r"k1~.*'rank' of type string"):
        filled.read()


def test_every_column_is_explained():
    assert [column.name for column in COLUMNS] == SCHEMA.names
    assert all(len(column.meaning) > 2 for column in COLUMNS)


SUBJECT = Subject(
    source=Side("A", "layer1.0", 16, "aa", depth=2),
    target=Side("B", "layer1.1", 32, "bb"),
    view="pooled",
    grid="1x1",
    split="test",
    n_samples=450,
    n_rows=450,
    key="f00d",
)


def test_a_record_is_made_of_a_number_its_subject_and_how_the_stitch_was_made():
    number = Number(0.5, reason="a remark").beside(rank=3, condition=7.5, auroc=0.75)
    made = Result("ood_knn", number, SUBJECT, Making(method="tlm", seed=3, final_loss=0.25))
    assert whole(made.columns()) == whole(result(
        index="ood_knn", reason="a remark", rank=3, condition=7.5, auroc=0.75, method="tlm", seed=3, final_loss=0.25,
        key="f00d", source_depth=2,
    ))  # fmt: skip
    missing = Result("cka", Number.missing("constant", "no variance"), SUBJECT)
    assert whole(missing.columns()) == whole(
        result(value=None, status="constant", reason="no variance", key="f00d", source_depth=2)
    )


def test_whatever_may_stand_beside_a_number_has_a_column():
    for name in EXTRAS:
        assert Result("cka", Number(0.5).beside(**{name: 1}), SUBJECT).columns()[name] == 1
        assert name in SCHEMA.names
