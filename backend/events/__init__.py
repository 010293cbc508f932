"""What happened to a job, in order: written where it happens, read by streams and webhooks."""
