"""Networks without attention: the embeddings of x and y are added and go through ReLU layers.

Source: Zhong et al., arXiv:2306.17844, the linear models of their appendix; models A and B of their
code, drawn as there but for the generator.
"""

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

__all__ = ["SummedEmbeddings"]


@dataclass(frozen=True)
class SummedEmbeddings:
    """ReLU layers on the sum of two embeddings.

    Its parameters are embed, unembed (token, width), W (layer, out, in) and b (layer, out).

    Parameters
    ----------
    width : int
    layers : int
    initial : str
        zhong2023: embeddings N(0, 1) / sqrt(width / 2), unembedding N(0, 1) / sqrt(width), layers
        uniform to 1 / sqrt(width).

    Examples
    --------
    >>> from grokode.nets.tasks import Modular
    >>> SummedEmbeddings(width=4, layers=1).layout(Modular(p=3))["W"].shape
    (1, 4, 4)
    """

    CHOICES: ClassVar[dict[str, Collection[str]]] = {"initial": ("zhong2023",)}

    width: int = 256
    layers: int = 2
    initial: str = "zhong2023"

    def __post_init__(self) -> None:
        check_choice("initial", self.initial, ("zhong2023", "given", "published"))
        check_least(self, 1, "width", "layers")

    @property
    def symmetric(self) -> bool:
        """Always: the embeddings are added."""
        return True

    def layout(self, task: "Task") -> dict[str, Layout]:
        """The parameters by name."""
        table = Layout(("token", "width"), (pair_symbols(task, "summed_embeddings"), self.width))
        return {
            "embed": table,
            "W": Layout(("layer", "out", "in"), (self.layers, self.width, self.width)),
            "b": Layout(("layer", "out"), (self.layers, self.width)),
            "unembed": table,
        }

    def draw(
        self, task: "Task", seed: int, initial: "xr.Dataset | None" = None
    ) -> dict[str, NDArray[Any]]:
        """A start from the seed, or the given parameters."""
        layouts = self.layout(task)
        if initial is not None:
            return {name: np.asarray(initial[name], dtype=np.float64) for name in layouts}
        rng = np.random.default_rng(seed)
        tokens, width = layouts["embed"].shape
        bound = 1 / np.sqrt(width)
        return {
            "embed": rng.normal(size=(tokens, width)) / np.sqrt(width / 2),
            "W": rng.uniform(-bound, bound, layouts["W"].shape),
            "b": rng.uniform(-bound, bound, layouts["b"].shape),
            "unembed": rng.normal(size=(tokens, width)) * bound,
        }

    def outputs(self, parameters: Parameters, inputs: NDArray[Any]) -> "Tensor":
        """Logits (seed, example, residue) of pairs (example, 2) or (seed, example, 2)."""
        return self.read(parameters, self.embed(parameters, inputs))[0]

    def embed(self, parameters: Parameters, inputs: "NDArray[Any] | Tensor") -> "Tensor":
        """Embedding of both tokens, (seed, example, 2, width)."""
        import torch

        table = parameters["embed"]
        symbols = torch.as_tensor(inputs, device=table.device)
        own = torch.arange(len(table), device=table.device)[:, None, None]
        return table[own, symbols.expand(len(table), *symbols.shape[-2:])]

    def read(self, parameters: Parameters, stream: "Tensor") -> "tuple[Tensor, Tensor]":
        """Logits and the last layer's neurons (seed, example, width) of embeddings."""
        hidden = stream.sum(2)
        for layer in range(self.layers):
            W, b = parameters["W"][:, layer], parameters["b"][:, layer]
            hidden = (hidden @ W.mT + b[:, None]).relu()
        return hidden @ parameters["unembed"].mT, hidden

    def objective(
        self,
        task: "Task",
        examples: "Examples",
        parameters: Parameters,
        gradients: Parameters,
        seeds: Sequence[int],
    ) -> Objective:
        """Loss with its gradient by autograd."""
        from grokode.nets.networks.autograd import Autograd

        return Autograd(self, task, examples, parameters, gradients)

    def weights(self, parameters: Parameters) -> dict[str, Any]:
        """The parameters: nothing is composed."""
        return dict(parameters)

    def work(self, task: "Task") -> int:
        """Hidden values over all pairs."""
        return self.width * task.classes**2
