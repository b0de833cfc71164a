"""The stages of a training that holds out pairs, and theory beside them."""
