"""Files by content: modules, inputs, checkpoints, outputs."""
