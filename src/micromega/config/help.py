"""What `--help` prints. Hydra's own page takes seconds to assemble, and lists its internals first."""

from pathlib import Path

_PURPOSE = {
    "train": "Fit one model on one market: checkpoints, metrics and lineage in a run folder of its own.",
    "evaluate": "Metrics of a trained model beside its baselines, and the score tables that optimize.py reads.",
    "optimize": "The best plan for a brand under its constraints, with a certificate and a report.",
}
_HIDDEN = {"features", "hydra", "paths"}  # features belong to `python -m micromega.features`


def help_text(task: str, conf: Path) -> str:
    """Describe a command: its groups with their choices, and how to override.

    Args:
        task: train, evaluate or optimize.
        conf: folder of the configuration files.

    Returns:
        The page.
    """
    groups = sorted(folder for folder in conf.iterdir() if folder.is_dir() and folder.name not in _HIDDEN)
    width = max(len(folder.name) for folder in groups)
    lines = [f"  {folder.name:<{width}}  {', '.join(_choices(folder))}" for folder in groups]
    return "\n".join(
        [
            f"{task}.py: {_PURPOSE[task]}",
            "",
            f"usage: python {task}.py [group=choice …] [key.path=value …] [--multirun] [--cfg job] [--hydra-help]",
            "",
            "groups and their choices:",
            *lines,
            "",
            "examples:",
            f"  python {task}.py experiment=mir/instagram_2017 seed=1",
            f"  python {task}.py model.hidden_size=256 data.list_length=4",
            f"  python {task}.py --multirun seed=0,1,2,3,4",
            f"  python {task}.py --cfg job                 show every key with its value, and stop",
            "",
            "The same request always has the same run folder: started again, it resumes or reuses what is there.",
        ]
    )


def _choices(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))
