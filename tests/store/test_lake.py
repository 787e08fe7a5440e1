"""Files in the lake are whole, vouched for, and equal where their rows are equal."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from store import lake
from store.lake import Lake

ROWS = pa.table({"customer_id": [f"C{n}" for n in range(1000)], "gb": [n / 7 for n in range(1000)]})


def test_every_file_has_one_place() -> None:
    root = Path("lake")
    digest = "0123456789abcdef" * 4
    night, moment = date(2026, 1, 31), datetime.fromisoformat("2026-02-01T13:45:09")
    assert Lake(root).snapshot("telco", night, moment, digest) == Path(
        "lake/snapshots/telco/as_of=2026-01-31/20260201T134509-0123456789abcdef"
    )
    assert Lake(root).run("telco", "scores", night, "r1") == Path("lake/runs/telco/scores/as_of=2026-01-31/r1")


def test_equal_rows_give_equal_bytes_however_they_are_chunked(tmp_path: Path) -> None:
    chunked = pa.concat_tables([ROWS[:1], ROWS[1:500], ROWS[500:]]).replace_schema_metadata({"made": "elsewhere"})
    lake.write_parquet(ROWS, tmp_path / "a.parquet")
    lake.write_parquet(chunked, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_equal_rows_give_equal_bytes_however_their_words_are_coded(tmp_path: Path) -> None:
    some, all_words = pa.array(["low", "high"]), pa.array(["high", "low", "medium", "high"])
    for words, codes in ((some, [0, 1, None, 1]), (all_words, [1, 3, None, 0])):
        coded = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), words)
        path = tmp_path / f"{len(words)}.parquet"
        lake.write_parquet(pa.table({"band": coded}), path)
        assert lake.read_parquet([path])["band"].to_pylist() == ["low", "high", None, "high"]
    assert (tmp_path / "2.parquet").read_bytes() == (tmp_path / "4.parquet").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    lake.write_parquet(ROWS, path)
    before = path.read_bytes()
    unwritable = pa.table({"oddity": pa.nulls(1, pa.month_day_nano_interval())})
    with pytest.raises(pa.ArrowNotImplementedError):
        lake.write_parquet(unwritable, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_copy_is_whole_or_not_there(tmp_path: Path) -> None:
    original, copy = tmp_path / "a.parquet", tmp_path / "b.parquet"
    lake.write_parquet(ROWS, original)
    lake.copy_file(original, copy)
    assert copy.read_bytes() == original.read_bytes()
    assert lake.rows_of(copy) == 1000
    with pytest.raises(FileNotFoundError):
        lake.copy_file(tmp_path / "lost.parquet", copy)
    assert sorted(tmp_path.iterdir()) == [original, copy]
    assert lake.rows_of(copy) == 1000


def test_a_manifest_names_each_file_that_is_missing_or_changed(tmp_path: Path) -> None:
    for name in ("kept", "changed", "lost"):
        lake.write_parquet(ROWS, tmp_path / "usage" / f"{name}.parquet")
    lake.write_manifest(lake.describe(tmp_path, {"newest": "2026-01-01"}), tmp_path)
    manifest = lake.read_manifest(tmp_path)
    assert (manifest.rows, manifest.rows_in("usage"), manifest.rows_in("other")) == (3000, 3000, 0)
    assert lake.differences(manifest, tmp_path) == []
    (tmp_path / "usage/lost.parquet").unlink()
    with (tmp_path / "usage/changed.parquet").open("r+b") as file:
        file.seek(100)
        file.write(b"\x00\x01")
    assert lake.differences(manifest, tmp_path) == ["usage/changed.parquet", "usage/lost.parquet"]


def test_the_content_digest_leaves_the_facts_out(tmp_path: Path) -> None:
    lake.write_parquet(ROWS, tmp_path / "a.parquet")
    assert lake.describe(tmp_path, {"by": 1}).digest == lake.describe(tmp_path, {"by": 2}).digest


def test_a_staged_folder_settles_once_and_an_equal_one_later_changes_nothing(tmp_path: Path) -> None:
    house = Lake(tmp_path)
    for _ in range(2):
        with lake.staging_folder(house, "extract") as staged:
            lake.write_parquet(ROWS, staged / "a.parquet")
            lake.write_manifest(lake.describe(staged, {}), staged)
            place = lake.settle(staged, house.extract("telco", "d" * 64))
    assert lake.differences(lake.read_manifest(place), place) == []
    assert list(house.staging.iterdir()) == []


def test_a_folder_never_takes_the_place_of_a_different_one(tmp_path: Path) -> None:
    house = Lake(tmp_path)
    with lake.staging_folder(house, "extract") as staged:
        lake.write_manifest(lake.describe(staged, {}), staged)
        place = lake.settle(staged, house.extract("telco", "d" * 64))
    with lake.staging_folder(house, "extract") as staged:
        lake.write_parquet(ROWS, staged / "a.parquet")
        lake.write_manifest(lake.describe(staged, {}), staged)
        with pytest.raises(OSError, match="not empty"):
            lake.settle(staged, place)
    assert [path.name for path in place.iterdir()] == [lake.MANIFEST]


def test_a_staged_folder_that_never_settles_is_gone(tmp_path: Path) -> None:
    with lake.staging_folder(Lake(tmp_path), "extract") as staged:
        lake.write_parquet(ROWS, staged / "a.parquet")
    assert list(Lake(tmp_path).staging.iterdir()) == []


def test_duck_asks_parquet_within_its_threads_and_fetches_no_extension(tmp_path: Path) -> None:
    lake.write_parquet(ROWS, tmp_path / "a.parquet")
    with lake.duck(threads=1, memory_limit="200MB", spill=tmp_path / "spill") as connection:
        rows = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(tmp_path / "a.parquet")]).fetchone()
        assert rows == (1000,)
        assert connection.execute("SELECT current_setting('threads')").fetchone() == (1,)
        with pytest.raises(duckdb.Error, match="spatial"):
            connection.execute("SELECT ST_Point(1, 2)")
    assert list((tmp_path / "spill").iterdir()) == []


def test_a_column_is_fixed_only_where_no_row_of_any_file_differs(tmp_path: Path) -> None:
    nan = float("nan")
    first = {
        "same": ["a", "a"],
        "day": [date(2026, 1, 1)] * 2,
        "varies": [1, 2],
        "some": ["x", None],
        "gap": [0.5, nan],
    }
    second = {**first, "varies": [2, 2], "elsewhere": [3, 3]}
    lake.write_parquet(pa.table({**first, "elsewhere": [4, 4]}), tmp_path / "a.parquet")
    lake.write_parquet(pa.table(second), tmp_path / "b.parquet")
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    assert lake.fixed_columns(files) == {"same": "a", "day": date(2026, 1, 1)}
    assert lake.fixed_columns([]) == {}
