"""The market: it stores intentions, matches them, submits them, and learns facts only from the mirror."""
