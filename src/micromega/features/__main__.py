"""`python -m micromega.features`: texts and media to feature arrays."""

from micromega.cli import extract

if __name__ == "__main__":
    extract()
