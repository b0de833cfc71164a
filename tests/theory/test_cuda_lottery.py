"""Tickets drawn from a counter, and lotteries on a device, simulated or real."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from grokode.theory import _philox
from grokode.theory.exact import blowup_time
from grokode.theory.streaming import stream_winners
from tests.theory.test_cuda_solvers import has_device

# The known answers of the authors' Random123, kat_vectors, philox4x32 10.
KNOWN = [
    ((0,) * 6, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((0xFFFFFFFF,) * 6, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("words", "answer"), KNOWN)
@pytest.mark.parametrize("function", [_philox.philox, _philox.philox.py_func])
def test_philox_gives_its_authors_answers(function, words, answer):
    assert " ".join(f"{word:08x}" for word in function(*words)) == answer


def tickets(neurons, p, seed, spread):
    """Waves (neuron, frequency) one by one."""
    drawn = [
        [_philox.ticket(neuron, k, seed, spread) for k in range(1, (p + 1) // 2)]
        for neuron in range(neurons)
    ]
    parts = np.moveaxis(np.array(drawn), -1, 0)
    return parts[0] + 1j * parts[1], parts[2] + 1j * parts[3]


def test_tickets_are_independent_gaussians():
    A, B = tickets(2000, 11, seed=5, spread=0.5)
    parts = np.stack([A.real, A.imag, B.real, B.imag]).reshape(4, -1)
    for part in parts:
        # One in a thousand seeds fails; this one does not.
        assert stats.kstest(part / 0.5, "norm").pvalue > 1e-3
    # Correlations of n = 10,000 pairs are N(0, 1/n): five deviations. Neighbours among them.
    columns = np.concatenate([parts, np.roll(parts, 1, axis=1)])
    assert abs(np.corrcoef(columns) - np.eye(8)).max() < 5 / np.sqrt(parts.shape[1])
    assert not np.array_equal(tickets(1, 11, 5, 1.0), tickets(1, 11, 5 + 2**32, 1.0))


def test_a_counted_stream_is_decided_by_the_blowup_times(tmp_path):
    p, scale = 11, 0.1
    A, B = tickets(700, p, 3, 2**0.5 * scale / p)
    T = blowup_time(A, B, p)
    won = stream_winners(p, 700, scale, 3, tmp_path / "a", chunk=256, generator="philox")
    np.testing.assert_array_equal(won.winner, T.argmin(1) + 1)
    # Fused products differ between a loop over arrays and a scalar call: a few roundings.
    np.testing.assert_allclose(won.blowup_time, T.min(1), rtol=1e-12)
    whole = stream_winners(p, 700, scale, 3, tmp_path / "b", chunk=2048, generator="philox")
    assert whole.equals(won)
    assert won.attrs["generator"] == "philox"


def test_streams_of_two_generators_do_not_mix(tmp_path):
    stream_winners(5, 256, 0.1, 0, tmp_path / "s")
    with pytest.raises(ValueError, match="is the stream of"):
        stream_winners(5, 256, 0.1, 0, tmp_path / "s", generator="philox", resume=True)
    with pytest.raises(ValueError, match="pcg64 on cpu, or philox"):
        stream_winners(5, 256, 0.1, 0, tmp_path / "t", device="cuda")
    with pytest.raises(ValueError, match="below 2\\*\\*63"):
        stream_winners(5, 256, 0.1, 2**63, tmp_path / "t", generator="philox")
    assert not (tmp_path / "t").exists()


@pytest.mark.skipif(has_device(), reason="there is a CUDA device")
def test_a_missing_device_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError, match="no CUDA device"):
        stream_winners(5, 256, 0.1, 0, tmp_path / "t", generator="philox", device="cuda")
    assert not (tmp_path / "t").exists()


# The simulator replaces numba.cuda on import, so it needs a process of its own.
SIMULATED = """
import sys
import numpy as np
from grokode.theory import cuda_lottery
from grokode.theory.exact import blowup_time
from grokode.theory.streaming import stream_winners

rng = np.random.default_rng(0)
A, B = rng.normal(size=(2, 150, 2)) @ [1, 1j]
A[:4], B[:4] = [0, 1e-200, 1, 2], [1, 1, 0.5**0.5, -1]  # fixed point, faint, separatrix, turning
np.testing.assert_allclose(
    cuda_lottery.blowup_time(A, B, 7), blowup_time(A, B, 7), rtol=1e-12
)
one = stream_winners(7, 300, 0.1, 1, sys.argv[1] + "/a", generator="philox")
two = stream_winners(7, 300, 0.1, 1, sys.argv[1] + "/b", generator="philox", device="cuda")
np.testing.assert_array_equal(one.winner, two.winner)
np.testing.assert_allclose(one.blowup_time, two.blowup_time, rtol=1e-12)
"""


def test_simulated_device_agrees_with_the_cpu(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SIMULATED, tmp_path],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not has_device(), reason="no CUDA device")
def test_device_agrees_with_the_cpu(tmp_path):
    from grokode.theory import cuda_lottery

    A, B = np.random.default_rng(0).normal(size=(2, 100_000, 2)) @ [1, 1j]
    # Sums of products that all but cancel: misaligned, with magnitudes near the separatrix.
    near = np.exp(1j * (np.pi + 10.0 ** -np.arange(1, 9)))
    A[:8], B[:8] = 1.0, 0.5**0.5 * near
    # As accurate as the CPU's, whose errors are below 1e-12.
    np.testing.assert_allclose(
        cuda_lottery.blowup_time(A, B, 23), blowup_time(A, B, 23), rtol=1e-11
    )
    one, two = (
        stream_winners(97, 10_000, 0.1, 1, tmp_path / device, generator="philox", device=device)
        for device in ("cpu", "cuda")
    )
    # Two tickets of a neuron may be equal to rounding, though not often.
    assert int((one.winner != two.winner).sum()) <= 1
    np.testing.assert_allclose(one.blowup_time, two.blowup_time, rtol=1e-11)
