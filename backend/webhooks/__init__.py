"""Events to the buyer's own servers, by Standard Webhooks."""
