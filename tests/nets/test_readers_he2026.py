"""The reader of published checkpoints: layouts that occur, and every way a file can be bad."""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets.readers.files import read_checkpoint
from tests.checkpoints import write_checkpoints

NAME = "p_5_dmlp_6_Quad_random_scale_0.1_decay_0"


@pytest.fixture
def source(tmp_path):
    return write_checkpoints(tmp_path / NAME)


def relu(z):
    return np.maximum(z, 0)


def forget_losses(source):
    """For tests of weights whose losses nobody stored."""
    for name, ending in (("0.pth", ""), ("final.pth", "es")):
        for part in ("train", "test"):
            change(source / name, lambda stored, key=f"{part}_loss{ending}": stored.pop(key))


def change(file, edit):
    """Rewrite one checkpoint file."""
    stored = torch.load(file, weights_only=True)
    edit(stored)
    torch.save(stored, file)


def test_steps_and_metrics_belong_to_their_weights(source, tmp_path):
    """The file of epoch e holds the weights after e + 1 updates, its accuracies those of step e."""
    run = nets.import_published(source, tmp_path / "run")
    assert run.weights.step.values.tolist() == [1, 11]
    stored = torch.load(source / "0.pth", weights_only=True)["model"]
    np.testing.assert_array_equal(run.weights.theta.sel(step=1), stored["mlp.W_in"])
    np.testing.assert_array_equal(run.weights.xi.sel(step=1), stored["mlp.W_out"].T)
    assert run.metrics.train_accuracy.sel(step=0) == 0.2
    assert np.isnan(run.metrics.train_accuracy.sel(step=1))
    # The last step's metrics are not stored; they are computed from its weights.
    weights = run.weights.isel(step=-1)
    logits = nets.logits(weights.theta, weights.xi, "quadratic")
    right = logits.argmax(-1) == nets.all_pairs(5).sum(-1) % 5
    assert float(run.metrics.train_accuracy.sel(step=11)) == pytest.approx(right.mean())


def test_optimiser_settings_are_read(source, tmp_path):
    def to_adamw(stored):
        stored["optimizer"]["param_groups"] = [
            {"lr": 1e-4, "betas": (0.9, 0.98), "eps": 1e-8, "weight_decay": 2.0}
        ]

    assert nets.import_published(source, tmp_path / "sgd").config.optimizer == "sgd"
    change(source / "final.pth", to_adamw)
    config = nets.import_published(source, tmp_path / "adamw").config
    assert (config.optimizer, config.learning_rate) == ("adamw", 1e-4)
    assert (config.betas, config.weight_decay) == ((0.9, 0.98), 2.0)


@pytest.mark.parametrize("transposed", [False, True])
def test_an_embedding_composes_with_the_input_weights(source, tmp_path, transposed):
    rng = np.random.default_rng(1)
    W_in, W_E = torch.tensor(rng.normal(size=(6, 128))), torch.tensor(rng.normal(size=(128, 5)))

    def embed(stored):
        stored["model"]["mlp.W_in"] = W_in
        stored["model"]["embed.W_E"] = W_E.T.contiguous() if transposed else W_E

    forget_losses(source)
    for name in ("0.pth", "final.pth"):
        change(source / name, embed)
    run = nets.import_published(source, tmp_path / "run")
    np.testing.assert_allclose(run.weights.theta.isel(step=0), W_in @ W_E, rtol=1e-12)


@pytest.mark.parametrize("task", ["addition", "subtraction", "quadratic_form"])
def test_answers_stored_with_the_pairs_tell_the_task(source, tmp_path, task):
    pairs = torch.tensor(nets.all_pairs(5))
    answers = torch.tensor(nets.tasks.table(task, 5).ravel())
    for name in ("train_data", "test_data"):
        torch.save((pairs, answers), source / f"{name}.pth")
    forget_losses(source)
    run = nets.import_published(source, tmp_path / "run")
    assert run.config.task == task
    np.testing.assert_array_equal(run.train_pairs, pairs)
    weights = run.weights.isel(step=-1)
    guesses = nets.logits(weights.theta, weights.xi, "quadratic").argmax(-1)
    right = float((guesses == answers.numpy()).mean())
    assert float(run.metrics.train_accuracy[-1]) == pytest.approx(right)


