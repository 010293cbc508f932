"""The buyer's commands; each module is loaded only when its command is invoked."""
