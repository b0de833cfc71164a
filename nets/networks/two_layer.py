"""The two-layer network f(x, y)[j] = sum_m xi_m[j] sigma(theta_m[x] + theta'_m[y]), no biases."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from grokode.nets.networks.activations import ACTIVATIONS, check_activation
from grokode.nets.networks.base import Layout, Objective, Parameters
from grokode.nets.networks.recipes import SEED_RECIPES
from grokode.nets.networks.starts import INITIALISATIONS
from grokode.nets.records import check_choice, check_least
from grokode.nets.tasks.modular import Modular

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from grokode.nets.tasks.base import Task
    from grokode.nets.tasks.examples import Examples

__all__ = ["TwoLayer"]

_NO_RECIPE = ("given", "published")
"""What a run is said to start from whose start no recipe drew."""

BESIDE = ("theta_y", "embedding", "projection", "projection_y")
"""What a given start has beside its spectrum, where it is trained."""


@dataclass(frozen=True)
class TwoLayer:
    """A hidden layer over the sum of two inputs' weights.

    Its parameters are theta (neuron, x), theta_y (neuron, y) with separate inputs, and xi
    (neuron, output). With an embedding, theta is the product of the projection (neuron, feature)
    and the embedding (residue, feature), and these are the parameters.

    Parameters
    ----------
    neurons : int
        Width of the network.
    activation : str
        Of the neurons, a name in `ACTIVATIONS`.
    separate_inputs : bool
        Give y input weights of its own, theta_y, rather than those of x.
    embedding : int, optional
        Train theta as a product of input weights and a learned embedding of this dimension, drawn
        as N(0, 1) / sqrt(embedding); the input weights are drawn as scale * N(0, 1) /
        sqrt(embedding).
    dropout : float
        Probability that a neuron is left out of a pair's logits while training.
    initial : str
        Recipe of the start, a name in `INITIALISATIONS`.
    scale : float
        Size of the initial weights: gaussian draws scale * N(0, 1) / sqrt(p), the others set every
        magnitude alpha and beta to it.
    seed_recipe : str
        How a seed becomes start and split: grokode, or he2026, as the code of arXiv:2602.16849
        draws them, see `grokode.nets.networks.recipes`.

    Raises
    ------
    ValueError
        For a value out of range, naming it.

    Examples
    --------
    >>> TwoLayer(neurons=8).layout(Modular(p=5))["xi"].shape
    (8, 5)
    """

    CHOICES: ClassVar[dict[str, Collection[str]]] = {
        "activation": ACTIVATIONS,
        "initial": INITIALISATIONS,
    }

    neurons: int
    activation: str = "quadratic"
    separate_inputs: bool = False
    embedding: int | None = None
    dropout: float = 0.0
    initial: str = "gaussian"
    scale: float = 0.1
    seed_recipe: str = "grokode"

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", check_activation(self.activation))
        check_choice("initial", self.initial, (*INITIALISATIONS, *_NO_RECIPE))
        check_least(self, 1, "neurons", "embedding")
        if not 0 < self.scale < np.inf:
            raise ValueError(f"scale must be positive and finite, got {self.scale}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        check_choice("seed_recipe", self.seed_recipe, SEED_RECIPES)
        if self.seed_recipe != "grokode" and (self.separate_inputs or self.embedding):
            raise ValueError(
                f"seed_recipe {self.seed_recipe!r} draws one set of input weights; leave out "
                "separate_inputs and embedding, or the recipe"
            )

    @property
    def symmetric(self) -> bool:
        """Whether x and y share their input weights."""
        return not self.separate_inputs

    @property
    def steady(self) -> bool:
        """Whether no step draws anything."""
        return not self.dropout

    def layout(self, task: "Task") -> dict[str, Layout]:
        """The parameters by name, neurons innermost in memory: all per pair runs along them."""
        p, neurons = _modulus(task), self.neurons
        names = ("theta", "theta_y") if self.separate_inputs else ("theta",)
        if self.embedding is None:
            dims = {"theta": "x", "theta_y": "y"}
            inputs = {name: Layout(("neuron", dims[name]), (neurons, p), True) for name in names}
        else:
            d = self.embedding
            inputs = {"embedding": Layout(("residue", "feature"), (p, d))} | {
                name.replace("theta", "projection"): Layout(
                    ("neuron", "feature"), (neurons, d), True
                )
                for name in names
            }
        return inputs | {"xi": Layout(("neuron", "output"), (neurons, task.classes), True)}

    def draw(
        self, task: "Task", seed: int, initial: "xr.Dataset | None" = None
    ) -> dict[str, NDArray[Any]]:
        """A start from the configured recipe, or from a given spectrum.

        Raises
        ------
        ValueError
            If the spectrum does not fit, or there is neither one nor a recipe.
        """
        p = _modulus(task)
        if initial is not None:
            return self._given(task, initial)
        if self.initial not in INITIALISATIONS:
            raise ValueError(
                f"initial {self.initial!r} names no recipe; pass the spectrum to start from, or "
                f"choose one of {', '.join(INITIALISATIONS)}"
            )
        theta, xi = self._recipe(p, seed)
        if self.embedding is not None:
            return self._factors(p, seed) | {"xi": xi}
        if not self.separate_inputs:
            return {"theta": theta, "xi": xi}
        # As large as theta and drawn apart from it.
        return {"theta": theta, "theta_y": self._recipe(p, seed + 2**32)[0], "xi": xi}

    def order(self, task: "Task", seed: int) -> NDArray[np.int64] | None:
        """The pairs in the order in which a recipe takes them for training, if it has one."""
        recipe = SEED_RECIPES[self.seed_recipe]
        if recipe is None:
            return None
        return recipe(self.initial, _modulus(task), self.neurons, self.scale, seed)[2]

    def _recipe(self, p: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
        recipe = SEED_RECIPES[self.seed_recipe]
        if recipe is not None:
            theta, xi, _ = recipe(self.initial, p, self.neurons, self.scale, seed)
            return theta, xi
        from grokode.theory import fourier

        drawn = INITIALISATIONS[self.initial](p, self.neurons, self.scale, seed)
        # As fourier.weights has them; to look at what was just drawn takes twice as long.
        waves = drawn.theta_mean, drawn.theta_hat, drawn.xi_mean, drawn.xi_hat
        theta_mean, theta_hat, xi_mean, xi_hat = (values.values for values in waves)
        return fourier.from_waves(theta_mean, theta_hat), fourier.from_waves(xi_mean, xi_hat)

    def _given(self, task: "Task", initial: "xr.Dataset") -> dict[str, NDArray[Any]]:
        from grokode.theory import fourier

        weights = fourier.weights(initial)
        shape = (self.neurons, _modulus(task))
        if weights.theta.shape != shape:
            raise ValueError(
                f"initial has weights of shape {weights.theta.shape}, the configuration asks for "
                f"(neurons, p) = {shape}; change one of them"
            )
        trained = {"theta_y": self.separate_inputs, "projection_y": self.separate_inputs}
        if self.embedding is None:
            trained |= dict.fromkeys(("embedding", "projection", "projection_y"), False)
        for name, asked in trained.items():
            if name in initial and not asked:
                raise ValueError(
                    f"initial has {name}, which this network does not train; leave it out, or ask "
                    f"for {'separate_inputs' if name.endswith('_y') else 'an embedding'}"
                )
        given = {"theta": weights.theta, "theta_y": weights.theta.rename(x="y"), "xi": weights.xi}
        given |= {name: initial[name] for name in BESIDE if name in initial}
        parameters = {
            name: _values(given, name, layout) for name, layout in self.layout(task).items()
        }
        if self.embedding is not None:
            products = self.weights(parameters)
            for name in ("theta", "theta_y") if "theta_y" in initial else ("theta",):
                _check_product(name, products[name], given[name].transpose("neuron", ...).values)
        return parameters

    def _factors(self, p: int, seed: int) -> dict[str, NDArray[Any]]:
        d = self.embedding or 0
        names = ("projection", "projection_y") if self.separate_inputs else ("projection",)
        rng = np.random.default_rng((seed, 3))
        embedding = rng.normal(size=(p, d)) / np.sqrt(d)
        drawn = rng.normal(size=(len(names), d, self.neurons)) * self.scale / np.sqrt(d)
        return {"embedding": embedding} | {
            name: projection.T for name, projection in zip(names, drawn, strict=True)
        }

    def outputs(self, parameters: Parameters, inputs: NDArray[Any]) -> "Tensor":
        """Logits (seed, example, residue)."""
        from grokode.nets.networks import two_layer_model

        return two_layer_model.outputs(two_layer_model.layers(parameters), inputs, self.activation)

    def objective(
        self,
        task: "Task",
        examples: "Examples",
        parameters: Parameters,
        gradients: Parameters,
        seeds: Sequence[int],
    ) -> Objective:
        """Loss with its gradient written out, fused where it can be."""
        from grokode.nets.networks.two_layer_model import objective

        criterion = task.criterion(examples)
        return objective(
            self.activation, self.dropout, criterion, examples, parameters, gradients, seeds
        )

    def weights(self, parameters: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Theta, theta_y if there is one, and xi of parameters (..., *shape)."""
        from grokode.nets.networks.two_layer_model import composed

        return dict(parameters) if self.embedding is None else composed(parameters)

    def work(self, task: "Task") -> int:
        """Hidden values over all pairs."""
        return self.neurons * _modulus(task) ** 2


