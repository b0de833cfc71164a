"""`grokode sweep` as a user calls it: trained, told, gathered, drawn, refused."""

import json

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from grokode import compare, nets
from grokode.cli import main
from grokode.compare.sweeps import numbers_of
from grokode.nets.sweeps.engine import run_of

FILE = """
seeds = 2
[base]
p = 5
neurons = 6
steps = 40
checkpoint_every = 20
log_every = 20
train_fraction = 0.8
[axes]
scale = [0.3, 0.6]
learning_rate = [0.1, 1e9]
"""


@pytest.fixture
def call(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["grokode", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


def test_a_sweep_from_file_to_table_and_figure(call, tmp_path):
    (tmp_path / "s.toml").write_text(FILE)
    flags = [tmp_path / "s.toml", "--out", tmp_path / "s", "--workers", 1]
    code, out, _ = call("sweep", *flags, "--json")
    told = json.loads(out)
    # One of the two rates diverges, which is named and costs the other nothing.
    assert (code, told["points"], told["done"]) == (1, 4, 2)
    assert [failed["point"] for failed in told["failed"]] == [1, 3]
    assert "stopped being finite" in told["failed"][0]["reason"]
    flags += ["--collect", "mechanism,logits", "--show", "train_loss"]
    more = ["--table", tmp_path / "t.nc", "--figure", tmp_path / "f.png"]
    code, out, _ = call("sweep", *flags, *more)
    assert (code, "why it failed" in out) == (1, True)
    table = xr.load_dataset(tmp_path / "t.nc", engine="scipy")
    run = nets.open_run(run_of(tmp_path / "s", 2), 1)
    at = table.sel(scale=0.6, learning_rate=0.1, seed=1)
    assert float(at.train_loss) == float(run.metrics.train_loss[-1])
    question = compare.QUESTIONS["logits"]
    asked = question.plain(question.measure(run))
    assert float(at["logits/r2"]) == pytest.approx(asked["r2"])
    assert matplotlib.image.imread(tmp_path / "f.png").std() > 0.01
    call("sweep", *flags, "--table", tmp_path / "t.csv")
    rows = pd.read_csv(tmp_path / "t.csv")
    assert len(rows) == 8
    assert np.isclose(rows.train_loss[rows.learning_rate == 0.1].min(), table.train_loss.min())


def test_what_cannot_be_is_one_line_before_any_training(call, tmp_path):
    (tmp_path / "s.toml").write_text(FILE)
    (tmp_path / "bad.toml").write_text(FILE.replace("scale =", "sclae ="))
    (tmp_path / "there.csv").write_text("mine")
    out = ["--out", tmp_path / "s"]
    for arguments, match in (
        ([tmp_path / "none.toml", *out], "none.toml is missing"),
        ([tmp_path / "bad.toml", *out], "unknown setting 'sclae'; did you mean scale?"),
        ([tmp_path / "s.toml", *out, "--table", tmp_path / "there.csv"], "there.csv exists"),
        ([tmp_path / "s.toml", *out, "--figure", tmp_path / "f.txt"], "must end in .png"),
        ([tmp_path / "s.toml", *out, "--collect", "luck"], "collect must be one of"),
    ):
        code, said, err = call("sweep", *arguments)
        assert (code, said) == (2, "")
        assert err.count("\n") == 1
        assert match in err
    assert not (tmp_path / "s").exists()


def test_a_question_that_refuses_a_run_adds_nothing(tmp_path):
    config = nets.TrainingConfig(p=5, neurons=6, steps=4, checkpoint_every=2, log_every=2)
    run = nets.train(config, tmp_path / "run")
    numbers = numbers_of(["grokking", "mechanism"])(run)
    assert not any(name.startswith("grokking/") for name in numbers)
    assert any(name.startswith("mechanism/") for name in numbers)
