"""What a network computes on all pairs, as the measures of its circuit take it.

Every measure is a function of the logits of all pairs, the last hidden layer and its map to the
logits, and the embedding. Here they are taken from the architectures that answer pairs mod p.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from grokode.nets.networks import Network, SummedEmbeddings, Transformer, transformer_model
from grokode.nets.networks.activations import ACTIVATIONS, check_activation
from grokode.nets.tasks import Modular
from grokode.nets.threads import one_thread_below
from grokode.theory.modulus import check_modulus

__all__ = ["Computation", "of_summed_embeddings", "of_transformer", "of_two_layer"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Read = Callable[[Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Computation:
    """A network on all pairs, in float64.

    Parameters
    ----------
    logits : array (x, y, output)
        Of the p residues; a class for "=" is left out.
    neurons : array (x, y, neuron), or None
        Last hidden layer, if there is one.
    to_logits : array (output, neuron), or None
        W_L, the linear map from it to the logits.
    embedding : array (x, width)
        What stands for a residue before anything is done to it.
    sum_squares : float
        Of all parameters.
    from_embedding : function (x, width) -> logits (x, y, output)
        The network with another embedding.
    embedding_gradients : function of integers (n, 3) -> array (n, 2, width)
        For every (x, y, output) the gradient of that logit by the embedding of x, and of y.
    trained : array (x, y), optional
        1 for pairs that were trained on, 0 for others; None if that is not known.
    """

    logits: Array
    neurons: Array | None
    to_logits: Array | None
    embedding: Array
    sum_squares: float
    from_embedding: Callable[[Array], Array] = field(repr=False)
    embedding_gradients: Callable[[Integers], Array] = field(repr=False)
    trained: Array | None = None

    @property
    def p(self) -> int:
        """The modulus."""
        return len(self.logits)

    def with_training_pairs(self, pairs: ArrayLike) -> "Computation":
        """The same, with the pairs (n, 2) that were trained on."""
        trained = np.zeros((self.p, self.p))
        trained[tuple(np.asarray(pairs).T)] = 1
        return replace(self, trained=trained)

    def as_sum(self, operation: str) -> "Computation":
        """The same with y renamed so that the answer is x + y: for subtraction, y becomes -y.

        Raises
        ------
        ValueError
            For an operation that no such renaming turns into addition mod p.
        """
        if operation == "addition":
            return self
        if operation != "subtraction":
            raise ValueError(f"answers of {operation} are no sum of x and y mod {self.p}")
        turned = -np.arange(self.p) % self.p

        def gradients(triples: Integers) -> Array:
            x, y, output = triples.T
            return self.embedding_gradients(np.stack([x, turned[y], output], 1))

        return replace(
            self,
            logits=self.logits[:, turned],
            neurons=None if self.neurons is None else self.neurons[:, turned],
            trained=None if self.trained is None else self.trained[:, turned],
            from_embedding=lambda embedding: self.from_embedding(embedding)[:, turned],
            embedding_gradients=gradients,
        )


def of_transformer(network: Transformer, parameters: Mapping[str, ArrayLike]) -> Computation:
    """A transformer's, of parameters without a seed dimension; see `Transformer.layout`.

    Raises
    ------
    ValueError
        If a parameter is missing, has another shape, or is not finite.

    Examples
    --------
    >>> network = Transformer(width=8, heads=2, neurons=16)
    >>> passed = of_transformer(network, network.draw(Modular(p=5), seed=0))
    >>> passed.logits.shape, passed.neurons.shape, passed.to_logits.shape
    ((5, 5, 5), (5, 5, 16), (5, 16))
    """
    if "W_E" not in parameters:
        raise ValueError(f"parameters must hold W_E, got {', '.join(parameters) or 'none'}")
    p = check_modulus(np.shape(parameters["W_E"])[-1] - network.equals)
    values = _checked(parameters, _shapes(network, p))
    embedding = values["W_E"][0].T[:p]
    to_logits = None
    if network.neurons:
        unembedding = values["W_E" if network.tied else "W_U"][0, :, :p]
        to_logits = (unembedding.T @ values["W_out"][0, -1]).numpy()

    def read(stream: Tensor) -> tuple[Tensor, Tensor | None]:
        passed = transformer_model.read(network, values, stream)
        return passed.logits[..., :p], passed.neurons[:, :, -1] if network.neurons else None

    def with_embedding(table: Array) -> dict[str, Tensor]:
        changed = values["W_E"].clone()
        changed[0, :, :p] = torch.tensor(table.T)
        return values | {"W_E": changed}

    return _computation(
        p,
        read,
        lambda pairs, table=None: transformer_model.embed(
            network, values if table is None else with_embedding(table), pairs
        ),
        embedding.numpy(),
        to_logits,
        values,
    )


def of_summed_embeddings(
    network: SummedEmbeddings, parameters: Mapping[str, ArrayLike]
) -> Computation:
    """That of a network that adds the embeddings, of parameters without a seed dimension."""
    if "embed" not in parameters or "W" not in parameters:
        raise ValueError(f"parameters must hold embed, W, b, unembed; got {', '.join(parameters)}")
    p = check_modulus(len(np.asarray(parameters["embed"])))
    values = _checked(parameters, _shapes(network, p))

    def embed(pairs: Tensor, table: Array | None = None) -> Tensor:
        return network.embed(
            values if table is None else values | {"embed": torch.tensor(table)[None]}, pairs
        )

    return _computation(
        p,
        lambda stream: network.read(values, stream),
        embed,
        values["embed"][0].numpy(),
        values["unembed"][0].numpy(),
        values,
    )


def of_two_layer(
    theta: ArrayLike, xi: ArrayLike, activation: str, theta_y: ArrayLike | None = None
) -> Computation:
    """A two-layer network's; its input weights (neuron, p) are the embedding.

    Parameters
    ----------
    theta, xi : array (neuron, p)
    activation : str
    theta_y : array (neuron, p), optional
        Input weights of y, where they are not those of x. Then ``from_embedding`` is not defined
        by one table, and changes x's and y's alike.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> of_two_layer(*rng.normal(size=(2, 4, 5)), "relu").neurons.shape
    (5, 5, 4)
    """
    sigma = ACTIVATIONS[check_activation(activation)].value
    layers = {"theta": theta, "xi": xi} | ({} if theta_y is None else {"theta_y": theta_y})
    shape = np.shape(theta)
    if len(shape) != 2:
        raise ValueError(f"theta must be a matrix (neuron, p), got shape {shape}")
    values = _checked(layers, dict.fromkeys(layers, shape))
    # (x, neuron), so that pairs take whole rows.
    tables = {name: values[name][0].T.contiguous() for name in layers if name != "xi"}
    p = check_modulus(shape[1])

    def embed(pairs: Tensor, table: Array | None = None) -> Tensor:
        of_x = tables["theta"] if table is None else torch.tensor(table)
        of_y = tables.get("theta_y", of_x) if table is None else of_x
        return torch.stack([of_x[pairs[..., 0]], of_y[pairs[..., 1]]], -2)[None]

    def read(stream: Tensor) -> tuple[Tensor, Tensor]:
        hidden = sigma(stream.sum(2))
        return hidden @ values["xi"], hidden

    embedding = tables["theta"].numpy()
    return _computation(p, read, embed, embedding, values["xi"][0].T.numpy(), values)


def _computation(
    p: int,
    read: Read,
    embed: Callable[..., Tensor],
    embedding: Array,
    to_logits: Array | None,
    values: Mapping[str, Tensor],
) -> Computation:
    residue = torch.arange(p)
    pairs = torch.cartesian_prod(residue, residue)
    work = p**2 * embedding.shape[1]

    def logits_of(table: Array) -> Array:
        with torch.no_grad(), one_thread_below(work):
            return read(embed(pairs, table))[0][0].numpy().reshape(p, p, p)

    def gradients(triples: Integers) -> Array:
        chosen = torch.tensor(np.asarray(triples))
        stream = embed(chosen[:, :2]).detach().requires_grad_()
        right = read(stream)[0][0].gather(1, chosen[:, 2:]).sum()
        (passed,) = torch.autograd.grad(right, stream)
        return passed[0, :, :2].numpy()

    with torch.no_grad(), one_thread_below(work):
        logits, neurons = read(embed(pairs))
    return Computation(
        logits=logits[0].numpy().reshape(p, p, p),
        neurons=None if neurons is None else neurons[0].numpy().reshape(p, p, -1),
        to_logits=to_logits,
        embedding=embedding,
        sum_squares=float(sum(value.square().sum() for value in values.values())),
        from_embedding=logits_of,
        embedding_gradients=gradients,
    )


def _shapes(network: Network, p: int) -> dict[str, tuple[int, ...]]:
    return {name: layout.shape for name, layout in network.layout(Modular(p=p)).items()}


def _checked(
    parameters: Mapping[str, ArrayLike], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Parameters in float64 with a seed dimension, if they are what they should be."""
    values = {}
    for name, shape in shapes.items():
        if name not in parameters:
            raise ValueError(f"parameters lack {name}; it should have shape {shape}")
        value = np.asarray(parameters[name], dtype=np.float64)
        if value.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
        if not np.isfinite(value).all():
            raise ValueError(f"{name} holds NaN or infinity; take an earlier checkpoint")
        values[name] = torch.tensor(value)[None]
    return values
