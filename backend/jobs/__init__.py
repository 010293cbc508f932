"""Jobs and the orders that buy them."""
