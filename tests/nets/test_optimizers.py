"""Our optimisers are torch's, without the second that torch's classes take to load."""

import subprocess
import sys

import pytest
import torch

from grokode.nets.training.optimizers import OPTIMIZERS
from grokode.theory.optimizer import OptimizerRule

CLASSES = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "own"),
    [("sgd", {}), ("sgd", {"momentum": 0.9}), ("adam", {}), ("adamw", {"betas": (0.8, 0.95)})],
)
def test_bits_and_states_are_those_of_torchs_class(name, own, dtype):
    generator = torch.Generator().manual_seed(0)
    mine, theirs = (torch.ones(3, 50, dtype=dtype) for _ in range(2))
    mine.grad, theirs.grad = torch.empty_like(mine), torch.empty_like(theirs)
    rule = OptimizerRule(optimizer=name, learning_rate=0.01, weight_decay=0.1, **own)
    settings = own if name == "sgd" else {"betas": rule.betas, "eps": rule.eps}

    def fresh():
        other = CLASSES[name]([theirs], lr=0.01, weight_decay=0.1, fused=True, **settings)
        return OPTIMIZERS[name](rule, [mine]), other

    ours, other = fresh()
    for _ in range(3):
        for _ in range(10):
            gradient = torch.randn(3, 50, generator=generator, dtype=dtype)
            mine.grad.copy_(gradient)
            theirs.grad.copy_(gradient)
            ours.step()
            other.step()
        assert torch.equal(mine, theirs)
        # Each goes on from what the other has kept.
        kept, kept_by_torch = ours.state_dict(), other.state_dict()
        ours, other = fresh()
        ours.load_state_dict(kept_by_torch)
        settings_of_torch = kept_by_torch["param_groups"][0]
        other.load_state_dict(
            kept | {"param_groups": [settings_of_torch | kept["param_groups"][0]]}
        )


def test_a_state_of_other_parameters_is_refused():
    def started(size):
        weights = torch.zeros(1, size)
        weights.grad = torch.ones(1, size)
        return OPTIMIZERS["adamw"](OptimizerRule(optimizer="adamw"), [weights])

    with pytest.raises(ValueError, match=r"exp_avg must be of shape \(1, 4\), got \(1, 5\)"):
        started(4).load_state_dict(started(5).state_dict())


def test_a_part_of_a_state_is_refused():
    weights = torch.zeros(1, 4)
    weights.grad = torch.ones(1, 4)
    state = OPTIMIZERS["adamw"](OptimizerRule(optimizer="adamw"), [weights]).state_dict()
    del state["state"][0]["exp_avg_sq"]
    with pytest.raises(ValueError, match="has no exp_avg_sq"):
        OPTIMIZERS["adamw"](OptimizerRule(optimizer="adamw"), [weights]).load_state_dict(state)


def test_a_training_does_not_load_torchs_compiler(tmp_path):
    code = (
        "import sys; from grokode import nets; "
        "nets.train(nets.TrainingConfig(p=7, neurons=8, steps=2), sys.argv[1]); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "run"], check=True)
