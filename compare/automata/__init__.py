"""What the hidden states of a recurrent network are: clusters, the automaton they make, mergers."""
