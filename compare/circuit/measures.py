"""The circuit that adds mod p by waves, measured in one network.

Sources: Nanda et al., arXiv:2301.05217, sections 4 and 5; Zhong et al., arXiv:2306.17844.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.circuit.computation import Computation
from grokode.compare.circuit.kernel_fits import circularity, distance_irrelevance, fit_kernels
from grokode.compare.circuit.neurons import (
    NeuronWaves,
    project_on_outputs,
    projection_shares,
    replace_by_waves,
)
from grokode.compare.circuit.waves import (
    SumWaves,
    blocks_only,
    cross_entropy,
    excluded_losses,
    frequency_norms,
    gini,
    pair_losses,
    restricted_loss,
    weighted,
)
from grokode.theory.fourier import fourier_basis

__all__ = [
    "ABLATIONS",
    "CLUSTERED",
    "SOLVED",
    "circuit",
    "gradient_symmetricity",
    "key_frequencies",
]

Array = NDArray[np.float64]

CLUSTERED = 0.85
"""A neuron belongs to a cluster if one frequency explains more of it (section 4.3)."""
SOLVED = 0.99
"""Part of all pairs answered rightly from which a network counts as a solution."""
KEY_PART = 4
"""A frequency is a key if its norm is above this part of the largest; see `key_frequencies`."""
ABLATIONS = {
    "key_span": "neurons cut down to what u_k and v_k of the keys read",
    "key_nullspace": "neurons without what u_k and v_k of the keys read",
    "no_skip": "what goes past the neurons left out",
    "mean_skip": "what goes past the neurons replaced by its mean over pairs",
    "polynomials": "clustered neurons replaced by polynomials of degree 2 in their waves",
}
_TRIPLES = 1000


def key_frequencies(computation: Computation) -> tuple[NDArray[np.int64], float, str]:
    """The frequencies that a network works with.

    Those whose norm in the map from neurons to logits is above a quarter of the largest one's. The
    embedding is no measure: it holds second harmonics 2 k too. Where there are no neurons, the norm
    of cos and sin of w_k (x + y) in the logits stands for it.

    Returns
    -------
    keys : integers (key,), ascending
    gap : float
        Norm of the smallest key over that of the largest other frequency; near 1 the choice is
        arbitrary. Infinite if the others are 0.
    rule : str
        What was looked at.
    """
    if computation.to_logits is None:
        norms, where = SumWaves.of(computation.logits).norms(), "logits"
    else:
        norms, where = frequency_norms(computation.to_logits), "neuron-logit map"
    is_key = norms > norms.max() / KEY_PART
    others = norms[~is_key].max(initial=0)
    gap = float(norms[is_key].min(initial=np.inf) / others) if others else np.inf
    return np.flatnonzero(is_key) + 1, gap, f"norm in the {where} above a quarter of the largest"


def gradient_symmetricity(computation: Computation, count: int = _TRIPLES) -> float:
    """Mean cosine of a logit's gradients by both embeddings, over random (x, y, output).

    Near 1 where x and y are added before anything is done to them ("pizza"). Zhong et al. draw 100
    triples; pairs whose gradient vanishes are left out, NaN if all do.

    Parameters
    ----------
    computation : Computation
    count : int
        Number of triples, drawn from a fixed seed.
    """
    rng = np.random.default_rng(0)
    slopes = computation.embedding_gradients(rng.integers(computation.p, size=(count, 3)))
    sizes = np.linalg.norm(slopes, axis=-1).prod(-1)
    alive = sizes > 0
    cosines = slopes.prod(1).sum(-1)[alive] / sizes[alive]
    return float(cosines.mean()) if alive.any() else float("nan")


def circuit(computation: Computation, keys: Sequence[int] | None = None) -> xr.Dataset:
    """Every measure of the circuit in a network whose right answer is x + y mod p.

    Parameters
    ----------
    computation : Computation
        For subtraction see `Computation.as_sum`.
    keys : sequence of int, optional
        Key frequencies, say those of the last checkpoint; by `key_frequencies` if not given.

    Returns
    -------
    Dataset
        Dimensions ``frequency`` 1..K, ``key``, ``neuron``, ``part`` (all, train, test), ``form``
        (clock, pizza), ``wave`` (cos, sin), ``ablation``. Losses in nats over p classes.

        ``accuracy, loss (part)``; ``embedding_norm, output_norm, logit_norm (frequency)`` with
        ``key_gap``; ``restricted_loss (part)`` and, cut down to blocks of products of cos and sin,
        ``restricted_blocks`` and ``restricted_blocks_linear``; ``excluded_loss``,
        ``excluded_loss_3d`` and ``excluded_loss_per_key (key)`` on the training pairs and their
        counterparts ``..._all`` on all pairs; ``kernel_r2 (form)``, ``kernel_scale (form, key)``;
        ``circle_r2 (form, key)``, of the key's own waves in the logits with an embedding that has
        this frequency alone; ``neuron_frequency, neuron_share (neuron)``, ``clustered``;
        ``projection_share (key, wave)``, ``output_residual``; ``ablated_loss (ablation)``;
        ``gini_embedding, gini_output, sum_squares``; ``gradient_symmetricity,
        distance_irrelevance, circularity``.

        What is not defined is NaN, and the text of ``<name>_reason`` says why. Attributes:
        ``p``, ``key_rule``, and ``no_keys``, why the keys are no choice at all (more than half of
        all frequencies, in what is no solution), else empty.

    Raises
    ------
    ValueError
        If the logits are not finite.
    """
    logits, p = computation.logits, computation.p
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite, got NaN or infinity; take an earlier checkpoint")
    frequencies, gap, rule = key_frequencies(computation)
    chosen = frequencies.tolist()
    if keys is not None:
        chosen, gap, rule = sorted(keys), np.nan, "given"
    answers = np.add.outer(np.arange(p), np.arange(p)) % p
    waves = SumWaves.of(logits)
    reasons: dict[str, str] = {}
    values: dict[str, Any] = _losses(computation, waves, chosen, answers, reasons)
    values |= _forms(computation, chosen, reasons)
    values |= _neurons(computation, chosen, answers, reasons)
    norms = np.sqrt(np.square(fourier_basis(p) @ computation.embedding).sum(1))
    values |= {
        "accuracy": (logits.argmax(-1) == answers).mean(),
        "embedding_norm": ("frequency", frequency_norms(computation.embedding)),
        "logit_norm": ("frequency", waves.norms()),
        "key_gap": gap,
        "gini_embedding": gini(norms),
        "sum_squares": computation.sum_squares,
    }
    coords = {
        "frequency": np.arange(1, p // 2 + 1),
        "key": chosen,
        "part": ["all", "train", "test"],
        "form": ["clock", "pizza"],
        "wave": ["cos", "sin"],
        "ablation": list(ABLATIONS),
    }
    values |= {f"{name}_reason": reason for name, reason in reasons.items()}
    attrs = {"p": p, "key_rule": rule, "no_keys": ""}
    # A solution may well use every frequency; what is none has noise alone.
    if len(chosen) > p // 4 and values["accuracy"] < SOLVED:
        many = f"{len(chosen)} of {p // 2} frequencies"
        attrs["no_keys"] = f"{many} are above a quarter of the largest, and it is no solution"
    return xr.Dataset(values, coords, attrs)


def _losses(
    computation: Computation,
    waves: SumWaves,
    keys: list[int],
    answers: NDArray[np.int64],
    reasons: dict[str, str],
) -> dict[str, Any]:
    logits, trained = computation.logits, computation.trained
    held_out = None if trained is None else 1 - trained
    missing = ["", "", ""]
    if trained is None:
        unknown = "the training pairs are not known"
        missing = ["", unknown, unknown]
        for name in ("excluded_loss", "excluded_loss_3d", "excluded_loss_per_key"):
            reasons[name] = unknown
    elif trained.all():
        missing[2] = "every pair was trained on"
    parts = [("all", None), ("train", trained), ("test", held_out)]

    def over_parts(mean: Callable[[Array | None], float]) -> list[float]:
        return [float("nan") if name != "all" and w is None else mean(w) for name, w in parts]

    losses = pair_losses(logits, answers)
    values: dict[str, Any] = {
        "loss_reason": ("part", missing),
        "loss": ("part", over_parts(partial(weighted, losses))),
        "restricted_loss": ("part", over_parts(partial(restricted_loss, waves, keys))),
        "restricted_blocks": cross_entropy(blocks_only(logits, keys), answers),
        "restricted_blocks_linear": cross_entropy(blocks_only(logits, keys, linear=True), answers),
    }
    together = excluded_losses(logits, waves, keys)
    alone = [excluded_losses(logits, waves, [k]) for k in keys]
    cosines = excluded_losses(logits, waves, keys, three_dimensional=True)
    for index, suffix in ((1, ""), (0, "_all")):
        values |= {
            f"excluded_loss{suffix}": over_parts(partial(weighted, together))[index],
            f"excluded_loss_3d{suffix}": over_parts(partial(weighted, cosines))[index],
            f"excluded_loss_per_key{suffix}": (
                "key",
                [over_parts(partial(weighted, of_key))[index] for of_key in alone],
            ),
        }
    return values


def _forms(computation: Computation, keys: list[int], reasons: dict[str, str]) -> dict[str, Any]:
    p, logits = computation.p, computation.logits
    fits = fit_kernels(logits, keys)
    basis = fourier_basis(p)
    circles = np.empty((2, len(keys)))
    for column, k in enumerate(keys):
        rows = basis[[0, 2 * k - 1, 2 * k]]
        own = computation.from_embedding(rows.T @ (rows @ computation.embedding))
        rows = rows[1:]
        only = fit_kernels((own - own.mean((0, 1))) @ rows.T @ rows, [k])
        circles[:, column] = [only[form][0] for form in ("clock", "pizza")]
    irrelevance = circular = float("nan")
    try:
        irrelevance = distance_irrelevance(logits)
    except ValueError as error:
        reasons["distance_irrelevance"] = str(error)
    try:
        circular = circularity(computation.embedding)
    except ValueError as error:
        reasons["circularity"] = str(error)
    return {
        "kernel_r2": ("form", [fits[form][0] for form in ("clock", "pizza")]),
        "kernel_scale": (("form", "key"), [fits[form][1] for form in ("clock", "pizza")]),
        "circle_r2": (("form", "key"), circles),
        "distance_irrelevance": irrelevance,
        "circularity": circular,
        "gradient_symmetricity": gradient_symmetricity(computation),
    }


def _neurons(
    computation: Computation,
    keys: list[int],
    answers: NDArray[np.int64],
    reasons: dict[str, str],
) -> dict[str, Any]:
    neurons, to_logits = computation.neurons, computation.to_logits
    nan = float("nan")
    if neurons is None or to_logits is None:
        for name in (
            "output_norm",
            "clustered",
            "projection_share",
            "output_residual",
            "ablated_loss",
            "gini_output",
        ):
            reasons[name] = "the network has no neurons, attention only"
        return {
            "output_norm": ("frequency", np.full(computation.p // 2, nan)),
            "neuron_frequency": ("neuron", np.zeros(0, int)),
            "neuron_share": ("neuron", np.zeros(0)),
            "clustered": nan,
            "projection_share": (("key", "wave"), np.full((len(keys), 2), nan)),
            "output_residual": nan,
            "ablated_loss": ("ablation", np.full(len(ABLATIONS), nan)),
            "gini_output": nan,
        }
    frequency, share = NeuronWaves.of(neurons).best()
    projections, residual = projection_shares(neurons, to_logits, keys)
    if np.isnan(residual):
        reasons["output_residual"] = "no neuron reaches the logits"
    read = project_on_outputs(neurons, to_logits, keys) @ to_logits.T
    direct = neurons @ to_logits.T
    skip = computation.logits - direct
    polynomials = replace_by_waves(neurons, CLUSTERED) @ to_logits.T
    # In the order of ABLATIONS.
    ablated = (
        skip + read,
        skip + direct - read,
        direct,
        direct + skip.mean((0, 1)),
        skip + polynomials,
    )
    rows = np.sqrt(np.square(fourier_basis(computation.p) @ to_logits).sum(1))
    return {
        "output_norm": ("frequency", frequency_norms(to_logits)),
        "neuron_frequency": ("neuron", frequency),
        "neuron_share": ("neuron", share),
        "clustered": int((share > CLUSTERED).sum()),
        "projection_share": (("key", "wave"), projections),
        "output_residual": residual,
        "ablated_loss": ("ablation", [cross_entropy(values, answers) for values in ablated]),
        "gini_output": gini(rows),
    }
