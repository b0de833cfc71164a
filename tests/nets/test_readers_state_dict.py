"""Anyone's own two-layer checkpoint: layouts, names and formats, and what cannot be told."""

import json

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.theory import fourier

P, NEURONS = 5, 24
RNG = np.random.default_rng(0)


def solution(p=P, neurons=NEURONS):
    """Weights of a quadratic network that answers addition: cosines whose phases are balanced."""
    K = (p - 1) // 2
    k = 1 + np.arange(neurons) % K
    phases = 2 * np.pi * (np.arange(neurons) // K) / (neurons / K)
    angle = 2 * np.pi * k[:, None] * np.arange(p) / p
    return np.cos(angle + phases[:, None]), np.cos(angle + 2 * phases[:, None])


THETA, XI = (layer.astype(np.float32) for layer in solution())


def state(theta=THETA, xi=XI):
    """As `torch.nn.Linear` keeps them: (out, in)."""
    return {"fc1.weight": torch.tensor(theta), "fc2.weight": torch.tensor(xi.T.copy())}


def write_safetensors(file, tensors, metadata=None):
    """The format as its description has it, written independently of the reader."""
    names = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
    header, data = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        content = tensor.contiguous().view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write(file, tensors):
    if file.suffix == ".npz":
        np.savez(file, **{name: tensor.numpy() for name, tensor in tensors.items()})
    elif file.suffix == ".safetensors":
        write_safetensors(file, tensors, {"format": "pt"})
    else:
        torch.save(tensors, file)
    return file


def imported(tmp_path, file, **options):
    return nets.import_checkpoint(file, tmp_path / "run", **{"activation": "Quad"} | options)


def same(run, theta=THETA, xi=XI):
    last = run.weights.isel(step=-1)
    np.testing.assert_array_equal(last.theta, theta)
    np.testing.assert_array_equal(last.xi, xi)


@pytest.mark.parametrize("ending", [".pth", ".pt", ".npz", ".safetensors"])
def test_every_format_is_read(tmp_path, ending):
    run = imported(tmp_path, write(tmp_path / f"mine{ending}", state()))
    same(run)
    assert (run.config.p, run.config.neurons, run.config.activation) == (P, NEURONS, "quadratic")
    assert run.config.dtype == "float32"


@pytest.mark.parametrize("turned_in", [False, True])
@pytest.mark.parametrize("turned_out", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_every_layout_is_told_by_shapes_and_answers(tmp_path, turned_in, turned_out, swapped):
    """Neither which matrix is first nor which side is which is said; only one reading answers."""
    pair = [
        ("b" if swapped else "a", torch.tensor(THETA.T.copy() if turned_in else THETA)),
        ("a" if swapped else "b", torch.tensor(XI.T.copy() if turned_out else XI)),
    ]
    same(imported(tmp_path, write(tmp_path / "mine.pt", dict(sorted(pair)))))


def test_both_sides_odd_are_told_by_answers_or_by_p(tmp_path):
    """23 neurons at p = 5, or 5 neurons at p = 23: shapes leave both."""
    theta, xi = (layer.astype(np.float32) for layer in solution(neurons=23))
    run = imported(tmp_path, write(tmp_path / "mine.pt", state(theta, xi)))
    assert run.config.p == P
    assert run.attrs["reading"].endswith("answers 100% of 25 pairs")
    theta, xi = (RNG.normal(size=(23, 5)).astype(np.float32) for _ in range(2))
    untrained = write(tmp_path / "untrained.pt", state(theta, xi))
    names = {"input_weights": "fc1.weight", "output_weights": "fc2.weight"}
    with pytest.raises(ValueError, match=r"can be read in 2 ways .* or p, or"):
        nets.import_checkpoint(untrained, tmp_path / "b", activation="relu", **names)
    run = nets.import_checkpoint(untrained, tmp_path / "b", activation="relu", p=5, **names)
    same(run, theta, xi)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_prefixes_are_stripped(tmp_path, prefix):
    named = {prefix + name: tensor for name, tensor in state().items()}
    file = write(tmp_path / "mine.pt", {"state_dict": named, "epoch": 7})
    same(imported(tmp_path, file, input_weights="fc1.weight"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_half_precision_becomes_float32(tmp_path, dtype, ending):
    half = {name: tensor.to(dtype) for name, tensor in state().items()}
    run = imported(tmp_path, write(tmp_path / f"mine{ending}", half))
    assert run.config.dtype == "float32"
    same(run, *(torch.tensor(layer).to(dtype).float().numpy() for layer in (THETA, XI)))


def test_parameters_that_need_a_gradient_are_read(tmp_path):
    live = {name: torch.nn.Parameter(tensor) for name, tensor in state().items()}
    same(imported(tmp_path, write(tmp_path / "mine.pt", live)))


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ({"fc1.bias": torch.zeros(NEURONS)}, r"holds 'fc1.bias' \(24,\), for which"),
        ({"scale": torch.tensor(2.0)}, r"holds 'scale' \(\), for which"),
        ({"fc3.weight": torch.zeros(P, P)}, "holds 'fc1.weight', 'fc2.weight', 'fc3.weight'"),
        ({"note": "scaled by 5"}, "holds 'note', for which"),
    ],
)
def test_what_has_no_place_is_named_never_dropped(tmp_path, extra, match):
    file = write(tmp_path / "mine.pt", state() | extra)
    with pytest.raises(ValueError, match=match):
        imported(tmp_path, file)
    assert not (tmp_path / "run").exists()


def test_steps_come_from_names_or_from_within(tmp_path):
    folder = tmp_path / "p5"
    folder.mkdir()
    for step in (0, 50, 1000):
        write(folder / f"run2_step{step:05}.pt", state(THETA * (1 + step), XI))
    run = imported(tmp_path, folder)
    assert run.weights.step.values.tolist() == [0, 50, 1000]
    np.testing.assert_array_equal(run.weights.theta.sel(step=50), THETA * 51)
    np.savez(tmp_path / "x.npz", theta=THETA, xi=XI, step=30)
    run = nets.import_checkpoint(tmp_path / "x.npz", tmp_path / "x", activation="quad")
    assert run.weights.step.values.tolist() == [30]


def test_files_without_a_step_of_their_own_are_named(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("10.pt", "20.pt", "final.pt"):
        write(folder / name, state())
    with pytest.raises(ValueError, match=r"final\.pt has no step in its name"):
        imported(tmp_path, folder)
    (folder / "final.pt").rename(folder / "010.pt")
    with pytest.raises(ValueError, match="two files of one step"):
        imported(tmp_path, folder)
    (folder / "010.pt").unlink()
    write(folder / "20.pt", state(*solution(7, NEURONS)))
    write(folder / "30.pt", state())
    with pytest.raises(ValueError, match=r"20\.pt has theta of .* keep one training"):
        imported(tmp_path, folder)


def test_unknown_is_unknown_and_known_is_measured(tmp_path):
    file = write(tmp_path / "mine.pt", state())
    run = imported(tmp_path, file)
    assert run.attrs["split"] == "unknown"
    assert run.attrs["assumed"] == "optimizer sgd, learning_rate 0.1, weight_decay 0.0"
    assert np.isnan(run.metrics.train_loss).all()
    assert float(run.metrics.weight_norm[-1]) == pytest.approx(
        np.sqrt((THETA**2).sum() + (XI**2).sum()), rel=1e-6
    )
    known = nets.import_checkpoint(
        file,
        tmp_path / "known",
        activation="quadratic",
        train_pairs=[(0, 1), (2, 2)],
        settings={"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 1.0},
    )
    assert (len(known.train_pairs), len(known.test_pairs)) == (2, 23)
    assert known.attrs["assumed"] == "nothing"
    assert known.config.optimizer == "adamw"
    assert float(known.metrics.test_accuracy[-1]) == 1
    values = nets.logits(THETA, XI, "quadratic", known.train_pairs)
    answers = known.train_pairs.sum(1) % P
    losses = np.log(np.exp(values).sum(1)) - values[np.arange(2), answers]
    assert float(known.metrics.train_loss[-1]) == pytest.approx(losses.mean(), rel=1e-12)


def test_separate_inputs_are_exported_and_imported_again(tmp_path):
    config = nets.TrainingConfig(p=5, neurons=6, steps=3, separate_inputs=True)
    run = nets.train(config, tmp_path / "first")
    file = run.export(tmp_path / "w.npz")
    back = imported(tmp_path, file)
    assert back.config.separate_inputs
    assert int(back.weights.step[-1]) == 3
    for name in ("theta", "theta_y", "xi"):
        np.testing.assert_array_equal(
            back.weights[name].isel(step=-1), run.weights[name].isel(step=-1)
        )
    with pytest.raises(ValueError, match=r"must end in \.npz with separate_inputs"):
        run.export(tmp_path / "w.pth")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"activation": None}, "does not tell its activation"),
        ({"activation": "tanh"}, "activation must be one of"),
        ({"input_weights": "fc9"}, "input_weights must be one of fc1.weight, fc2.weight"),
        ({"p": 7}, "with p = 7"),
        ({"task": "division"}, "task must be one of"),
        ({"train_pairs": [(0, 9)]}, "pairs must lie in 0..4"),
        ({"train_pairs": "some"}, "or 'all'"),
        ({"settings": {"lr": 1}}, "unknown setting 'lr'"),
        ({"colour": 1}, "takes no colour"),
    ],
)
def test_what_a_user_says_is_checked(tmp_path, options, match):
    file = write(tmp_path / "mine.pt", state())
    with pytest.raises(ValueError, match=match):
        imported(tmp_path, file, **options)
    assert not (tmp_path / "run").exists()


