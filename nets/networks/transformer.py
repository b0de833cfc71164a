"""Transformers that answer pairs: the published one-layer network and its variants.

Tokens x, y and, if there is one, "=" are embedded, each position adds a learned vector, every layer
adds causal attention and then a ReLU network to the residual stream, and the last position's stream
is unembedded. There is no LayerNorm. With "=" there is one class more than answers, for "=".

Sources: Nanda et al., arXiv:2301.05217, section 3 and their published code; attention that is
partly constant, no "=": Zhong et al., arXiv:2306.17844, section 2.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from grokode.nets.networks.base import Layout, Objective, Parameters, pair_symbols
from grokode.nets.records import check_choice, check_least

if TYPE_CHECKING:
    import xarray as xr
    from torch import Tensor

    from grokode.nets.tasks.base import Task
    from grokode.nets.tasks.examples import Examples

__all__ = ["Transformer"]

_INITIAL = ("nanda2023", "given", "published")


@dataclass(frozen=True)
class Transformer:
    """A transformer of one or two layers.

    Its parameters are W_E (width, token), W_pos (position, width), W_K, W_Q, W_V (layer, head,
    head_width, width), W_O (layer, width, head_output), W_in (layer, neuron, width), b_in, W_out
    (layer, width, neuron), b_out, and W_U (width, token).

    Parameters
    ----------
    width : int
        Of the residual stream.
    heads : int
        Each of width / heads.
    neurons : int
        Of the ReLU network of a layer; 0 for attention only.
    layers : int
        1 or 2.
    attention_rate : float
        Attention is this times the softmax, plus 1 - rate for every position. At 0 it does not
        look at the tokens ("pizza" networks), at 1 it is the usual one.
    equals : bool
        Whether a token "=" follows x and y.
    tied : bool
        Unembed with the embedding, W_U = W_E.
    dropout : float
        Probability that a neuron (with attention only: a component of the heads' output) is left
        out of a pair's output while training.
    initial : str
        nanda2023: as their code draws it.

    Raises
    ------
    ValueError
        For a value out of range, naming it.

    Examples
    --------
    >>> from grokode.nets.tasks import Modular
    >>> network = Transformer(width=8, heads=2, neurons=16)
    >>> network.layout(Modular(p=5))["W_U"].shape
    (8, 6)
    """

    CHOICES: ClassVar[dict[str, Collection[str]]] = {"initial": ("nanda2023",)}

    width: int = 128
    heads: int = 4
    neurons: int = 512
    layers: int = 1
    attention_rate: float = 1.0
    equals: bool = True
    tied: bool = False
    dropout: float = 0.0
    initial: str = "nanda2023"

    def __post_init__(self) -> None:
        check_choice("initial", self.initial, _INITIAL)
        check_least(self, 1, "width", "heads", "layers")
        check_least(self, 0, "neurons")
        if self.width % self.heads:
            raise ValueError(
                f"heads must divide the width {self.width}, got {self.heads}; each head has "
                "width / heads components"
            )
        if self.layers > 2:
            raise ValueError(f"layers must be 1 or 2, got {self.layers}")
        if not 0 <= self.attention_rate <= 1:
            raise ValueError(f"attention_rate must be in [0, 1], got {self.attention_rate}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")

    @property
    def symmetric(self) -> bool:
        """Never: every position has a vector of its own."""
        return False

    @property
    def steady(self) -> bool:
        """Whether no step draws anything."""
        return not self.dropout

    def layout(self, task: "Task") -> dict[str, Layout]:
        """The parameters by name, in the order in which they are drawn."""
        tokens = pair_symbols(task, "transformer") + self.equals
        d, layers, head = self.width, self.layers, self.width // self.heads
        projection = Layout(("layer", "head", "head_width", "width"), (layers, self.heads, head, d))
        layouts = {
            "W_E": Layout(("width", "token"), (d, tokens)),
            "W_pos": Layout(("position", "width"), (2 + self.equals, d)),
            "W_K": projection,
            "W_Q": projection,
            "W_V": projection,
            "W_O": Layout(("layer", "width", "head_output"), (layers, d, d)),
        }
        if self.neurons:
            layouts |= {
                "W_in": Layout(("layer", "neuron", "width"), (layers, self.neurons, d)),
                "b_in": Layout(("layer", "neuron"), (layers, self.neurons)),
                "W_out": Layout(("layer", "width", "neuron"), (layers, d, self.neurons)),
                "b_out": Layout(("layer", "width"), (layers, d)),
            }
        return layouts if self.tied else layouts | {"W_U": Layout(("width", "token"), (d, tokens))}

    def draw(
        self, task: "Task", seed: int, initial: "xr.Dataset | None" = None
    ) -> dict[str, NDArray[Any]]:
        """A start as the code of Nanda et al. draws it: torch's generator, their order and scales.

        Every matrix is N(0, 1) / sqrt(width), but W_U N(0, 1) / sqrt(tokens); biases are 0.

        Parameters
        ----------
        task : Task
        seed : int
        initial : Dataset, optional
            Every parameter by name, to start from instead.

        Raises
        ------
        ValueError
            If what is given does not fit, or there is neither that nor a recipe.

        Examples
        --------
        >>> from grokode.nets.tasks import Modular
        >>> float(Transformer().draw(Modular(p=113), seed=1)["W_E"][0, 0].round(6))
        -0.134845
        """
        import torch

        layouts = self.layout(task)
        if initial is not None:
            return {name: _given(initial, name, layout) for name, layout in layouts.items()}
        if self.initial != "nanda2023":
            raise ValueError(
                f"initial {self.initial!r} names no recipe; pass the parameters to start from, or "
                "choose nanda2023"
            )
        generator = torch.Generator().manual_seed(seed)
        drawn = {name: torch.zeros(layout.shape) for name, layout in layouts.items()}
        blocks = [name for name, layout in layouts.items() if layout.dims[0] == "layer"]
        order: list[tuple[str, Any]] = [("W_E", ...), ("W_pos", ...)]
        order += [(name, layer) for layer in range(self.layers) for name in blocks]
        order += [] if self.tied else [("W_U", ...)]
        for name, part in order:
            if name.startswith("W"):
                values = drawn[name][part]
                scale = math.sqrt(values.shape[1] if name == "W_U" else self.width)
                values.copy_(torch.randn(values.shape, generator=generator) / scale)
        return {name: values.double().numpy() for name, values in drawn.items()}

    def outputs(self, parameters: Parameters, inputs: NDArray[Any]) -> "Tensor":
        """Logits (seed, example, class), one class more than answers with "="."""
        from grokode.nets.networks.transformer_model import activations

        return activations(self, parameters, inputs).logits

    def objective(
        self,
        task: "Task",
        examples: "Examples",
        parameters: Parameters,
        gradients: Parameters,
        seeds: Sequence[int],
    ) -> Objective:
        """Loss with its gradient by tables over tokens for one layer, by autograd for two."""
        from grokode.nets.networks.token_tables import TableGradient
        from grokode.nets.networks.transformer_autograd import TransformerAutograd

        kind = TableGradient if self.layers == 1 else TransformerAutograd
        return kind(self, task, examples, parameters, gradients, seeds)

    def weights(self, parameters: Parameters) -> dict[str, Any]:
        """The parameters: nothing is composed."""
        return dict(parameters)

    def work(self, task: "Task") -> int:
        """Hidden values over all pairs."""
        return max(self.width, self.neurons) * pair_symbols(task, "transformer") ** 2


def _given(initial: "xr.Dataset", name: str, layout: Layout) -> NDArray[Any]:
    if name not in initial:
        raise ValueError(f"initial lacks {name}, of shape {layout.shape}; give every parameter")
    values = np.asarray(initial[name], dtype=np.float64)
    if values.shape != layout.shape:
        raise ValueError(f"initial has {name} of shape {values.shape}, not {layout.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"initial has {name} that is NaN or infinite; start from finite values")
    return values
