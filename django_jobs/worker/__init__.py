"""The inside of `runworker`, usable without the command."""