def test_a_reader_from_outside_is_one_entry(tmp_path, monkeypatch):
    def read(path, *, scale=1.0):
        theta = np.loadtxt(path)
        config = nets.TrainingConfig(p=3, neurons=2, initial="published", dtype="float64")
        return nets.Imported(config, {0: {"theta": scale * theta, "xi": theta}})

    reader = nets.Reader("text of numbers", lambda path: path.suffix == ".txt", read)
    monkeypatch.setitem(nets.READERS, "text", reader)
    (tmp_path / "w.txt").write_text("1 2 3\n4 5 6")
    run = nets.import_checkpoint(tmp_path / "w.txt", tmp_path / "run", scale=2.0)
    assert run.weights.theta.values.tolist() == [[[2, 4, 6], [8, 10, 12]]]
    with pytest.raises(ValueError, match="read as text, which takes no p; it takes scale"):
        nets.import_checkpoint(tmp_path / "w.txt", tmp_path / "b", p=3)


def test_the_solution_here_is_one():
    """Against the closed form: the spectrum is on one frequency to a neuron, psi = 2 phi."""
    spectrum = fourier.spectrum(THETA, XI)
    misalignment = np.angle(
        np.exp(1j * (2 * np.angle(spectrum.theta_hat) - np.angle(spectrum.xi_hat)))
    )
    at = np.abs(spectrum.theta_hat.values).argmax(-1)
    rows = np.arange(NEURONS)
    np.testing.assert_allclose(misalignment[rows, at], 0, atol=1e-5)
