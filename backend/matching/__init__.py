"""One written rule pairs orders with offers."""
