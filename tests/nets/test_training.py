"""Training: gradients against autograd, steps against torch.optim, and what a kill leaves."""

import dataclasses
import os
import re
import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import xarray as xr

from grokode import nets
from grokode.nets import tasks
from grokode.nets.runs import RunWriter
from grokode.nets.runs.manifest import START, Header
from grokode.nets.training.config import TrainingConfig
from grokode.theory import fourier

SMALL = TrainingConfig(
    p=7, neurons=6, dtype="float64", steps=60, checkpoint_every=20, log_every=10, scale=0.5
)


def plain_loss(theta, xi, pairs, p, activation):
    """The network as written in the papers, over ordered pairs, for autograd."""
    x, y = torch.tensor(pairs).T
    hidden = {"quadratic": torch.square, "relu": torch.relu}[activation](theta[:, x] + theta[:, y])
    return torch.nn.functional.cross_entropy(hidden.T @ xi, (x + y) % p)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("sgd", {"learning_rate": 0.3, "momentum": 0.5, "weight_decay": 0.01}),
        ("adamw", {"learning_rate": 0.01, "weight_decay": 2.0}),
        ("adamw", {"learning_rate": 0.01, "weight_decay": 2.0, "warmup": 10}),
    ],
)
def test_training_is_that_of_a_plain_loop(tmp_path, optimizer, settings):
    config = dataclasses.replace(SMALL, optimizer=optimizer, train_fraction=0.7, **settings)
    run = nets.train(config, tmp_path / "run")
    first = run.weights.isel(step=0)
    weights = [torch.tensor(w.values, requires_grad=True) for w in (first.theta, first.xi)]
    if optimizer == "sgd":
        loop = torch.optim.SGD(weights, lr=0.3, momentum=0.5, weight_decay=0.01)
    else:
        loop = torch.optim.AdamW(weights, lr=0.01, betas=(0.9, 0.98), weight_decay=2.0)
    if config.warmup:
        scheduler = torch.optim.lr_scheduler.LambdaLR(loop, lambda s: min(s / config.warmup, 1))
    for step in range(config.steps):
        loop.zero_grad()
        loss = plain_loss(*weights, run.train_pairs, 7, "quadratic")
        if step % 10 == 0:
            logged = float(run.metrics.train_loss.sel(step=step))
            assert logged == pytest.approx(float(loss.detach()), rel=1e-9)
        loss.backward()
        loop.step()
        if config.warmup:
            scheduler.step()
    last = run.weights.isel(step=-1)
    assert int(last.step) == 60
    # Rounding, amplified over sixty steps.
    np.testing.assert_allclose(last.theta, weights[0].detach(), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(last.xi, weights[1].detach(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("draw", [nets.gaussian, nets.equal_magnitude, nets.single_frequency])
def test_a_network_starts_from_the_given_spectrum(tmp_path, draw):
    initial = draw(7, 6, 0.3, 5)
    run = nets.train(SMALL, tmp_path / "run", initial=initial)
    back = run.spectra().isel(step=0)
    np.testing.assert_allclose(back.theta_hat, initial.theta_hat, atol=1e-14)
    np.testing.assert_allclose(back.xi_hat, initial.xi_hat, atol=1e-14)


def test_initialisations_are_what_they_say():
    s = nets.gaussian(23, 4000, 0.1, seed=0)
    weights = fourier.weights(s)
    # Standard error of a standard deviation over 92,000 draws is 0.25%.
    assert float(weights.theta.std()) == pytest.approx(0.1 / np.sqrt(23), rel=0.01)
    equal = nets.equal_magnitude(9, 50, 0.02, seed=0)
    np.testing.assert_allclose(fourier.beta(equal), 0.02, rtol=1e-12)
    single = fourier.alpha(nets.single_frequency(9, 50, 0.02, seed=0))
    np.testing.assert_allclose(np.sort(single, axis=-1)[:, -1], 0.02, rtol=1e-12)
    assert float(np.sort(single, axis=-1)[:, :-1].max()) < 1e-15
    assert len(np.unique(single.argmax("frequency"))) == 4


def test_single_frequency_neurons_keep_their_frequency(tmp_path):
    """On all pairs the gradient of a quadratic neuron stays within its frequency at first order."""
    config = dataclasses.replace(SMALL, initial="single_frequency", scale=0.02)
    run = nets.train(config, tmp_path / "run")
    final = fourier.alpha(run.spectra().isel(step=-1))
    largest = np.sort(final, axis=-1)
    assert (largest[:, -2] < 1e-3 * largest[:, -1]).all()


def test_split_is_a_partition_and_seeded():
    train, test = nets.split_pairs(23, 0.75, seed=3)
    assert (len(train), len(test)) == (396, 133)
    together = {tuple(pair) for pair in np.concatenate([train, test])}
    assert len(together) == 529
    np.testing.assert_array_equal(nets.split_pairs(23, 0.75, seed=3)[0], train)
    assert (nets.split_pairs(23, 0.75, seed=4)[0] != train).any()


def test_same_seed_same_bits(tmp_path):
    runs = [nets.train(SMALL, tmp_path / name) for name in "ab"]
    a, b = (run.weights.theta.values for run in runs)
    np.testing.assert_array_equal(a, b)
    other = nets.train(dataclasses.replace(SMALL, seed=1), tmp_path / "c")
    assert (other.weights.theta.values != a).any()


def test_resume_goes_on_to_the_same_bits(tmp_path):
    for optimizer, rate in (("sgd", 0.1), ("adamw", 0.01)):
        config = dataclasses.replace(
            SMALL, optimizer=optimizer, learning_rate=rate, momentum=0.9, train_fraction=0.8
        )
        whole = nets.train(config, tmp_path / f"whole-{optimizer}")
        short = dataclasses.replace(config, steps=20)
        nets.train(short, tmp_path / f"part-{optimizer}")
        part = nets.train(config, tmp_path / f"part-{optimizer}", resume=True)
        np.testing.assert_array_equal(part.weights.theta, whole.weights.theta)
        np.testing.assert_array_equal(part.weights.xi, whole.weights.xi)
        np.testing.assert_array_equal(part.metrics.step, whole.metrics.step)
        np.testing.assert_array_equal(part.metrics.train_loss, whole.metrics.train_loss)


def test_a_second_writer_is_refused(tmp_path):
    refusals = []

    def try_to_write(step, loss, accuracy):
        with pytest.raises(ValueError, match="being written") as caught:
            nets.train(SMALL, tmp_path / "run", resume=True)
        refusals.append(caught)
        # A reader is welcome meanwhile.
        assert nets.open_run(tmp_path / "run").weights.sizes["step"] >= 1

    nets.train(SMALL, tmp_path / "run", on_step=try_to_write)
    assert len(refusals) == 6


def test_a_checkpoint_is_written_while_the_training_goes_on(tmp_path, monkeypatch):
    """And holds the weights of its own step: those of a training that waits for the disk."""
    config = SMALL.replace(optimizer="adamw", steps=100)
    whole = nets.train(config, tmp_path / "whole")
    publish, further, in_time = RunWriter.publish, threading.Event(), []

    def slow(writer, *of_checkpoint):
        in_time.append(further.wait(60))
        publish(writer, *of_checkpoint)

    def on_step(step, loss, accuracy):
        if step == 10:
            monkeypatch.setattr(RunWriter, "publish", slow)
        if step == 30:  # the checkpoint of step 20 is on its way
            further.set()

    overlapped = nets.train(config, tmp_path / "overlapped", on_step=on_step)
    assert in_time == [True] * 5
    np.testing.assert_array_equal(overlapped.weights.theta, whole.weights.theta)
    assert overlapped.metrics.equals(whole.metrics)
    resumed = nets.train(config.replace(steps=150), tmp_path / "overlapped", resume=True)
    longer = nets.train(config.replace(steps=150), tmp_path / "whole", resume=True)
    np.testing.assert_array_equal(resumed.weights.theta, longer.weights.theta)


def test_an_interrupt_waits_for_the_checkpoint_on_its_way(tmp_path, monkeypatch):
    publish = RunWriter.publish

    def slow(writer, *of_checkpoint):
        time.sleep(0.3)
        publish(writer, *of_checkpoint)

    def stop(step, loss, accuracy):
        if step == 30:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunWriter, "publish", slow)
    with pytest.raises(KeyboardInterrupt):
        nets.train(SMALL, tmp_path / "run", on_step=stop)
    assert nets.open_run(tmp_path / "run").weights.step.values.tolist() == [0, 20]
    # Nobody writes any more, so that it can be gone on with.
    assert nets.train(SMALL, tmp_path / "run", resume=True).weights.sizes["step"] == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("way", ["leaves", "trains on"])
def test_a_forked_child_ends_and_leaves_the_run_to_its_parent(tmp_path, monkeypatch, way):
    publish, children = RunWriter.publish, []

    def slow(writer, *of_checkpoint):
        time.sleep(0.3)
        publish(writer, *of_checkpoint)

    def on_step(step, loss, accuracy):
        if step == 30:  # the checkpoint of step 20 is on its way
            children.append(os.fork())
            if children[-1] == 0 and way == "leaves":
                raise ValueError("the child's own")

    monkeypatch.setattr(RunWriter, "publish", slow)
    code = 3
    try:
        run = nets.train(SMALL, tmp_path / "run", on_step=on_step)
        code = 0
    except (ValueError, RuntimeError) as error:
        code = 1 if re.search("the child's own|a forked child", str(error)) else 2
    finally:
        if children == [0]:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 1
    assert run.weights.step.values.tolist() == [0, 20, 40, 60]
    monkeypatch.undo()
    plain = nets.train(SMALL, tmp_path / "plain")
    np.testing.assert_array_equal(run.weights.theta, plain.weights.theta)


def test_of_two_errors_the_first_is_raised_and_the_disk_is_told(tmp_path, monkeypatch):
    def full(writer, *of_checkpoint):
        raise OSError(28, "No space left on device")

    def stop(step, loss, accuracy):
        if step == 10:
            monkeypatch.setattr(RunWriter, "publish", full)
        if step == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        nets.train(SMALL, tmp_path / "run", on_step=stop)
    (note,) = caught.value.__notes__
    assert note.endswith("run could not be written either: [Errno 28] No space left on device")
    assert nets.open_run(tmp_path / "run").weights.step.values.tolist() == [0]


# Where seeds share an operation their numbers are rounded together.
TOGETHER = {
    "dropout": {"p": 7, "neurons": 16, "activation": "relu", "dropout": 0.2, "scale": 0.5},
    "two layers": {"network": "transformer", "p": 5, "width": 8, "heads": 2, "neurons": 12}
    | {"layers": 2, "optimizer": "adamw", "learning_rate": 0.01},
}


def blow_up(step, weights):
    if step == 22 and 1 in weights.seeds:
        for values in weights.parameters.values():
            values[weights.seeds.index(1)] = torch.nan


@pytest.mark.parametrize("settings", TOGETHER.values(), ids=list(TOGETHER))
@pytest.mark.parametrize("end", ["fitted", "diverged"])
def test_a_resume_after_a_seed_has_ended_goes_on_to_the_same_bits(tmp_path, settings, end):
    config = TrainingConfig(**settings, steps=40, checkpoint_every=16, log_every=4)
    strike = blow_up if end == "diverged" else None
    if end == "fitted":  # the first at step 8, others later
        losses = nets.train(config, tmp_path / "all", seeds=range(3)).metrics.train_loss
        config = config.replace(stop_loss=float(losses.sel(step=8).min()) * (1 + 1e-9))

    def train(name, **more):
        refused = pytest.raises(nets.DivergedError) if strike else nullcontext()
        with nullcontext() if "on_step" in more else refused:
            nets.train(config, tmp_path / name, seeds=range(3), intervention=strike, **more)
        return nets.open_run(tmp_path / name)

    whole = train("whole")
    assert {why["why"] for why in whole.ended.values()} == {end}
    final = int(whole.metrics.step[-1])
    assert min(why["step"] for why in whole.ended.values()) < final - 4
    for last in range(4, final, 4):

        def stop(step, loss, accuracy, last=last):
            if step == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(f"{last}", on_step=stop)
        part = train(f"{last}", resume=True)
        assert part.ended == whole.ended
        for name in whole.parameters:
            np.testing.assert_array_equal(part.parameters[name], whole.parameters[name])
        assert part.metrics.equals(whole.metrics)


def test_stop_loss_and_metrics(tmp_path):
    config = dataclasses.replace(SMALL, steps=5000, learning_rate=0.5, stop_loss=1.0)
    run = nets.train(config, tmp_path / "run")
    losses = run.metrics.train_loss.values
    assert losses[-1] < 1.0 <= losses[-2]
    assert int(run.weights.step[-1]) == int(run.metrics.step[-1]) < 5000
    # Without held-out pairs there is no test loss to report.
    assert np.isnan(run.metrics.test_loss).all()
    assert len(run.test_pairs) == 0


def test_divergence_names_the_step_and_keeps_checkpoints(tmp_path):
    config = dataclasses.replace(SMALL, learning_rate=1e8, scale=3.0, checkpoint_every=1)
    with pytest.raises(nets.DivergedError, match=r"seed 0 at step \d+ with learning_rate 1"):
        nets.train(config, tmp_path / "run")
    kept = nets.open_run(tmp_path / "run").weights
    assert kept.sizes["step"] >= 1
    assert np.isfinite(kept.isel(step=0).theta).all()


def test_refusals_leave_nothing_behind(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match="shape"):
        nets.train(SMALL, out, initial=nets.gaussian(5, 6, 0.1, 0))
    with pytest.raises(ValueError, match=r"lie in 0\.\.6"):
        nets.train(SMALL, out, train_pairs=[(0, 7)])
    assert not out.exists()
    nets.train(SMALL, out)
    with pytest.raises(FileExistsError, match="resume"):
        nets.train(SMALL, out)
    with pytest.raises(ValueError, match=r"learning_rate is 0\.1"):
        nets.train(dataclasses.replace(SMALL, learning_rate=0.2), out, resume=True)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"p": 8}, "p must be odd"),
        ({"neurons": 0}, "neurons must be at least 1"),
        ({"activation": "tanh"}, "activation must be one of"),
        ({"optimizer": "lion"}, "optimizer must be one of"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"momentum": -0.1}, "momentum must be non-negative"),
        ({"train_fraction": 0.0}, "train_fraction must be in"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"betas": (0.9, 1.0)}, "betas must be non-negative and below 1"),
        ({"warmup": -1}, "warmup must be an integer of at least 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": 2**32}, "seed must be at most 4294967295"),
        ({"neurons": "8"}, "neurons must be int, got '8'"),
        ({"stop_loss": float("nan")}, "stop_loss must be positive"),
        ({"steps": True}, "steps must be int, got True"),
        ({"steps": 2.5}, r"steps must be int, got 2\.5"),
        ({"learning_rate": None}, "learning_rate must be float, got None"),
        ({"separate_inputs": 1}, "separate_inputs must be bool, got 1"),
        ({"activation": ["relu"]}, "activation must be str"),
        ({"betas": 0.9}, r"betas must be tuple\[float, float\], got 0\.9"),
        ({"log_every": 0.5}, r"log_every must be int \| str, got 0\.5"),
        ({"decay_until": float("nan")}, r"decay_until must be int \| None, got nan"),
    ],
)
def test_bad_configurations_are_named(change, match):
    with pytest.raises(ValueError, match=match):
        dataclasses.replace(SMALL, **change)


