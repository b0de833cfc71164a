"""The command line as a user calls it: tables, JSON, exit codes, one-line errors."""

import contextlib
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from grokode import console
from grokode.cli import main
from grokode.nets import TrainingConfig, open_run
from grokode.nets import train as nets_train
from grokode.nets.networks import NETWORKS
from grokode.nets.training.presets import PRESETS
from tests.checkpoints import write_checkpoints


@pytest.fixture(scope="module")
def grokode():
    """Call the command line in this process as a user would; returns (stdout, stderr)."""

    def call(*arguments, expect=0):
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr(sys, "argv", ["grokode", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        assert (ended.value.code or 0) == expect, out.getvalue() + err.getvalue()
        return out.getvalue(), err.getvalue()

    return call


@pytest.fixture(scope="module")
def refused(grokode):
    """The command fails with exit code 2 and exactly one line that says why."""

    def call(*arguments, match):
        out, err = grokode(*arguments, expect=2)
        assert out == ""
        lines = err.strip().splitlines()
        assert len(lines) == 1, err
        assert lines[0].startswith("error: ")
        assert match in lines[0]

    return call


TINY = ["--p", 5, "--neurons", 6, "--steps", 40, "--checkpoint-every", 20, "--log-every", 10]


@pytest.fixture(scope="module")
def run(grokode, tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "run"
    grokode("train", *TINY, "--out", path)
    return path


def test_train_reports_what_it_did(grokode, tmp_path):
    out, _ = grokode("train", *TINY, "--out", tmp_path / "run", "--json")
    summary = json.loads(out)
    assert summary["steps"] == 40
    assert summary["loss"] == pytest.approx(np.log(5), rel=0.05)
    assert set(summary) >= {"seconds", "ms_per_step", "train_accuracy", "test_accuracy"}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("grokode tra", "train\ntrajectories"),
        ("grokode train --network transformer --wid", "--width"),
        ("grokode train --preset nanda", "\n".join(n for n in PRESETS if n.startswith("nanda"))),
        ("grokode train --optimizer s", "sgd"),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete_commands_flags_and_names(grokode, monkeypatch, typed, offered, shell):
    """As their scripts, from --show-completion, call it: the flags are those of the network."""
    monkeypatch.setenv("_GROKODE_COMPLETE", f"complete_{shell}")
    if shell == "bash":
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
        assert grokode()[0].strip() == offered
    else:
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
        answer = grokode()[0]
        assert all(f'"{name}"' in answer for name in offered.split())


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_trains_by_its_name_alone(grokode, refused, tmp_path, network):
    """On its own task, on all examples; a task it cannot answer is named, not a setting of it."""
    flags = ["train", "--network", network, "--steps", 1, "--out", tmp_path / "run"]
    assert json.loads(grokode(*flags, "--json")[0])["steps"] == 1
    other = "modular" if network == "recurrent" else "parity"
    flags[-1] = tmp_path / "other"
    refused(*flags, "--data", other, match=f"network {network}")


def test_winners_keeps_its_contract(grokode, run):
    answer = json.loads(grokode("winners", run, "--json")[0])
    assert (answer["p"], answer["neurons"], answer["chance"]) == (5, 6, 0.5)
    for name in ("misalignment", "blowup_time"):
        assert 0 <= answer["rules"][name]["accuracy"] <= 1
    assert "blowup_time" in grokode("winners", run)[0]


def test_logits_keeps_its_contract(grokode, run, tmp_path):
    answer = json.loads(grokode("logits", run, "--json", "--figure", tmp_path / "f.png")[0])
    assert answer["proposition_1"]["r2"] <= 1
    assert {"accuracy", "step", "fits", "peaks", "margins"} <= set(answer)
    covariances = 2 * sum(answer["budget"]["covariance"].values())
    assert sum(answer["budget"]["share"].values()) + covariances == pytest.approx(1, abs=1e-10)
    assert (tmp_path / "f.png").stat().st_size > 0
    assert json.loads(grokode("logits", run, "--step", 0, "--json")[0])["step"] == 0


def test_trajectories_part_where_their_errors_say(grokode, refused, run, tmp_path):
    answer = json.loads(grokode("trajectories", run, "--json")[0])
    assert answer["rule"] == "ticket_flow"
    for tolerance, step in answer["partings"].items():
        off = [row["step"] for row in answer["steps"] if row["beta_error"] > float(tolerance)]
        assert step == (off[0] if off else None)
    figure = tmp_path / "t.png"
    grokode("trajectories", run, "--neuron", 1, "--quantity", "psi", "--figure", figure)
    assert figure.exists()
    refused("trajectories", run, "--neuron", 99, match="neuron must be in 0..5, got 99")
    refused("trajectories", run, "--rule", "misalignment", match="it ranks tickets only")
    refused("logits", run, "--step", 10**30, match="has no checkpoint in")


def test_contour_draws(grokode, tmp_path):
    answer = json.loads(grokode("contour", "--size", 20, "--out", tmp_path / "c.png", "--json")[0])
    assert 0 < answer["shortest_blowup_time"] < answer["longest_blowup_time"]
    assert (tmp_path / "c.png").exists()


def test_import_keeps_its_contract(grokode, tmp_path):
    source = write_checkpoints(tmp_path / "p_5_dmlp_6_Quad_random_scale_0.1_decay_0")
    answer = json.loads(grokode("import", source, "--out", tmp_path / "run", "--json")[0])
    assert answer == {
        "p": 5,
        "neurons": 6,
        "activation": "quadratic",
        "optimizer": "sgd",
        "steps": [1, 11],
    }


def test_import_takes_your_own_checkpoint(grokode, refused, tmp_path):
    rng = np.random.default_rng(0)
    layers = {"in.weight": torch.tensor(rng.normal(size=(8, 5)))}
    layers |= {"out.weight": torch.tensor(rng.normal(size=(5, 8)))}
    torch.save(layers, tmp_path / "mine.pt")
    np.save(tmp_path / "pairs.npy", [[0, 1], [2, 3]])
    named = ["--activation", "Quad", "--input-weights", "in.weight"]
    flags = [tmp_path / "mine.pt", "--out", tmp_path / "run", *named]
    refused("import", *flags[:5], match="can be read in 2 ways")
    refused("import", *flags, "--reader", "x", match="reader must be one of")
    refused("import", *flags, "--train-pairs", tmp_path / "no.npy", match="missing")
    assert not (tmp_path / "run").exists()
    split = ["--train-pairs", tmp_path / "pairs.npy", "--set", "lr=0.5", "--task", "subtraction"]
    grokode("import", *flags, *split)
    run = open_run(tmp_path / "run")
    assert (run.config.learning_rate, run.config.task) == (0.5, "subtraction")
    assert run.train_pairs.tolist() == [[0, 1], [2, 3]]
    unknown = tmp_path / "unknown"
    grokode("import", tmp_path / "mine.pt", "--out", unknown, *named)
    refused("winners", unknown, match="does not say which pairs it was trained on")


def test_every_command_has_help(grokode):
    out, _ = grokode("--help")
    for command in (
        "demo",
        "train",
        "sweep",
        "import",
        "info",
        "export",
        "winners",
        "trajectories",
        "logits",
        "mechanism",
        "grokking",
        "scores",
        "report",
        "contour",
        "prove",
        "bench",
    ):
        assert command in out
        assert "--json" in grokode(command, "--help")[0]


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (["--p", 6], "p must be odd"),
        (["--p", 1], "at least 3"),
        (["--neurons", 0], "neurons"),
        (["--lr", "-1"], "learning_rate"),
        (["--lr", "nan"], "learning_rate"),
        (["--fraction", 1.5], "train_fraction"),
        (["--device", "tpu"], "device"),
        (["--steps", "-5"], "steps"),
        (["--seeds", 10**30], "--seeds must be 1 to 65536"),
        (["--seed", 2**32], "seed must be at most"),
    ],
)
def test_bad_numbers_are_named(refused, tmp_path, flags, match):
    refused("train", *flags, "--out", tmp_path / "run", match=match)
    assert not (tmp_path / "run").exists()


def test_existing_output_is_never_overwritten(refused, run, tmp_path):
    before = sorted((p, p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file())
    refused("train", *TINY, "--out", run, match=str(run))
    source = write_checkpoints(tmp_path / "p_5_dmlp_6_Quad_random_scale_0.1_decay_0")
    refused("import", source, "--out", run, match=str(run))
    refused("demo", "--out", run, match=str(run))
    after = sorted((p, p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file())
    assert after == before


def test_what_is_no_run_is_named(refused, tmp_path):
    refused("winners", tmp_path / "nowhere", match="nowhere")
    (tmp_path / "empty").mkdir()
    refused("logits", tmp_path / "empty", match="empty")
    refused("import", tmp_path / "empty", "--out", tmp_path / "run", match="empty")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_no_command_waits_for_a_pipe_in_the_place_of_a_file(refused, tmp_path):
    pipe, out = tmp_path / "pipe.pth", tmp_path / "out"
    os.mkfifo(pipe)
    for line in (["info"], ["replay"], ["sweep", "--out", out], ["import", "--out", out]):
        refused(line[0], pipe, *line[1:], match=str(pipe))


def test_damaged_checkpoints_are_refused(refused, tmp_path):
    name = "p_{}_dmlp_6_Quad_random_scale_0.1_decay_0"
    nan = write_checkpoints(tmp_path / name.format(5), theta=np.full((6, 5), np.nan))
    refused("import", nan, "--out", tmp_path / "run", match="NaN")
    even = write_checkpoints(tmp_path / name.format(6), p=6)
    refused("import", even, "--out", tmp_path / "run", match="odd")
    shape = write_checkpoints(tmp_path / name.format(7), p=7, theta=np.ones((6, 5)))
    refused("import", shape, "--out", tmp_path / "run", match="shape")
    assert not (tmp_path / "run").exists()


def test_code_in_a_checkpoint_is_not_run(refused, tmp_path):
    class Payload:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    source = write_checkpoints(tmp_path / "p_5_dmlp_6_Quad_random_scale_0.1_decay_0")
    torch.save({"model": Payload()}, source / "0.pth")
    refused("import", source, "--out", tmp_path / "run", match="0.pth")
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "run").exists()


def test_divergence_names_the_step_and_keeps_the_run(grokode, refused, tmp_path):
    flags = [*TINY, "--lr", 1e6, "--scale", 1, "--checkpoint-every", 1, "--out", tmp_path / "run"]
    refused("train", *flags, match="step")
    assert "blowup_time" in grokode("winners", tmp_path / "run")[0]


def test_the_installed_command_answers():
    done = subprocess.run(
        [sys.executable, "-m", "grokode", "winners", "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == ("error: nowhere is no directory; give a run made by train or import\n")


def test_usage_errors_are_one_line_too(refused, tmp_path):
    refused("nonsense", match="No such command 'nonsense'; see grokode --help")
    refused("winners", match="Missing argument 'run'; see grokode winners --help")
    refused("train", "--p", "abc", "--out", tmp_path / "run", match="--p")


def test_ctrl_c_keeps_what_is_finished(grokode, tmp_path, request):
    """Interrupted in the middle, the run opens and --resume finishes it."""
    run = tmp_path / "run"
    flags = [*TINY[:4], "--steps", 200_000, "--checkpoint-every", 10, "--out", run]
    child = subprocess.Popen(
        [sys.executable, "-m", "grokode", "train", *map(str, flags)],
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    request.addfinalizer(child.kill)
    until = time.monotonic() + 600
    while not (run / "run.json").exists() or open_run(run).weights.sizes["step"] < 3:
        assert time.monotonic() < until
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=600)
    assert child.returncode == 130
    assert err == (
        "error: interrupted; finished checkpoints are kept, the same with --resume goes on from "
        "them\n"
    )
    done = int(open_run(run).weights.step[-1])
    flags[5] = done + 10
    answer = json.loads(grokode("train", *flags, "--resume", "--json")[0])
    assert answer["steps"] == done + 10


def test_winners_scores_the_predictors_it_is_asked_for(grokode, refused, run):
    answer = json.loads(grokode("winners", run, "--rule", "moment_flow", "--json")[0])
    assert list(answer["rules"]) == ["moment_flow"]
    refused("winners", run, "--rule", "astrology", match="predictor must be one of misalignment")


def test_presets_seeds_and_settings(grokode, refused, tmp_path):
    flags = ["--preset", "he2026/grokking", "--p", 5, "--seeds", 2, "--seed", 3, "--steps", 4]
    flags += ["--set", "neurons=7", "--set", "lr=1e-3", "--set", "betas=0.9,0.99"]
    flags += ["--checkpoint-every", "log", "--log-every", 2]
    answer = json.loads(grokode("train", *flags, "--out", tmp_path / "run", "--json")[0])
    assert answer["seeds"] == [3, 4]
    run = open_run(tmp_path / "run")
    assert (run.config.neurons, run.config.learning_rate, run.config.weight_decay) == (7, 1e-3, 2.0)
    assert run.config.betas == (0.9, 0.99)
    assert run.weights.step.values.tolist() == [0, 1, 2, 3, 4]
    assert run.metrics.step.values.tolist() == [0, 2, 4]
    refused("winners", tmp_path / "run", match="choose one with --seed")
    refused("winners", tmp_path / "run", "--seed", 5, match="seed must be one of [3, 4]")
    assert "blowup_time" in grokode("winners", tmp_path / "run", "--seed", 4)[0]
    # A run knows its configuration and seeds; only what is new needs saying.
    resumed = grokode("train", "--resume", "--steps", 6, "--out", tmp_path / "run", "--json")[0]
    assert json.loads(resumed)["steps"] == 6
    for flags, match in (
        (["--set", "colour=red"], "unknown setting 'colour'"),
        (["--set", "steps=many"], "steps must be int"),
        (["--preset", "he2025/standard"], "preset must be one of he2026/standard"),
        (["--log-every", "often"], "log_every must be"),
        (["--activation", "tanh"], "activation must be one of quadratic"),
        (["--task", "division"], "task must be one of addition"),
        (["--set", "betas=1"], "betas must be tuple"),
    ):
        refused("train", *flags, "--out", tmp_path / "other", match=match)
    assert not (tmp_path / "other").exists()


def test_info_says_what_a_run_is(grokode, run):
    about = json.loads(grokode("info", run, "--json")[0])
    assert about["neurons"] == 6
    assert (about["device"], about["trained on"]) == ("auto", "cpu")
    out, _ = grokode("info", run)
    assert "learning_rate" in out
    assert "<table>" in open_run(run)._repr_html_()


def test_exported_weights_are_those_of_the_run(grokode, refused, run, tmp_path):
    weights = open_run(run).weights.sel(step=20)
    grokode("export", run, "--step", 20, "--out", tmp_path / "w.npz")
    stored = np.load(tmp_path / "w.npz")
    np.testing.assert_array_equal(stored["theta"], weights.theta)
    np.testing.assert_array_equal(stored["xi"], weights.xi)
    grokode("export", run, "--step", 20, "--out", tmp_path / "w.pth")
    model = torch.load(tmp_path / "w.pth", weights_only=True)["model"]
    np.testing.assert_array_equal(model["mlp.W_in"], weights.theta)
    np.testing.assert_array_equal(model["mlp.W_out"].T, weights.xi)
    assert model["mlp.basis"].shape == (5, 5)
    refused("export", run, "--out", tmp_path / "w.pth", match="not overwritten")
    refused("export", run, "--out", tmp_path / "w.txt", match="must end in .npz or .pth")
    refused("export", run, "--step", 7, "--out", tmp_path / "v.npz", match="step must be one of")


def test_prove_keeps_its_contract(grokode, refused):
    names = ["misalignment_rate", "misalignment_rate_published"]
    answer = json.loads(grokode("prove", *names, "--json")[0])["identities"]
    assert [(row["holds"], row["expected"]) for row in answer] == [(True, True), (False, False)]
    assert {"name", "source", "holds", "expected", "seconds"} <= set(answer[0])
    out, err = grokode("prove", *names)
    assert "fails" in out
    assert "left - right" in err
    refused("prove", "riemann", match="riemann")


def test_prove_fails_on_an_unexpected_verdict(grokode, monkeypatch):
    from grokode.theory.identities import IDENTITIES, catalogue

    wrong = dataclasses.replace(IDENTITIES[0], expected=False)
    monkeypatch.setattr(catalogue, "IDENTITIES", (wrong,))
    grokode("prove", wrong.name, expect=1)


def test_scores_keeps_its_contract(grokode, refused, run, tmp_path):
    answer = json.loads(grokode("scores", run, "--json", "--figure", tmp_path / "s.png")[0])
    assert set(answer) >= {
        "t_grok",
        "checkpoints",
        "pearson",
        "spearman",
        "post_saturation",
        "transition",
        "permutation",
        "decoded_vs_raw",
        "regression",
    }
    # Trained on all pairs, it has no test accuracy to go along with, and says so.
    assert answer["pearson"]["ell_neuron"] == "the run has no test pairs"
    assert (tmp_path / "s.png").exists()
    refused("scores", run, "--score", "luck", match="score must be one of ell_neuron")
    flags = [*TINY, "--seeds", 2, "--fraction", 0.8, "--checkpoint-every", 2, "--log-every", 2]
    grokode("train", *flags, "--out", tmp_path / "two")
    pooled = json.loads(grokode("scores", tmp_path / "two", "--json")[0])
    assert pooled["runs"] == 2
    assert set(pooled["pearson"]["weight_norm"]) >= {"mean", "runs", "left_out"}
    assert "ell_neuron" in grokode("scores", tmp_path / "two")[0]


@pytest.mark.parametrize("columns", ["40", "80"])
def test_nothing_is_cut_on_a_narrow_terminal(grokode, run, monkeypatch, columns):
    """Words of tables and of help stay whole, by which names can be copied."""
    monkeypatch.setenv("COLUMNS", columns)
    # The console of this process was made before, with what the variable said then.
    monkeypatch.setattr(console, "_out", console._Console(markup=False, emoji=False))
    winners, help_ = grokode("winners", run)[0], grokode("train", "--help")[0]
    for word in ("largest_magnitude", "predicted", "contested", "moment_flow"):
        assert word in winners
    for word in ("--checkpoint-every", "--separate-inputs", "he2026/standard", "single_frequency"):
        assert word in help_
    assert "\N{HORIZONTAL ELLIPSIS}" not in winners + help_ + grokode("--help")[0]
    assert max(map(len, winners.splitlines())) <= int(columns)
    assert "grokode[bench]" in grokode("bench", "--help")[0]


def test_a_reader_who_leaves_is_no_error(run):
    """As in a pipe to head; exit code 1 would say that something does not hold."""
    for flags in (["--json"], []):
        child = subprocess.Popen(
            [sys.executable, "-m", "grokode", "info", run, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        child.stdout.close()
        assert child.stderr.read() == ""
        child.stderr.close()
        assert child.wait() == 141


def test_files_that_cannot_be_written_are_refused_before_the_work(refused, run, tmp_path):
    nowhere = tmp_path / "nowhere"
    for command in (
        ["contour", "--out", nowhere / "c.png"],
        ["report", run, "--out", nowhere / "r.html"],
        ["export", run, "--out", nowhere / "w.npz"],
        ["winners", run, "--figure", nowhere / "f.png"],
    ):
        refused(*command, match="nowhere is no folder")
    refused("contour", "--out", tmp_path / "c", match="must end in .png")
    refused("report", run, "--out", tmp_path / "r.txt", match="must end in .html")
    refused("contour", "--size", 1, "--out", tmp_path / "c.png", match="size must be at least 2")
    refused("train", "--p", 99_999_999, "--out", tmp_path / "run", match="out of memory")
    assert not any(tmp_path.iterdir())


def test_an_interrupted_demo_goes_on(grokode, refused, tmp_path):
    out = tmp_path / "demo"
    config = {"p": 5, "neurons": 6, "steps": 30_000, "stop_loss": 0.05}
    nets_train(TrainingConfig(**config), out / "run", time_limit=0)
    begun = open_run(out / "run").weights.sizes["step"]
    command = ["demo", "--p", 5, "--neurons", 6, "--out", out]
    refused(*command[:2], 7, *command[3:], match="p is 5")
    # Whether theory holds on six neurons is beside the point.
    try:
        told = "".join(grokode(*command))
    except AssertionError as failed:
        told = str(failed)
    assert open_run(out / "run").weights.sizes["step"] > begun, told
    assert (out / "report.html").exists(), told
    ending = "report.html: open it in a browser; next: grokode explore"
    assert ending in " ".join(told.split())
    refused(*command, match="not overwritten")


def test_logits_of_what_proposition_1_is_not_about(grokode, refused, tmp_path):
    grokode("train", *TINY, "--task", "multiplication", "--out", tmp_path / "run")
    refused("logits", tmp_path / "run", match="has task multiplication")
