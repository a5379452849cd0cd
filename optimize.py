"""Turn score tables into a certified plan and a report: `python optimize.py experiment=mir/simulated`."""

from micromega.cli import optimize

if __name__ == "__main__":
    optimize()
