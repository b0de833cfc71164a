"""How networks are trained: records of the configuration, the loop, many seeds at once."""
