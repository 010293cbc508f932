"""How fast a chain becomes a mirror, beside what others make of the same chain."""
