"""Can a global phase be aligned while no neuron is?
=================================================

Build such a network, and see its scores.

Half of the neurons have their output wave at twice their input phase, half opposite to it, and the
input phases nearly cancel; a small common part of all input waves then makes the global phase.

Data: a network made by hand, p = 23, 512 neurons; nothing is trained.

Run it::

    python examples/global_phase.py --out global_phase.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from grokode.compare.alignment.scores import RELIABLE_COHERENCE, alignment_scores, global_phases
from grokode.compare.common.style import save_figure
from grokode.theory import fourier


def counterexample(p: int, neurons: int) -> tuple[np.ndarray, np.ndarray]:
    """Waves A, B (neuron, frequency) with aligned global phases and neurons at D = 0 and pi."""
    angle = 2 * np.pi * np.arange(neurons) / neurons
    opposite = np.pi * (np.arange(neurons) % 2)
    frequencies = np.ones((p - 1) // 2)
    A = np.outer(np.exp(1j * angle) + 0.02, frequencies)
    # A common output phase of 0, towards which every second neuron is turned the wrong way.
    psi = np.where(opposite == 0, 2 * angle, 2 * angle + np.pi)
    B = np.outer(np.exp(1j * psi) + 0.02, frequencies)
    return A, B


def main(out: Path, p: int = 23, neurons: int = 512) -> None:
    """Score the counter-example and write the figure.

    Parameters
    ----------
    out : Path
        Figure file.
    p, neurons : int
        Modulus and width.
    """
    A, B = counterexample(p, neurons)
    zero = np.zeros(neurons)
    alignment = alignment_scores(fourier.from_waves(zero, A), fourier.from_waves(zero, B))
    D, coherence = global_phases(A, B)
    reliable = "reliable" if (coherence >= RELIABLE_COHERENCE).all() else "unreliable"
    print(
        f"ell_global_norm {alignment['ell_global_norm']:.3f}, ell_neuron_norm "
        f"{alignment['ell_neuron_norm']:.3f}; coherence {coherence[:, 0].round(3)}: {reliable}"
    )
    figure, (circle, bars) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    neuron_D = np.angle(A[:, 0] ** 2 * B[:, 0].conj())
    circle.scatter(np.cos(neuron_D), np.sin(neuron_D), s=12, color="#0072B2", label="neurons")
    circle.scatter(np.cos(D[0]), np.sin(D[0]), marker="*", s=160, color="#D55E00", label="global")
    circle.set(xlabel="cos D", ylabel="sin D", aspect="equal", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3))
    circle.legend(loc="center")
    names = [
        "ell_global_norm",
        "ell_neuron_norm",
        "coherence_in_weighted",
        "coherence_out_weighted",
    ]
    drawn = bars.barh(names, [alignment[name] for name in names], color="#0072B2")
    bars.bar_label(drawn, fmt="{:.2f}", padding=3)
    bars.invert_yaxis()
    bars.axvline(RELIABLE_COHERENCE, color="0.5", linestyle=":", label="least to rely on")
    bars.set(xlabel="score", xlim=(-0.1, 1.2))
    bars.legend(loc="lower right")
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("global_phase.png"))
    main(parser.parse_args().out)