def test_answers_of_no_known_task_are_refused(source, tmp_path):
    pairs = torch.tensor(nets.all_pairs(5))
    torch.save((pairs, torch.zeros(25, dtype=torch.int64)), source / "train_data.pth")
    with pytest.raises(ValueError, match=r"train_data\.pth: the answers are those of none of"):
        nets.import_published(source, tmp_path / "run")


def test_a_pipeline_run_lies_deeper_and_has_its_presets_optimiser(tmp_path):
    """The authors' pipeline keeps no optimiser, and may have stopped before its last epoch."""
    folder = tmp_path / "p_005" / "grokking"
    folder.mkdir(parents=True)
    moved = write_checkpoints(folder / NAME.replace("Quad", "ReLU"), sigma=relu)

    def strip(stored):
        del stored["optimizer"]
        stored["epoch"] = 50_000

    change(moved / "final.pth", strip)
    run = nets.import_published(folder, tmp_path / "run")
    published = nets.preset("he2026/grokking")
    for name in ("activation", "optimizer", "learning_rate", "betas", "weight_decay"):
        assert getattr(run.config, name) == getattr(published, name)
    assert run.config.steps == 11  # as many losses are stored


def test_activation_is_asked_for_where_the_name_does_not_tell(tmp_path):
    nameless = write_checkpoints(tmp_path / "checkpoints", sigma=relu)
    with pytest.raises(ValueError, match="give activation as one of quadratic, relu"):
        nets.import_published(nameless, tmp_path / "run")
    run = nets.import_published(nameless, tmp_path / "run", activation="ReLU")
    assert run.config.activation == "relu"


def drop(name):
    return lambda stored: stored["model"].pop(name)


def put(name, value):
    return lambda stored: stored["model"].__setitem__(name, torch.tensor(value))


