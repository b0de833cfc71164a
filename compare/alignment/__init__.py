"""Alignment scores of a run, and how they go along with test accuracy."""
