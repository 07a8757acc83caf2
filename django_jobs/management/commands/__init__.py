"""Commands parse, build and run; they hold no loop and no signal handling."""