def test_numbers_of_numpy_are_stored_as_plain_ones(tmp_path):
    config = dataclasses.replace(
        SMALL,
        p=np.int64(7),
        steps=np.int32(10),
        checkpoint_every=np.int64(5),
        learning_rate=np.float32(0.5),
        betas=np.array([0.5, 0.75]),
        log_grid=np.True_,
    )
    assert (config.learning_rate, config.betas, config.log_grid) == (0.5, (0.5, 0.75), True)
    run = nets.train(config, tmp_path / "run", seeds=np.arange(2))
    assert nets.open_run(run.path).stored_config == config


def test_a_resume_with_another_start_or_other_pairs_is_refused(tmp_path):
    start, pairs = nets.gaussian(7, 6, 0.5, 3), nets.all_pairs(7)[:30]
    run = nets.train(SMALL, tmp_path / "run", initial=start, train_pairs=pairs)
    longer = dataclasses.replace(SMALL, steps=80)
    given = {"initial": start, "train_pairs": pairs}
    for other in (
        {"initial": nets.gaussian(7, 6, 0.5, 4)},
        {"train_pairs": nets.all_pairs(7)[19:]},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(other))} (is|are) not"):
            nets.train(longer, run.path, resume=True, **(given | other))
    resumed = nets.train(longer, run.path, resume=True, **given)
    assert int(resumed.weights.step[-1]) == 80


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"time_limit": "1"}, "time_limit must be a number"),
        ({"intervention": 3}, "intervention must be a function"),
        ({"train_pairs": 5}, "pairs must be integers"),
        ({"initial": nets.gaussian(7, 6, 0.5, 0) * np.nan}, "NaN or infini"),
    ],
)
def test_bad_arguments_are_named_before_a_directory_is_made(tmp_path, given, match):
    with pytest.raises(ValueError, match=match):
        nets.train(SMALL, tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_damaged_runs_are_named(tmp_path):
    run = nets.train(SMALL, tmp_path / "run")
    manifest = run.path / "run.json"
    whole = manifest.read_text()
    manifest.write_text(whole[:50])
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        nets.open_run(run.path)
    manifest.write_text(whole)
    (run.path / "arrays.zarr" / "weights" / "zarr.json").unlink()
    with pytest.raises(ValueError, match="damaged at 'weights/theta'"):
        _ = nets.open_run(run.path).weights


def test_pairs_are_checked():
    with pytest.raises(ValueError, match="integers of shape"):
        tasks.check_pairs([(0.5, 1)], 5)
    with pytest.raises(ValueError, match="at least one pair"):
        tasks.complement(np.empty((0, 2), dtype=int), 5)


def test_a_training_killed_before_its_first_checkpoint_starts_afresh(tmp_path):
    whole = nets.train(SMALL, tmp_path / "whole")
    path = tmp_path / "killed"
    nets.train(dataclasses.replace(SMALL, steps=1), path)
    # As a kill leaves it after everything was written but the manifest.
    header = Header.parse((path / "run.json").read_bytes())
    (path / "begun.json").write_bytes(dataclasses.replace(header, journal=(0, START)).text())
    (path / "run.json").unlink()
    again = nets.train(SMALL, path, resume=True)
    np.testing.assert_array_equal(again.weights.theta, whole.weights.theta)
    # A folder with anything else in it is somebody's, and stays as it is.
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    (tmp_path / "arrays" / "arrays.zarr").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state-3.pth").write_text("precious")
    for name in ("mine", "arrays", "state"):
        before = sorted((tmp_path / name).rglob("*"))
        with pytest.raises(FileExistsError, match="not overwritten"):
            nets.train(SMALL, tmp_path / name, resume=True)
        assert sorted((tmp_path / name).rglob("*")) == before


def test_what_was_given_is_recorded(tmp_path):
    start, pairs = nets.gaussian(7, 6, 0.5, 3), nets.all_pairs(7)[:30]
    run = nets.train(SMALL, tmp_path / "run", initial=start, train_pairs=pairs)
    assert (run.config.initial, run.config.train_fraction) == ("given", 30 / 49)
    np.testing.assert_array_equal(run.train_pairs, pairs)
    assert len(run.test_pairs) == 19
    with pytest.raises(ValueError, match="names no recipe"):
        nets.train(run.config, tmp_path / "again")


@pytest.mark.parametrize(
    ("config", "beside", "match"),
    [
        ({"embedding": 3}, {}, "initial has no embedding, which this network trains"),
        ({"embedding": 3}, {"embedding": ("residue", 7)}, "initial has no projection"),
        ({}, {"theta_y": ("neuron", 6)}, "initial has theta_y, which this network does not train"),
        ({}, {"embedding": ("residue", 7)}, "initial has embedding, which this network does not"),
        (
            {"embedding": 3},
            {"embedding": ("residue", 7), "projection": ("neuron", 6)},
            "initial has theta and factors whose product is another",
        ),
        ({"separate_inputs": True}, {"theta_y": ("neuron", 6)}, "initial has theta_y of shape"),
    ],
)
def test_a_start_that_is_not_what_is_trained_is_refused(tmp_path, config, beside, match):
    layers = {name: ((dim, "feature"), np.ones((n, 3))) for name, (dim, n) in beside.items()}
    start = nets.gaussian(7, 6, 0.5, 3).assign(layers)
    with pytest.raises(ValueError, match=match):
        nets.train(dataclasses.replace(SMALL, **config), tmp_path / "run", initial=start)


def test_weights_of_y_are_real_and_read_by_label(tmp_path):
    config, start = dataclasses.replace(SMALL, separate_inputs=True), nets.gaussian(7, 6, 0.5, 3)
    own = xr.DataArray(
        np.random.default_rng(0).normal(size=(6, 7)), {"y": range(7)}, ["neuron", "y"]
    )
    turned = start.assign(theta_y=own.isel(y=[3, 0, 6, 1, 5, 2, 4]))
    run = nets.train(config, tmp_path / "run", initial=turned)
    np.testing.assert_allclose(run.weights.theta_y[0], own, rtol=1e-6)  # kept in float32
    with pytest.raises(ValueError, match="theta_y of type complex128; give real numbers"):
        nets.train(config, tmp_path / "no", initial=start.assign(theta_y=1j * own))


@pytest.mark.parametrize("config", [{"embedding": 3}, {"separate_inputs": True}])
def test_a_given_start_is_begun_and_resumed_with(tmp_path, config):
    settings = dataclasses.replace(SMALL, **config)
    once = nets.train(settings, tmp_path / "once")
    first = once.parameters.isel(step=0, drop=True).load()
    weights = once.weights.isel(step=0)
    own = [name for name in first if name not in ("theta", "xi")]
    start = fourier.spectrum(weights.theta, weights.xi).assign({name: first[name] for name in own})
    given = {"initial": start.drop_vars("y", errors="ignore"), "train_pairs": once.train_pairs}
    half = nets.train(dataclasses.replace(settings, steps=20), tmp_path / "run", **given)
    again = nets.train(settings, half.path, resume=True, **given)
    for name, layer in once.parameters.items():
        # What a spectrum carries comes back to rounding, the rest to the bit.
        np.testing.assert_allclose(again.parameters[name], layer, rtol=0, atol=1e-12)
