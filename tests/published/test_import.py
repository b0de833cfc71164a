"""The published runs as they lie: settings, steps, and losses that their weights reproduce."""

import dataclasses

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets.readers.registry import read_checkpoints

QUAD = "p_23_dmlp_512_Quad_random_scale_0.1_decay_0_08151413"
RELU = "p_23_dmlp_512_ReLU_random_scale_0.1_decay_2.0_08180102"


@pytest.mark.parametrize(
    ("name", "activation", "optimizer", "checkpoints", "last", "pairs"),
    [
        (QUAD, "quadratic", "sgd", 51, 10_000, (529, 529)),
        (RELU, "relu", "adamw", 251, 50_000, (396, 133)),
    ],
)
def test_published_run(published, tmp_path, name, activation, optimizer, checkpoints, last, pairs):
    run = nets.import_published(published / name, tmp_path / "run")
    assert (run.config.activation, run.config.optimizer) == (activation, optimizer)
    assert (run.weights.sizes["step"], int(run.weights.step[-1])) == (checkpoints, last)
    assert (len(run.train_pairs), len(run.test_pairs)) == pairs
    # Weights of step s reproduce the loss that was stored for step s, in the float32 of the run.
    x, y = run.train_pairs.T
    for index in (0, checkpoints // 2, checkpoints - 2):
        weights = run.weights.isel(step=index)
        logits = nets.logits(weights.theta, weights.xi, activation, run.train_pairs)
        answers = torch.tensor((x + y) % 23)
        loss = torch.nn.functional.cross_entropy(torch.tensor(logits), answers)
        at = int(weights.step)
        stored = float(run.metrics.train_loss.sel(step=at))
        # Stored losses carry the float32 rounding of 3.1 or, when small, of their logits.
        assert np.isclose(float(loss), stored, rtol=2e-5, atol=1e-6)
        norm = np.sqrt(float((weights.theta**2).sum() + (weights.xi**2).sum()))
        # Float32 sums of twenty thousand squares.
        assert float(run.metrics.weight_norm.sel(step=at)) == pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize("name", [QUAD, RELU])
def test_trained_again_the_published_runs_come_out(published, tmp_path, name):
    """From their first checkpoint, whose update had rate 0, to their second, 200 updates later."""
    run = nets.import_published(published / name, tmp_path / "run")
    assert run.metrics.train_loss[0] == run.metrics.train_loss[1]
    config = dataclasses.replace(run.config, steps=201, checkpoint_every=201)
    again = nets.train(
        config,
        tmp_path / "again",
        initial=run.spectra().isel(step=0, drop=True),
        train_pairs=run.train_pairs,
    )
    for layer in ("theta", "xi"):
        first, second = (run.weights[layer].sel(step=step) for step in (1, 201))
        difference = np.linalg.norm(again.weights[layer].sel(step=201) - second)
        # Float32 rounding, which AdamW turns into full steps where a gradient is nearly zero.
        # Without the warm-up it is 3% of the way on the Quad run and 6% on the ReLU run.
        assert difference < 1e-3 * np.linalg.norm(second - first)


def some_of(folder, into, epochs=("0", "200", "9800")):
    """A published directory with a few of its checkpoints, linked."""
    into.mkdir()
    for name in (*epochs, "final", "train_data", "test_data"):
        (into / f"{name}.pth").symlink_to(folder / f"{name}.pth")
    return into


@pytest.mark.parametrize("name", [QUAD, RELU])
@pytest.mark.parametrize("wrong", ["quadratic", "relu", "gelu", "abs", "identity", "softplus"])
def test_a_wrong_activation_is_refused_by_the_stored_losses(published, tmp_path, name, wrong):
    """At the last checkpoint where the networks differ there, else at the first by 2e-5 nats."""
    source = some_of(published / name, tmp_path / name)
    if wrong == {QUAD: "quadratic", RELU: "relu"}[name]:
        assert nets.import_published(source, tmp_path / "run", activation=wrong).path.exists()
        return
    with pytest.raises(ValueError, match=r"have train_loss [\d.e-]+, but [\d.e-]+ is stored"):
        nets.import_published(source, tmp_path / "run", activation=wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [QUAD, RELU])
def test_rounding_of_the_losses_is_far_within_what_is_allowed(published, tmp_path, name):
    """Every tenth checkpoint; the farthest off of all 300 lies at a tenth of the allowance."""
    source = published / name
    imported = read_checkpoints(source)
    examples = imported.examples(imported.train)
    for step in list(imported.parameters)[::10]:
        if step in imported.metrics:
            values = imported.outputs(step, examples)
            loss = float(imported.config.data.evaluate(values, examples)[0])
            off = abs(loss - imported.metrics[step]["train_loss"])
            assert off < 0.25 * 32 * np.finfo(np.float32).eps * (1 + float(values.abs().max()))


def test_published_weights_are_a_state_dict_too(published, tmp_path):
    """Without a name or a word about the layout, the weights of the last file tell themselves."""
    model = torch.load(published / RELU / "final.pth", weights_only=True)["model"]
    torch.save({"a": model["mlp.W_out"], "b": model["mlp.W_in"].T}, tmp_path / "mine.pt")
    run = nets.import_checkpoint(tmp_path / "mine.pt", tmp_path / "run", activation="ReLU")
    np.testing.assert_array_equal(run.weights.theta.isel(step=-1), model["mlp.W_in"])
    assert run.attrs["reading"].endswith("of 529 pairs")