@pytest.mark.parametrize(
    ("file", "edit", "match"),
    [
        ("0.pth", drop("mlp.W_in"), r"0\.pth lacks 'mlp.W_in'"),
        ("final.pth", drop("mlp.W_out"), r"final\.pth lacks 'mlp.W_out'"),
        ("0.pth", put("mlp.W_in", np.ones((6, 4))), r"0\.pth: mlp\.W_in has shape \(6, 4\)"),
        ("0.pth", put("mlp.W_in", np.ones(5)), "must be a matrix"),
        ("0.pth", put("mlp.W_out", np.full((5, 6), np.inf)), r"0\.pth: mlp\.W_out holds NaN"),
        ("final.pth", lambda stored: stored.pop("optimizer"), "lacks 'optimizer'"),
        ("0.pth", put("mlp.W_in", np.ones((6, 5), dtype=int)), "0.pth: mlp.W_in must be of float"),
        ("0.pth", lambda stored: stored.update(train_accuracy="x"), r"0\.pth is no checkpoint"),
        ("final.pth", lambda stored: stored.update(test_losses=[1.0]), r"final\.pth is no check"),
        ("final.pth", lambda stored: stored["optimizer"].update(param_groups=[]), r"final\.pth is"),
        ("0.pth", put("mlp.b_in", np.full(6, 5.0)), r"0\.pth holds 'mlp.b_in', for which"),
        (
            "final.pth",
            put("mlp.b_out", np.full(5, 5.0)),
            r"final\.pth holds 'mlp.b_out', for which",
        ),
        ("0.pth", put("mlp.basis", 2 * np.eye(5)), r"0\.pth: mlp.basis is not the Fourier basis"),
        ("0.pth", lambda stored: stored.update(train_loss=9.0), "stores train_loss 9, final.pth 5"),
        ("0.pth", lambda stored: stored.update(model=3), r"0\.pth: 'model' must hold tensors"),
    ],
)
def test_bad_files_are_named(source, tmp_path, file, edit, match):
    change(source / file, edit)
    with pytest.raises(ValueError, match=match):
        nets.import_published(source, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_damaged_and_missing_files_are_named(source, tmp_path):
    whole = (source / "0.pth").read_bytes()
    (source / "0.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"0\.pth is no readable checkpoint"):
        read_checkpoint(source / "0.pth")
    (source / "0.pth").write_bytes(whole)
    (source / "test_data.pth").unlink()
    with pytest.raises(ValueError, match=r"test_data\.pth is missing"):
        nets.import_published(source, tmp_path / "run")


def test_pairs_outside_the_modulus_are_refused(source, tmp_path):
    torch.save([(0, 5)], source / "train_data.pth")
    with pytest.raises(ValueError, match=r"train_data\.pth: pairs must lie in 0\.\.4"):
        nets.import_published(source, tmp_path / "run")


def test_an_imported_run_is_not_resumed(source, tmp_path):
    run = nets.import_published(source, tmp_path / "run")
    with pytest.raises(ValueError, match="was imported, without the optimiser's state"):
        nets.train(run.config, run.path, resume=True)


def test_exported_checkpoints_are_imported_again(source, tmp_path):
    run = nets.import_published(source, tmp_path / "run")
    again = tmp_path / "again" / source.name
    again.mkdir(parents=True)
    first, last = (int(run.weights.step[index]) for index in (0, -1))
    run.export(again / f"{first - 1}.pth", first)
    run.export(again / "final.pth")
    for name in ("train", "test"):
        torch.save(torch.tensor(getattr(run, f"{name}_pairs")), again / f"{name}_data.pth")
    back = nets.import_published(again, tmp_path / "back")
    assert back.config == run.config
    for name in ("theta", "xi"):
        expected = run.weights[name].sel(step=[first, last])
        np.testing.assert_array_equal(back.weights[name], expected)


def test_weights_of_another_activation_are_refused_naming_both_losses(source, tmp_path):
    with pytest.raises(ValueError, match=r"have train_loss 2\.\d+, but 5\.77.*'relu'"):
        nets.import_published(source, tmp_path / "run", activation="relu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("file", ["0.pth", "final.pth"])
def test_weights_of_another_training_are_refused(source, tmp_path, file):
    change(source / file, put("mlp.W_in", np.ones((6, 5))))
    step = {"0.pth": 1, "final.pth": 11}[file]
    with pytest.raises(ValueError, match=f"its weights of step {step} have train_loss"):
        nets.import_published(source, tmp_path / "run")


def test_the_last_weights_may_be_one_update_further(source, tmp_path):
    """Of the last weights no loss is stored, but the one before: as far off as updates were."""
    loss = torch.load(source / "0.pth", weights_only=True)["train_loss"]

    def slower(change_of_loss):
        def edit(stored):
            for name in ("train_losses", "test_losses"):
                stored[name] = [loss] * 10 + [loss + change_of_loss]

        return edit

    change(source / "final.pth", slower(0.1))
    nets.import_published(source, tmp_path / "run")
    change(source / "final.pth", lambda stored: stored["test_losses"].__setitem__(10, loss))
    change(source / "final.pth", put("mlp.W_out", np.zeros((5, 6))))
    with pytest.raises(
        ValueError, match=r"have train_loss 1\.6094, but 5\.\d+ is stored for step 10"
    ):
        nets.import_published(source, tmp_path / "again")


def test_transposed_weights_are_told_by_their_pairs(tmp_path):
    """Seven neurons at p = 5 look like five at p = 7, whose pairs would reach 6."""
    source = write_checkpoints(tmp_path / NAME, neurons=7)

    def transpose(stored):
        model = stored["model"]
        del model["mlp.basis"]
        for name in model:
            model[name] = model[name].T.contiguous()

    for name in ("0.pth", "final.pth"):
        change(source / name, transpose)
    with pytest.raises(ValueError, match="weights are of p = 7, its pairs of residues up to 4"):
        nets.import_published(source, tmp_path / "run")


def test_files_beyond_the_last_epoch_are_refused(source, tmp_path):
    (source / "0.pth").rename(source / "50.pth")
    with pytest.raises(ValueError, match=r"50\.pth is of an epoch beyond the 11 of final\.pth"):
        nets.import_published(source, tmp_path / "run")


def test_losses_of_numbered_files_serve_where_the_last_has_none(source, tmp_path):
    change(
        source / "final.pth", lambda stored: [stored.pop(f"{n}_losses") for n in ("train", "test")]
    )
    change(
        source / "final.pth", lambda stored: [stored.pop(f"{n}_norms") for n in ("grad", "param")]
    )
    run = nets.import_published(source, tmp_path / "run")
    assert run.metrics.step.values.tolist() == [0, 1, 11]
    assert float(run.metrics.train_loss[0]) == pytest.approx(float(run.metrics.train_loss[1]))
