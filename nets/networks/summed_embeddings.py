"""Networks without attention: the embeddings of x and y are added and go through ReLU layers.

Parameters: embed, unembed (token, width), W (layer, out, in), b (layer, out).

Source: Zhong et al., arXiv:2306.17844, appendix on linear models, models A and B of their code.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SummedEmbeddings"]


@dataclass(frozen=True)
class SummedEmbeddings:
    """ReLU layers on the sum of two embeddings.

    Parameters
    ----------
    width : int
    layers : int

    Examples
    --------
    >>> network = SummedEmbeddings(width=4, layers=1)
    >>> ones = {"embed": torch.eye(3, 4)[None], "unembed": torch.eye(3, 4)[None]}
    >>> ones |= {"W": torch.eye(4)[None, None], "b": torch.zeros(1, 1, 4)}
    >>> network.outputs(ones, torch.tensor([[0, 0], [0, 2]]))[0].tolist()
    [[2.0, 0.0, 0.0], [1.0, 0.0, 1.0]]
    """

    width: int = 256
    layers: int = 2

    def outputs(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Logits (seed, example, output) of pairs (example, 2) or (seed, example, 2)."""
        return self.read(parameters, self.embed(parameters, inputs))[0]

    def embed(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Embedding of both tokens, (seed, example, 2, width)."""
        table = parameters["embed"]
        own = torch.arange(len(table), device=table.device)[:, None, None]
        return table[own, inputs.expand(len(table), *inputs.shape[-2:])]

    def read(self, parameters: Mapping[str, Tensor], stream: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and the last layer's neurons (seed, example, width) of embeddings."""
        hidden = stream.sum(2)
        for layer in range(self.layers):
            W, b = parameters["W"][:, layer], parameters["b"][:, layer]
            hidden = (hidden @ W.mT + b[:, None]).relu()
        return hidden @ parameters["unembed"].mT, hidden
