"""One page about runs: what they are, which claims hold, and every question with its answer."""
