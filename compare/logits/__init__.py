"""Whether logits are those of Proposition 1, and what they consist of."""
