"""One folder per model, holding all of it."""
