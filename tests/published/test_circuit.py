"""Published transformers: their losses replayed from the seed, and their circuits in numbers.

Numbers without a source are those measured before, by other code, on the same files.
"""

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.compare.circuit.claims import judge_circuit
from grokode.compare.circuit.computation import of_summed_embeddings, of_transformer
from grokode.compare.circuit.measures import circuit
from grokode.compare.circuit.waves import (
    SumWaves,
    blocks_only,
    cross_entropy,
    restricted_loss,
)
from grokode.nets.networks import SummedEmbeddings
from grokode.nets.readers import nanda2023, zhong2023
from grokode.nets.tasks.examples import Examples
from grokode.nets.training.ensemble import Ensemble
from grokode.nets.training.requests import split, start
from tests.published.conftest import FOLDER

DATA = FOLDER.parent
WD, NO_WD, SWEEP = (
    DATA / "nanda2023" / name
    for name in (
        "wd_10-1_mod_addition_loss_curve.pth",
        "mod_addition_no_wd.pth",
        "mod_addition_frac_train_sweep.pth",
    )
)
ZHONG = DATA / "zhong2023"

pytestmark = pytest.mark.skipif(
    not (WD.exists() and ZHONG.is_dir()), reason="the published files are not beside the checkout"
)


def computation_of(imported):
    (parameters,) = imported.parameters.values()
    network = imported.config.network
    if isinstance(network, SummedEmbeddings):
        return of_summed_embeddings(network, parameters)
    measured = of_transformer(network, parameters)
    if imported.train is None:
        return measured
    return measured.with_training_pairs(imported.config.data.inputs[imported.train])


@pytest.fixture(scope="module")
def wd():
    return nanda2023.read(WD)


@pytest.fixture(scope="module")
def wd_circuit(wd):
    return circuit(computation_of(wd))


