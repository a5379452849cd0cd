"""Fit one experiment: checkpoints, metrics and lineage in a run folder of its own."""

from micromega.cli import train

if __name__ == "__main__":
    train()