def _check_product(name: str, product: NDArray[Any], layer: NDArray[Any]) -> None:
    off = abs(product - layer).max()
    # Parameters of float32, composed in float32 or in float64.
    if not off <= 1e-5 * abs(layer).max():
        raise ValueError(
            f"initial has {name} and factors whose product is another, by {off:.3g}; take all of "
            "them from one checkpoint"
        )


def _values(given: "Mapping[str, xr.DataArray]", name: str, layout: Layout) -> NDArray[Any]:
    """A parameter of a given start, or why it is none."""
    if name not in given:
        raise ValueError(
            f"initial has no {name}, which this network trains; add it {layout.dims} beside the "
            "spectrum, or leave initial out"
        )
    values = given[name]
    if set(values.dims) != set(layout.dims) or values.transpose(*layout.dims).shape != layout.shape:
        raise ValueError(
            f"initial has {name} of shape {dict(values.sizes)}, the configuration asks for "
            f"{dict(zip(layout.dims, layout.shape, strict=True))}; change one of them"
        )
    if values.dtype.kind not in "fiu":
        raise ValueError(f"initial has {name} of type {values.dtype}; give real numbers")
    if not np.isfinite(values).all():
        raise ValueError("initial has weights that are NaN or infinite; start from finite ones")
    for dim in ("y", "residue"):
        if dim in values.indexes:
            values = values.sortby(dim)
            if not np.array_equal(values[dim], np.arange(values.sizes[dim])):
                raise ValueError(f"initial has {name} with a gap in {dim}; give all residues")
    return np.asarray(values.transpose(*layout.dims).values)


def _modulus(task: "Task") -> int:
    if not isinstance(task, Modular):
        raise ValueError(
            f"network two_layer answers pairs of residues, got the task {type(task).__name__}; "
            "choose the task modular"
        )
    return task.p