@pytest.fixture
def one_thread():
    """Two threads wait for each other at every product where the second core is taken."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_recorded_losses_are_followed_from_the_seed(wd, one_thread):
    """Their start and split drawn again: first to rounding, which then grows step by step."""
    config = nets.preset("nanda2023/mainline", seed=1, weight_decay=0.1)
    rows = split(config, (1,), None)
    examples = Examples.of(config.data, (1,), list(rows["train"]), dtype=torch.float32)
    ensemble = Ensemble(config, (1,), start(config, (1,), None), examples, "cpu")
    errors = []
    for step in range(51):
        loss = float(ensemble.loss(step))
        errors.append(abs(loss / wd.metrics[step]["train_loss"] - 1))
        ensemble.update(step)
    # 3e-10 at the first: float32 logits, averaged over 3830 pairs. Measured 7e-10, 1e-7, 1e-4.
    assert errors[0] < 1e-9
    assert max(errors[:6]) < 1e-8
    assert max(errors[:11]) < 1e-6
    assert max(errors) < 1e-3


def test_splits_are_recovered(wd):
    assert (wd.config.seed, wd.config.train_fraction, len(wd.train)) == (1, 0.3, 3830)
    assert (wd.config.weight_decay, wd.config.steps) == (0.1, 107_791)
    no_wd = nanda2023.read(NO_WD)
    assert (no_wd.config.seed, no_wd.config.train_fraction, len(no_wd.train)) == (0, 0.9, 11492)
    # Test losses of this file were kept every tenth step.
    assert {step for step in wd.metrics if "test_loss" in wd.metrics[step]} == set(
        range(0, 107_791, 10)
    )
    assert zhong2023.read(ZHONG / "model_p99zdpze5l.pt").train is None


def test_circuit_of_wd_10_1(wd_circuit):
    measured = wd_circuit
    assert measured.key.values.tolist() == [6, 23, 37, 39, 41]
    assert float(measured.accuracy) == 1
    losses = dict(zip(measured.part.values.tolist(), measured.loss.values.tolist(), strict=True))
    assert losses["train"] == pytest.approx(9.202e-9, rel=1e-4)
    assert losses["test"] == pytest.approx(4.988e-7, rel=1e-4)
    assert float(measured.restricted_loss.sel(part="all")) == pytest.approx(2.20e-9, rel=2e-3)
    assert float(measured.excluded_loss) == pytest.approx(8.385, rel=1e-4)
    assert float(measured.key_gap) > 4


def test_clock_and_pizza_live_in_one_published_network(wd_circuit):
    """Not in the papers: of its five circles one is a clock, and three are pizzas."""
    better = wd_circuit.circle_r2.idxmax("form")
    assert better.sel(key=23) == "clock"
    assert (better.sel(key=[37, 39, 41]) == "pizza").all()
    assert (wd_circuit.circle_r2.max("form") > 0.95).all()


def test_circuit_without_weight_decay():
    measured = circuit(computation_of(nanda2023.read(NO_WD)))
    assert measured.key.values.tolist() == [36, 52]
    losses = dict(zip(measured.part.values.tolist(), measured.loss.values.tolist(), strict=True))
    assert losses["train"] == pytest.approx(1.681e-10, rel=1e-3)
    assert losses["test"] == pytest.approx(1.110e-6, rel=1e-3)


def test_restricted_to_directions_and_to_blocks_differ():
    measured = computation_of(nanda2023.read(NO_WD))
    keys, p = [26, 36, 41, 52], measured.p
    answers = np.add.outer(np.arange(p), np.arange(p)) % p
    directions = restricted_loss(SumWaves.of(measured.logits), keys)
    blocks = cross_entropy(blocks_only(measured.logits, keys), answers)
    assert (directions, blocks) == pytest.approx((2.5e-11, 1.3e-3), rel=0.02)


def test_first_small_test_loss_of_the_sweep():
    sweep = nanda2023.read_sweep(SWEEP)
    expected = {0.95: 157, 0.8: 252, 0.6: 440, 0.5: 956, 0.4: 3109, 0.3: 7930}
    for fraction, step in (expected | {0.28: 15037, 0.25: 21848}).items():
        low = (sweep.test_loss.sel(fraction=fraction) < 0.1).values
        assert int(low.argmax()) == step, fraction
    assert not nanda2023.recognise(ZHONG / "model_p99zdpze5l.pt")
    with pytest.raises(ValueError, match="loss curves without weights"):
        nanda2023.read(SWEEP)


def test_pizza(published):
    measured = circuit(computation_of(zhong2023.read(ZHONG / "model_p99zdpze5l.pt")))
    assert measured.key.values.tolist() == [3, 15, 17]
    assert float(measured.sum_squares) == pytest.approx(22.854**2, rel=1e-4)
    assert float(measured.distance_irrelevance) == pytest.approx(0.1717, abs=5e-5)
    # Theirs is over 100 random triples.
    assert float(measured.gradient_symmetricity) == pytest.approx(0.994, abs=5e-3)
    # Each circle alone is a pizza; together with the second harmonics all logits are a clock's.
    assert (measured.circle_r2.sel(form="pizza") > 0.99).all()
    assert float(measured.kernel_r2.sel(form="clock")) > 0.99


def test_clock():
    measured = circuit(computation_of(zhong2023.read(ZHONG / "model_l8k1hzciux.pt")))
    assert measured.key.values.tolist() == [13, 16, 21]
    assert float(measured.distance_irrelevance) == pytest.approx(0.848, abs=1e-3)
    # Theirs is over 100 random triples: 0.334, with a standard error near 0.05.
    assert float(measured.gradient_symmetricity) == pytest.approx(0.334, abs=0.05)


@pytest.mark.parametrize(
    ("name", "keys"), [("q9rsl94xlv", [4, 12, 19, 21]), ("amw6ox6bzn", [1, 5, 8, 17, 20])]
)
def test_keys_of_other_published_networks(name, keys):
    measured = circuit(computation_of(zhong2023.read(ZHONG / f"model_{name}.pt")))
    assert measured.key.values.tolist() == keys
    assert float(measured.accuracy) == 1


def test_what_is_no_solution_has_no_claims():
    imported = zhong2023.read(ZHONG / "model_n9n7h3p965.pt")
    measured = circuit(computation_of(imported))
    assert float(measured.accuracy) == pytest.approx(0.58, abs=0.005)
    assert measured.attrs["no_keys"]
    verdicts = judge_circuit(measured)
    assert {verdict.verdict for verdict in verdicts} == {"not measured"}
    assert all("58% of the pairs: it is no solution" in verdict.reason for verdict in verdicts)


def test_attention_rate_is_found_where_no_config_says_it(tmp_path):
    """Of a file under another name, by the least loss: 0 of the pizza."""
    copy = tmp_path / "mine.pt"
    copy.write_bytes((ZHONG / "model_p99zdpze5l.pt").read_bytes())
    assert zhong2023.read(copy).config.attention_rate == 0
    (tmp_path / "config_mine.json").write_text('{"attn_coeff": 0.25}')
    copy.rename(tmp_path / "model_mine.pt")
    assert zhong2023.read(tmp_path / "model_mine.pt").config.attention_rate == 0.25
