"""The offers that providers signed."""
