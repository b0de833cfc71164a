"""What the neurons learned, in the terms of the published Observations 1 to 4."""
