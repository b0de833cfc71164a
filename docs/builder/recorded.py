"""Examples that take too long to be run whenever the site is built; it shows recorded pictures."""

LONG = {
    "clock_or_pizza": "two minutes on one core",
    "closing_proposition_1": "six minutes on one core",
    "grokking_interventions": "an hour on one core",
    "grokking_stages": "a few minutes on one core",
    "how_far_determined": "four minutes on one core",
    "progress_measures": "half a minute on one core",
    "proposition_1": "half a minute on one core",
    "published_configurations": "half an hour on two cores",
    "transformer_circuit": "half a minute on one core",
    "what_rows_hold": "half a minute on one core",
    "when_it_generalises": "half a minute on one core",
}
"""By name, and how long each takes."""
UPPER = {"grokking_stages": 4 / 9}
"""How much of a tall figure the picture shows."""
