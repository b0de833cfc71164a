"""Names of activations as others spell them, in one place for every wing."""

__all__ = ["ALIASES", "spelled"]

ALIASES = {"quad": "quadratic", "id": "identity"}
"""Other spellings, as in the names of the published directories: Quad, ReLU, GeLU, Id."""


def spelled(name: str) -> str:
    """Our name of an activation, however it is spelled; one we do not know as it is.

    Examples
    --------
    >>> spelled("Quad"), spelled("ReLU"), spelled("tanh")
    ('quadratic', 'relu', 'tanh')
    """
    lower = str(name).lower()
    return ALIASES.get(lower, lower)
