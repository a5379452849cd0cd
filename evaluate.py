"""Turn a trained model into metrics and score tables: `python evaluate.py experiment=mir/simulated`."""

from micromega.cli import evaluate

if __name__ == "__main__":
    evaluate()
