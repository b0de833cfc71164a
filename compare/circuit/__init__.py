"""Whether a network adds by waves of a few frequencies, in which way, and since when."""
