"""Files of transformers made here, whole and spoiled in every way that is refused."""

import numpy as np
import pytest
import torch

from grokode.nets.networks import Transformer
from grokode.nets.readers import nanda2023, zhong2023
from grokode.nets.tasks import Modular

P = 7
GROUP = {"initial_lr": 1e-3, "weight_decay": 1.0, "betas": (0.9, 0.98), "eps": 1e-8}


def state_dict(equals, **settings):
    network = Transformer(width=8, heads=2, neurons=6, equals=equals, **settings)
    start = network.draw(Modular(p=P), 4)
    named = {}
    for name, pattern in nanda2023._NAMES.items():
        if "{}" in pattern:
            for layer in range(network.layers):
                values = start[name][layer]
                named[pattern.format(layer)] = torch.tensor(values, dtype=torch.float32)
        else:
            named[pattern] = torch.tensor(start[name], dtype=torch.float32)
    named["blocks.0.attn.mask"] = torch.tril(torch.ones(2 + equals, 2 + equals))
    return network, start, named


def nanda_file(path, model, /, **changes):
    stored = {
        "model": model,
        "optimizer": {"param_groups": [GROUP]},
        "epoch": 3,
        "train_losses": [2.0, 2.0, 1.9, 1.8],
        "test_losses": [2.1, 2.1, 2.0, 2.0],
    }
    torch.save(stored | changes, path)
    return path


def test_a_file_is_read_back(tmp_path):
    _, start, model = state_dict(True, layers=2)
    path = nanda_file(tmp_path / "run.pth", model)
    assert nanda2023.recognise(path)
    assert not zhong2023.recognise(path)
    read = nanda2023.read(path)
    assert (read.config.p, read.config.layers, read.config.steps) == (P, 2, 4)
    assert read.metrics[3] == {"train_loss": 1.8, "test_loss": 2.0}
    for name, values in read.parameters[4].items():
        np.testing.assert_allclose(values, start[name], atol=1e-7)
    # No split gives these losses back.
    assert read.train is None
    assert "unknown" in read.attrs["split"]


def test_the_split_is_recovered_from_the_last_losses(tmp_path):
    network, start, model = state_dict(True)
    task = Modular(p=P, shuffle="python", train_fraction=0.4)
    named = {name: torch.tensor(values)[None] for name, values in start.items()}
    logits = network.outputs(named, task.inputs)[0]
    losses = torch.nn.functional.cross_entropy(
        logits, torch.tensor(task.answers(0)), reduction="none"
    ).numpy()
    train, test = task.split(9)
    path = nanda_file(
        tmp_path / "run.pth",
        model,
        train_losses=[2.0, 2.0, 1.9, float(losses[train].mean())],
        test_losses=[2.0, 2.0, 1.9, float(losses[test].mean())],
    )
    read = nanda2023.read(path)
    assert (read.config.seed, sorted(read.train)) == (9, sorted(train))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m.pop("blocks.0.mlp.W_in"), "lacks the tensor blocks.0.mlp.W_in"),
        (lambda m: m.update({"blocks.0.ln.w": torch.ones(3)}), "holds 'blocks.0.ln.w'"),
        (lambda m: m["embed.W_E"].fill_(torch.nan), "W_E holds NaN or infinity"),
        (
            lambda m: m.update({"unembed.W_U": torch.ones(8, 9)}),
            r"W_U has shape \(8, 9\); with p = 7",
        ),
        (
            lambda m: m.update({"embed.W_E": torch.ones(8, 9)}),
            "p must be odd and at least 3, got 8",
        ),
        (lambda m: m.update({"pos_embed.W_pos": torch.ones(5, 8)}), "reads 5 tokens"),
        (
            lambda m: m.update({"embed.W_E": torch.ones(8, 8).half()}),
            "must be of float32 or float64",
        ),
        (lambda m: m.update({"embed.W_E": torch.ones(8)}), r"W_E has shape \(8,\)"),
    ],
)
def test_spoiled_tensors_are_named(tmp_path, spoil, words):
    _, _, model = state_dict(True)
    spoil(model)
    path = nanda_file(tmp_path / "run.pth", model)
    with pytest.raises(ValueError, match=words) as error:
        nanda2023.read(path)
    assert "run.pth" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epoch": 9}, "epoch is 9 with 4 training losses"),
        ({"optimizer": {}}, "says nothing of its optimiser"),
        ({"train_losses": "many"}, "must be a list of numbers"),
        ({"model": {}}, "holds no transformer of this code"),
    ],
)
def test_spoiled_files_are_named(tmp_path, change, words):
    path = nanda_file(tmp_path / "run.pth", state_dict(True)[2], **change)
    with pytest.raises(ValueError, match=words):
        nanda2023.read(path)


def test_state_dicts_of_zhong(tmp_path):
    _, _, model = state_dict(False)
    path = tmp_path / "model_x.pt"
    torch.save(model, path)
    assert zhong2023.recognise(path)
    assert not nanda2023.recognise(path)
    read = zhong2023.read(path, attention_rate=0.5)
    assert (read.config.attention_rate, read.config.equals, read.train) == (0.5, False, None)
    (tmp_path / "config_x.json").write_text("{}")
    with pytest.raises(ValueError, match="says no attn_coeff"):
        zhong2023.read(path)


def test_linear_networks_of_zhong(tmp_path):
    rng = np.random.default_rng(0)
    shapes = {
        "embed.weight": (P, 4),
        "unembed.weight": (P, 4),
        "l1.weight": (4, 4),
        "l1.bias": (4,),
    }
    model = {
        name: torch.tensor(rng.normal(size=s), dtype=torch.float32) for name, s in shapes.items()
    }
    path = tmp_path / "model_linear.pt"
    torch.save(model, path)
    assert zhong2023.recognise(path)
    read = zhong2023.read(path)
    assert (read.config.layers, read.config.width, read.config.p) == (1, 4, P)
    for change, words in (
        ({"l3.weight": torch.ones(4, 4)}, "holds 'l3.weight'"),
        ({"l1.weight": torch.ones(3, 4)}, r"W has shape \(3, 4\)"),
        ({"embed.weight": torch.ones(8, 4)}, "p must be odd"),
    ):
        torch.save(model | change, path)
        with pytest.raises(ValueError, match=words):
            zhong2023.read(path)


def test_other_files_are_not_recognised(tmp_path):
    text, other = tmp_path / "a.txt", tmp_path / "b.pth"
    text.write_text("no")
    torch.save({"x": torch.ones(2)}, other)
    (tmp_path / "c.pth").write_bytes(b"no tensors")
    for path in (text, other, tmp_path / "c.pth", tmp_path, tmp_path / "none.pt"):
        assert not nanda2023.recognise(path)
        assert not zhong2023.recognise(path)
    with pytest.raises(ValueError, match="holds no sweep"):
        nanda2023.read_sweep(other)
