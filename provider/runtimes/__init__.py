"""What runs jobs on a provider's machine: one `Runtime` (model.py) for each runtime id of a manifest."""
