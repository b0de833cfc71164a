"""What transformers compute at the last position, in torch; see `Transformer`."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.networks.base import Parameters

if TYPE_CHECKING:
    from grokode.nets.networks.transformer import Transformer

__all__ = ["Activations", "activations", "embed", "read"]


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


def activations(
    network: "Transformer",
    parameters: Parameters,
    inputs: NDArray[Any] | Tensor,
    kept: Tensor | None = None,
) -> Activations:
    """Everything at the last position, for pairs.

    Parameters
    ----------
    network : Transformer
    parameters : mapping of name to Tensor (seed, *shape)
    inputs : integers (example, 2), or (seed, example, 2)
        The symbols x and y.
    kept : Tensor (seed, example, layer, neuron), optional
        Factors of dropout, one to a neuron; with attention only, to a component of the heads.
    """
    return read(network, parameters, embed(network, parameters, inputs), kept)


def embed(network: "Transformer", parameters: Parameters, inputs: NDArray[Any] | Tensor) -> Tensor:
    """Embedding and position of every token, (seed, example, position, width)."""
    W_E = parameters["W_E"]
    seeds, _, tokens = W_E.shape
    symbols = torch.as_tensor(inputs, device=W_E.device)
    if network.equals:
        symbols = torch.cat([symbols, torch.full_like(symbols[..., :1], tokens - 1)], -1)
    symbols = symbols.expand(seeds, *symbols.shape[-2:])
    chosen = W_E.mT[torch.arange(seeds, device=W_E.device)[:, None, None], symbols]
    return chosen + parameters["W_pos"][:, None]


def read(
    network: "Transformer", parameters: Parameters, stream: Tensor, kept: Tensor | None = None
) -> Activations:
    """As `activations`, from a residual stream (seed, example, position, width) of tokens."""
    attentions, middles, neurons = [], [], []
    for layer in range(network.layers):
        # Nothing reads the other positions of the last layer.
        last = layer == network.layers - 1
        factors = None if kept is None else kept[:, :, None, layer]
        own = {name: value[:, layer] for name, value in parameters.items() if name in _BLOCK}
        of_heads = None if network.neurons else factors
        added, attention = _attention(network, own, stream, last, of_heads)
        stream = stream[:, :, -1:] + added if last else stream + added
        attentions.append(attention[:, :, :, -1])
        middles.append(stream[:, :, -1])
        if network.neurons:
            z = torch.einsum("supd,smd->supm", stream, own["W_in"]) + own["b_in"][:, None, None]
            active = z.relu()
            neurons.append(active[:, :, -1])
            active = active if factors is None else active * factors
            stream = stream + torch.einsum("supm,sdm->supd", active, own["W_out"])
            stream = stream + own["b_out"][:, None, None]
    unembedding = parameters["W_E" if network.tied else "W_U"]
    return Activations(
        torch.einsum("sud,sdc->suc", stream[:, :, -1], unembedding),
        torch.stack(attentions, 2),
        torch.stack(middles, 2),
        torch.stack(neurons, 2) if neurons else stream.new_empty(*stream.shape[:2], 1, 0),
    )


_BLOCK = ("W_K", "W_Q", "W_V", "W_O", "W_in", "b_in", "W_out", "b_out")


def _attention(
    network: "Transformer", own: Parameters, stream: Tensor, last: bool, kept: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What attention adds, and its pattern (seed, example, head, query, position)."""
    keys = torch.einsum("shed,supd->suhpe", own["W_K"], stream)
    queries = torch.einsum("shed,supd->suhpe", own["W_Q"], stream[:, :, -1:] if last else stream)
    values = torch.einsum("shed,supd->suhpe", own["W_V"], stream)
    scores = queries @ keys.mT / math.sqrt(keys.shape[-1])
    before = scores.new_ones(scores.shape[-2:]).tril(scores.shape[-1] - scores.shape[-2])
    pattern = scores.masked_fill(before == 0, -torch.inf).softmax(-1)
    pattern = network.attention_rate * pattern + (1 - network.attention_rate) * before
    heads = (pattern @ values).transpose(2, 3).flatten(3)
    if kept is not None:
        heads = heads * kept
    return torch.einsum("supf,sdf->supd", heads, own["W_O"]), pattern
