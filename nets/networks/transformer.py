"""Transformers that answer pairs of residues: the published one-layer network and its variants.

Tokens x, y and, if there is one, "=" are embedded, each position adds a learned vector, every layer
adds causal attention and then a ReLU network to the residual stream, and the last position's stream
is unembedded. There is no LayerNorm. With "=" the logits have p + 1 classes, the last for "=".

Parameters, with the dimensions that they have on disk:

    W_E (width, token)      W_pos (position, width)      W_U (width, token), untied
    W_K, W_Q, W_V (layer, head, head_width, width)       W_O (layer, width, head_output)
    W_in (layer, neuron, width), b_in (layer, neuron)    W_out (layer, width, neuron), b_out

Sources: Nanda et al., arXiv:2301.05217, section 3 and their published code; attention that is partly
constant, no "=": Zhong et al., arXiv:2306.17844, section 2.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.theory.fourier import check_modulus

__all__ = ["Activations", "Transformer", "published_split"]

Array = NDArray[Any]
Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Activations:
    """What a transformer computes at the last position.

    Parameters
    ----------
    logits : Tensor (seed, example, class)
    attention : Tensor (seed, example, layer, head, position)
        What the last position takes from each, the constant part included.
    middle : Tensor (seed, example, layer, width)
        Residual stream after attention, before the ReLU network.
    neurons : Tensor (seed, example, layer, neuron)
        After the ReLU; no neurons if there is attention only.
    """

    logits: Tensor
    attention: Tensor
    middle: Tensor
    neurons: Tensor


@dataclass(frozen=True)
class Transformer:
    """A transformer's shape.

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
        look at the tokens ("pizza" networks), at 1 it is usual.
    equals : bool
        Whether a token "=" follows x and y.
    tied : bool
        Unembed with the embedding: W_U = W_E.
    dropout : float
        Probability that a neuron (with attention only: a component of the heads' output) is left
        out of an example's output while training.

    Examples
    --------
    >>> network = Transformer(width=8, heads=2, neurons=16)
    >>> start = network.draw(5, seed=0)
    >>> start["W_E"].shape, sum(values.size for values in start.values())
    ((8, 6), 656)
    >>> parameters = {name: torch.tensor(values)[None] for name, values in start.items()}
    >>> network.outputs(parameters, torch.tensor([[1, 2]])).shape
    torch.Size([1, 1, 6])
    """

    width: int = 128
    heads: int = 4
    neurons: int = 512
    layers: int = 1
    attention_rate: float = 1.0
    equals: bool = True
    tied: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("heads", 1), ("neurons", 0), ("layers", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
        if self.width % self.heads:
            raise ValueError(
                f"heads must divide the width {self.width}, got {self.heads}; each head has "
                "width / heads components"
            )
        if self.layers > 2:
            raise ValueError(f"layers must be 1 or 2, got {self.layers}")
        if not 0 <= self.attention_rate <= 1:
            raise ValueError(f"attention_rate must be in [0, 1], got {self.attention_rate!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout!r}")

    @property
    def positions(self) -> int:
        """Number of tokens read: 3 with "=", else 2."""
        return 2 + self.equals

    def layout(self, p: int) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
        """Dimensions and shape of every parameter, in the order in which they are drawn."""
        tokens = check_modulus(p) + self.equals
        d, layers, head = self.width, self.layers, self.width // self.heads
        projection = (("layer", "head", "head_width", "width"), (layers, self.heads, head, d))
        shapes: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
            "W_E": (("width", "token"), (d, tokens)),
            "W_pos": (("position", "width"), (self.positions, d)),
            "W_K": projection,
            "W_Q": projection,
            "W_V": projection,
            "W_O": (("layer", "width", "head_output"), (layers, d, d)),
        }
        if self.neurons:
            shapes |= {
                "W_in": (("layer", "neuron", "width"), (layers, self.neurons, d)),
                "b_in": (("layer", "neuron"), (layers, self.neurons)),
                "W_out": (("layer", "width", "neuron"), (layers, d, self.neurons)),
                "b_out": (("layer", "width"), (layers, d)),
            }
        if not self.tied:
            shapes["W_U"] = (("width", "token"), (d, tokens))
        return shapes

    def draw(self, p: int, seed: int) -> dict[str, Array]:
        """A start as the code of Nanda et al. draws it: torch's generator, their order and scales.

        Every matrix is N(0, 1) / sqrt(width), but W_U N(0, 1) / sqrt(tokens); biases are 0.

        Examples
        --------
        >>> float(Transformer().draw(113, seed=1)["W_E"][0, 0].round(6))
        -0.134845
        """
        shapes = {name: shape for name, (_, shape) in self.layout(p).items()}
        generator = torch.Generator().manual_seed(seed)
        drawn = {name: torch.zeros(shape) for name, shape in shapes.items()}
        blocks = [name for name, (dims, _) in self.layout(p).items() if dims[0] == "layer"]
        order: list[tuple[str, Any]] = [("W_E", ...), ("W_pos", ...)]
        order += [(name, layer) for layer in range(self.layers) for name in blocks]
        order += [] if self.tied else [("W_U", ...)]
        for name, part in order:
            if name.startswith("W"):
                values = drawn[name][part]
                scale = math.sqrt(shapes["W_E"][1] if name == "W_U" else self.width)
                values.copy_(torch.randn(values.shape, generator=generator) / scale)
        return {name: values.double().numpy() for name, values in drawn.items()}

    def outputs(self, parameters: Parameters, inputs: Tensor, kept: Tensor | None = None) -> Tensor:
        """Logits (seed, example, class), differentiable; see `activations`."""
        return self.activations(parameters, inputs, kept).logits

    def activations(
        self, parameters: Parameters, inputs: Tensor, kept: Tensor | None = None
    ) -> Activations:
        """Everything at the last position.

        Parameters
        ----------
        parameters : mapping of name to Tensor (seed, *shape)
        inputs : integers (example, 2), or (seed, example, 2)
            The residues x and y.
        kept : Tensor (seed, example, layer, neuron), optional
            Factors of dropout, one to a neuron; with attention only, to a component of the heads.
        """
        return self.read(parameters, self.embed(parameters, inputs), kept)

    def read(
        self, parameters: Parameters, stream: Tensor, kept: Tensor | None = None
    ) -> Activations:
        """As `activations`, from a residual stream (seed, example, position, width) of tokens."""
        attentions, middles, neurons = [], [], []
        for layer in range(self.layers):
            # Nothing reads the other positions of the last layer.
            last = layer == self.layers - 1
            factors = None if kept is None else kept[:, :, None, layer]
            added, attention = self._attention(parameters, layer, stream, last, factors)
            stream = stream[:, :, -1:] + added if last else stream + added
            attentions.append(attention[:, :, :, -1])
            middles.append(stream[:, :, -1])
            if self.neurons:
                W_in, b_in, W_out, b_out = (
                    parameters[name][:, layer] for name in ("W_in", "b_in", "W_out", "b_out")
                )
                z = torch.einsum("supd,smd->supm", stream, W_in) + b_in[:, None, None]
                active = z.relu()
                neurons.append(active[:, :, -1])
                active = active if factors is None else active * factors
                stream = stream + torch.einsum("supm,sdm->supd", active, W_out)
                stream = stream + b_out[:, None, None]
        unembedding = parameters["W_E" if self.tied else "W_U"]
        return Activations(
            torch.einsum("sud,sdc->suc", stream[:, :, -1], unembedding),
            torch.stack(attentions, 2),
            torch.stack(middles, 2),
            torch.stack(neurons, 2) if neurons else stream.new_empty(*stream.shape[:2], 1, 0),
        )

    def embed(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Embedding and position of every token, (seed, example, position, width)."""
        W_E = parameters["W_E"]
        seeds, _, tokens = W_E.shape
        if self.equals:
            sign = torch.full_like(inputs[..., :1], tokens - 1)
            inputs = torch.cat([inputs, sign], -1)
        inputs = inputs.expand(seeds, *inputs.shape[-2:])
        chosen = W_E.mT[torch.arange(seeds, device=W_E.device)[:, None, None], inputs]
        return chosen + parameters["W_pos"][:, None]

    def _attention(
        self, parameters: Parameters, layer: int, stream: Tensor, last: bool, kept: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What attention adds, and its pattern (seed, example, head, query, position)."""
        W_K, W_Q, W_V, W_O = (parameters[name][:, layer] for name in ("W_K", "W_Q", "W_V", "W_O"))
        keys = torch.einsum("shed,supd->suhpe", W_K, stream)
        queries = torch.einsum("shed,supd->suhpe", W_Q, stream[:, :, -1:] if last else stream)
        values = torch.einsum("shed,supd->suhpe", W_V, stream)
        scores = queries @ keys.mT / math.sqrt(W_K.shape[2])
        causal = torch.ones_like(scores[0, 0, 0]).tril(scores.shape[-1] - scores.shape[-2])
        pattern = scores.masked_fill(causal == 0, -torch.inf).softmax(-1)
        pattern = self.attention_rate * pattern + (1 - self.attention_rate) * causal
        heads = (pattern @ values).transpose(2, 3).flatten(3)
        if kept is not None and not self.neurons:
            heads = heads * kept
        return torch.einsum("supf,sdf->supd", heads, W_O), pattern


def published_split(p: int, fraction: float, seed: int) -> tuple[Array, Array]:
    """Training and test pairs as the code of Nanda et al. splits them.

    All pairs in order, shuffled by Python's ``random`` with this seed; the first ``fraction`` of
    them, rounded down, are trained on.

    Returns
    -------
    train, test : integers (n, 2)

    Examples
    --------
    >>> train, test = published_split(113, 0.3, seed=1)
    >>> len(train), len(test)
    (3830, 8939)
    """
    pairs = [(x, y) for x in range(check_modulus(p)) for y in range(p)]
    random.Random(seed).shuffle(pairs)
    shuffled = np.array(pairs)
    count = int(fraction * len(pairs))
    return shuffled[:count], shuffled[count:]
