"""The activations of the network, each with its slope, on torch tensors (not imported here)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING

from grokode.theory.spelling import spelled

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ACTIVATIONS", "Activation", "check_activation"]


@dataclass(frozen=True)
class Activation:
    """An activation sigma.

    Parameters
    ----------
    value : function z -> sigma(z)
    times_slope : function (gradient, z) -> gradient * sigma'(z), which may overwrite the gradient
    """

    value: "Callable[[Tensor], Tensor]"
    times_slope: "Callable[[Tensor, Tensor], Tensor]"


def _softplus(scale: float) -> Activation:
    """log(1 + e^(scale z)); torch's own is cut off at 20, which float64 would see."""
    return Activation(
        lambda z: (scale * z).logaddexp(z.new_zeros(())),
        lambda g, z: g.mul_((scale * z).sigmoid()).mul_(scale),
    )


def _relu_gradient(gradient: "Tensor", z: "Tensor") -> "Tensor":
    from torch import ops

    # One pass over both, where z > 0 would be an array of its own.
    found: Tensor = ops.aten.threshold_backward.grad_input(gradient, z, 0, grad_input=gradient)
    return found


def _normal_distribution(z: "Tensor") -> "Tensor":
    from torch.special import ndtr

    return ndtr(z)


def _gelu_slope(z: "Tensor") -> "Tensor":
    density = (-z * z / 2).exp() / sqrt(2 * pi)
    return _normal_distribution(z) + z * density


# The names are those of the swap table of arXiv:2602.16849, Observation 4.
ACTIVATIONS: dict[str, Activation] = {
    "quadratic": Activation(
        lambda z: z.square(), lambda g, z: g.new_zeros(()).addcmul(g, z, value=2)
    ),
    "relu": Activation(lambda z: z.relu(), _relu_gradient),
    "abs": Activation(lambda z: z.abs(), lambda g, z: g.mul_(z.sign())),
    "quartic": Activation(lambda z: z**4, lambda g, z: g.mul_(4 * z**3)),
    "gelu": Activation(lambda z: z * _normal_distribution(z), lambda g, z: g.mul_(_gelu_slope(z))),
    "softplus": _softplus(1.0),
    "softplus2": _softplus(2.0),
    "exp": Activation(lambda z: z.exp(), lambda g, z: g.mul_(z.exp())),
    "identity": Activation(lambda z: z, lambda g, z: g),
    "cubic": Activation(lambda z: z**3, lambda g, z: g.mul_(3 * z**2)),
}


def check_activation(name: str) -> str:
    """Our name of an activation, however it is spelled; ValueError if it is none of the network.

    Examples
    --------
    >>> check_activation("Quad"), check_activation("ReLU")
    ('quadratic', 'relu')
    """
    ours = spelled(name)
    if ours not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ours
