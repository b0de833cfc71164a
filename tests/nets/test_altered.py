"""Every file of a run altered, swapped or replaced: refused, or without effect."""

import dataclasses
import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grokode import nets
from grokode.nets.runs.manifest import START, chained, digest_of
from tests.nets.made import SMALL, files_of


def harms(file):
    """What can befall a file of bytes."""
    content = file.read_bytes()
    yield "gone", None
    yield "empty", b""
    yield "cut", content[:-1]
    yield "longer", content + b"\0"
    for at in range(0, len(content), max(1, len(content) // 5)):
        yield f"bit at {at}", content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :]


def edits(file):
    """What metadata can be made to say without a word of protest from a reader of Zarr."""
    document = json.loads(file.read_bytes())
    changes = {
        "dtype": {"data_type": "int32"},
        "shape": {"shape": document.get("shape", [0])[::-1]},
        "shorter": {"shape": [0, *document.get("shape", [0])[1:]]},
        "add_offset": {"attributes": {"add_offset": 1.0}},
        "scale_factor": {"attributes": {"scale_factor": 2}},
        "time": {"attributes": {"units": "days since 2000-01-01"}},
        "missing": {"attributes": {"_FillValue": 0}},
        "fill": {"fill_value": 1},
        "keys": {"chunk_key_encoding": {"name": "v2", "configuration": {"separator": "/"}}},
        "names": {"dimension_names": document.get("dimension_names", ["a"])[::-1]},
        "endian": {"codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]},
        "transpose": {
            "codecs": [
                {"name": "transpose", "configuration": {"order": [1, 0]}},
                *document.get("codecs", []),
            ]
        },
        "new": {"extra": True},
    }
    for name, change in changes.items():
        if document | change != document:
            yield name, json.dumps(document | change).encode()


def snapshot(path):
    """Everything that a run gives, or the error that it gives instead."""
    run = nets.open_run(path)
    run.check_files()
    arrays = [*run.weights.load().values(), *run.metrics.values(), run.correct]
    arrays = [*(np.asarray(array) for array in arrays), run.train_pairs, run.test_pairs]
    return [*arrays, str(run.describe()), str(run.ended)]


def refused_or_without_effect(path, file, content, expected_values):
    """Alter a file and put it back; True if the alteration was refused."""
    before = file.read_bytes()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    refusal, read_back = "", []
    try:
        read_back = snapshot(path)
    except (ValueError, UserWarning) as error:
        refusal = str(error)
    finally:
        file.write_bytes(before)
    assert "\n" not in refusal
    if refusal:
        return True
    for one, other in zip(read_back, expected_values, strict=True):
        np.testing.assert_array_equal(one, other)
    return False


@pytest.fixture(scope="module")
def altered(tmp_path_factory):
    path = tmp_path_factory.mktemp("altered") / "run"
    config = dataclasses.replace(SMALL, log_grid=True, train_fraction=0.6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grokode.nets.runs.layout._METRICS_BYTES", 48)
        patch.setattr("grokode.nets.runs.layout._GRID_BYTES", 150)
        nets.train(config, path, seeds=[3, 1])
        yield path, snapshot(path)


def test_every_file_altered_is_refused_or_without_effect(altered):
    path, whole = altered
    harmless = set()
    for file in files_of(path):
        for name, content in harms(file):
            if not refused_or_without_effect(path, file, content, whole):
                harmless.add((file.name.partition("-")[0], name.partition(" ")[0]))
    kinds = {kind for kind, _ in harmless}
    # States are read by a resume alone; the rest: what only other readers of Zarr look at.
    assert kinds <= {"state", "tail", "c.1.0", "c.1.0.0.0", "journal.jsonl"}, harmless


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_in_a_files_place_is_not_waited_for(altered):
    """As an archive from a stranger may hold; one of every kind of file."""
    path, whole = altered
    kinds = {(file.parent.name, file.name.partition("-")[0]): file for file in files_of(path)}
    for file in kinds.values():
        aside = file.with_name("aside")
        file.rename(aside)
        os.mkfifo(file)
        refusal, read_back = "", whole
        try:
            read_back = snapshot(path)
        except (ValueError, UserWarning) as error:
            refusal = str(error)
        finally:
            aside.replace(file)
        assert "\n" not in refusal
        for one, other in zip(read_back, whole, strict=True):
            np.testing.assert_array_equal(one, other)


def test_metadata_edited_is_refused(altered):
    path, whole = altered
    for file in path.rglob("zarr.json"):
        for name, content in edits(file):
            assert refused_or_without_effect(path, file, content, whole), f"{name} of {file}"


def swaps(path):
    """Pairs of files of the same size that mean different things."""
    arrays = path / "arrays.zarr"
    for name in ("theta", "xi"):
        yield arrays / f"weights/{name}/c.0.0.0.0", arrays / f"weights/{name}/c.1.0.0.0"
    yield arrays / "weights/theta/c.1.0.0.0", arrays / "weights/xi/c.1.0.0.0"
    yield arrays / "weights/theta/zarr.json", arrays / "weights/xi/zarr.json"
    yield arrays / "metrics/train_loss/c.0.0", arrays / "metrics/test_loss/c.0.0"
    yield arrays / "metrics/train_loss/zarr.json", arrays / "metrics/test_loss/zarr.json"
    yield arrays / "data/train/c.0.0", arrays / "data/test/c.0.0"
    yield arrays / "data/train", arrays / "data/test"
    yield arrays / "data/inputs", arrays / "data/answers"


def test_swapped_files_are_refused(altered):
    path, _ = altered
    for one, other in swaps(path):
        aside = path / "aside"

        def swap(one=one, other=other, aside=aside):
            one.rename(aside)
            other.rename(one)
            aside.rename(other)

        swap()
        try:
            with pytest.raises(ValueError, match="damaged"):
                snapshot(path)
        finally:
            swap()


def test_swapped_seeds_are_refused(altered):
    path, _ = altered
    for name in ("weights/theta/c.1.0.0.0", "data/answers/c.0.0", "data/train/c.0.0"):
        file = path / "arrays.zarr" / name
        before = file.read_bytes()
        half = len(before) // 2
        if before[:half] == before[half:]:
            continue  # the answers are the same for every seed
        file.write_bytes(before[half:] + before[:half])
        with pytest.raises(ValueError, match="was altered"):
            snapshot(path)
        file.write_bytes(before)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=5)
    | st.just("../victim/x.pth"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(values, path=()):
    """Every place in nested values."""
    if path:
        yield path
    inner = values.items() if isinstance(values, dict) else enumerate(values)
    if isinstance(values, dict | list):
        for key, value in inner:
            if isinstance(value, dict | list):
                yield from places(value, (*path, key))
            else:
                yield (*path, key)


def put(values, path, value, remove):
    for key in path[:-1]:
        values = values[key]
    if remove:
        del values[path[-1]]
    else:
        values[path[-1]] = value


def check_altered_manifest(path, draw):
    """A part of run.json or of the journal is replaced or removed, and every digest made to fit."""
    header = json.loads((path / "run.json").read_bytes())
    lines = (path / "journal.jsonl").read_bytes().splitlines()
    records = [json.loads(line.partition(b" ")[2]) for line in lines]
    values = {"header": header, "records": records}
    at = draw(st.sampled_from([*places(values)][2:]))
    put(values, at, draw(JUNK), draw(st.booleans()))
    records = values.get("records", records)
    chain, journal = START, b""
    for record in records if isinstance(records, list) else [records]:
        body = json.dumps(record).encode()
        chain = chained(chain, body)
        journal += chain.encode() + b" " + body + b"\n"
    if isinstance(header.get("journal"), dict) and at[:2] != ("header", "journal"):
        header["journal"] = {"bytes": len(journal), "sha256": chain}
    header.pop("sha256", None)
    header["sha256"] = digest_of(header)
    before = {name: (path / name).read_bytes() for name in ("run.json", "journal.jsonl")}
    (path / "run.json").write_text(json.dumps(header))
    (path / "journal.jsonl").write_bytes(journal)
    refusal = ""
    try:
        snapshot(path)
    except (ValueError, UserWarning) as error:
        refusal = str(error)
    finally:
        for name, content in before.items():
            (path / name).write_bytes(content)
    assert "\n" not in refusal


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_any_manifest_is_read_or_refused_in_one_line(altered, data):
    check_altered_manifest(altered[0], data.draw)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("config", None),
        ("config", {"p": 2**31 + 1, "neurons": 2_000_000_000}),
        ("seeds", [10**30]),
        ("seeds", [*range(10**5)]),
        ("data", {"inputs": {"shape": [2**30, 2**30], "dtype": "int64", "sha256": []}}),
        ("journal", {"bytes": 2 * 10**9, "sha256": "0" * 64}),
        ("metrics", {"../../x": ""}),
        ("attrs", {"source": [1]}),
    ],
)
def test_absurd_manifests_are_refused_in_one_line(altered, part, value):
    path, _ = altered
    before = (path / "run.json").read_bytes()
    header = json.loads(before)
    header.pop("sha256")
    header[part] = value
    header["sha256"] = digest_of(header)
    (path / "run.json").write_text(json.dumps(header))
    try:
        with pytest.raises(ValueError, match=r"(damaged|cut short).*restore it"):
            nets.open_run(path)
    finally:
        (path / "run.json").write_bytes(before)
