"""Requests that cannot or must not be met: impossible campaigns, secrets in the open, configurations that attack."""

import json
import os
import pickle
from pathlib import Path

import pyarrow.parquet as pq
from kills import _caught
from lab import Lab, Process, Row, checkpoints, finished_as, refusal, row, run_folder
from tables import SCORED, scored


def impossible_campaigns(lab: Lab) -> Row:
    """Infeasible budget and coverage are refused with the budget that works; an empty budget has an empty plan."""
    place = scored(lab)

    def optimise(*overrides: str) -> Process:
        return lab.run("optimize", place, *SCORED, *overrides, tiny=False)

    def infeasible(words: tuple[str, ...], *overrides: str) -> str | None:
        before = set(place.glob("optimize/*/plan.parquet"))
        process = optimise(*overrides)
        if set(place.glob("optimize/*/plan.parquet")) != before:
            return "a plan was written"
        return refusal(process, 2, *words)

    def zero_budget() -> str | None:
        process = optimise("problem.budget=0")
        if process.status() != 0:
            return f"exit status {process.status()}: {process.output[-500:]}"
        (folder,) = (path.parent for path in place.glob("optimize/*/plan.parquet") if _budget(path) == 0)
        if pq.read_table(folder / "plan.parquet").num_rows:
            return "the plan costs something"
        return None if json.loads((folder / "certificate.json").read_text())["ok"] else "not certified"

    attempts = {
        "budget too small": lambda: infeasible(
            ("budget", "smallest budget"), "problem.budget=1", "problem.posts_per_event.min=1"
        ),
        "zero budget with a minimum": lambda: infeasible(
            ("budget",), "problem.budget=0", "problem.posts_per_event.min=2"
        ),
        "coverage beyond the creators": lambda: infeasible(
            ("food",), "problem.budget=1e9", "problem.coverage={food: 100000}"
        ),
        "unknown category": lambda: infeasible(("nonsense",), "problem.coverage={nonsense: 1}"),
        "negative budget": lambda: infeasible(("problem.budget",), "problem.budget=-5"),
        "zero budget": zero_budget,
    }
    results = lab.each(_caught(lambda name: (wrong := attempts[name]()) and f"{name}: {wrong}"), list(attempts))
    return row("infeasible and zero budget, coverage that cannot be met", results, "no plan, exit status 2")


def _budget(path: Path) -> float:
    import yaml

    return float(yaml.safe_load((path.parent / "config.yaml").read_text())["problem"]["budget"])


KEY = "5ec3e7" * 6 + "abcd"


def secrets(lab: Lab) -> Row:
    """A W&B key never reaches a file; without one W&B goes offline and says so once; a resumed run keeps its id."""

    def key_in_environment(overrides: tuple[str, ...]) -> str | None:
        place = lab.place("secret")
        process = lab.run("train", place, "logger=wandb", *overrides, env={"WANDB_API_KEY": KEY} | _home(place))
        hits = [str(path) for path in place.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
        if hits:
            return f"the key stands in {hits}"
        if KEY in process.output:
            return "the key stands in the output"
        return None if process.status() == 0 else process.output[-500:]

    def no_key() -> str | None:
        place = lab.place("no-key")
        env = {"WANDB_MODE": "online", "WANDB_SILENT": "true"} | _home(place)
        process = lab.start("train", place, "logger=wandb", env=env)
        process.until(lambda: bool(checkpoints(place)))
        first = process.output.count("no API key")
        process.kill()
        before = json.loads((run_folder(place) / "run.json").read_text())["wandb_id"]
        process = lab.run("train", place, "logger=wandb", env=env)
        if first != 1 or process.output.count("no API key") != 1:
            return f"says {first} and {process.output.count('no API key')} times that there is no key"
        names = {path.name.rsplit("-", 1)[1] for path in run_folder(place).glob("wandb/offline-run-*")}
        after = json.loads((run_folder(place) / "run.json").read_text())["wandb_id"]
        if {before} != names or before != after:
            return f"ids {before}, {after}, {names}"
        return finished_as(process, place, lab.reference())

    offline = "logger.wandb.offline=true"
    cases = [(offline,), (offline, f"+logger.wandb.notes={KEY}"), (offline, f"tags=[{KEY}]", "print_config=true")]
    results = lab.each(_caught(key_in_environment), cases[:: 2 if lab.quick else 1])
    results.append(_caught(lambda _: no_key())(0))
    return row("a W&B key in the environment and in overrides; no key; a killed W&B run", results)


def _home(place: Path) -> dict[str, str]:
    return {"HOME": str(place / "home"), "NETRC": str(place / "netrc")}


class Exploit:
    """What a malicious pickle holds."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def attacks(lab: Lab) -> Row:
    """Configurations and files that would run code: refused before any work."""
    marker = lab.root / "marker"
    lab.reference()
    targets = [
        f"{{_target_: builtins.open, file: {marker}, mode: w}}",
        f"{{_target_: os.system, command: 'touch {marker}'}}",
        f"{{_target_: subprocess.check_output, args: [touch, {marker}]}}",
        f"{{_target_: pathlib.Path.touch, self: {marker}}}",
        f"{{_target_: pytorch_lightning.callbacks.model_checkpoint.shutil.rmtree, path: {lab.root / 'markets'}}}",
        f"{{_target_: pytorch_lightning.callbacks.model_checkpoint.os.mkdir, path: {marker}}}",
        "{_target_: torch.hub.load, repo_or_dir: someone/something, model: evil}",
        f"{{_target_: pytorch_lightning.callbacks.LambdaCallback, setup: {{_target_: os.mkdir, path: {marker}}}}}",
        f"{{_target_: micromega.runs.callbacks.Path.touch, self: {marker}}}",
        "{_target_: micromega.files.write_text_atomically, path: x, text: y}",
        f"{{_target_: hydra.utils.instantiate, config: {{_target_: os.mkdir, path: {marker}}}}}",
    ]
    overrides = [(f"+callbacks.evil={target}",) for target in targets]
    overrides += [(f"+logger.evil={target}",) for target in targets[:2]]
    overrides += [(f"+trainer.profiler={target}",) for target in targets[1:3]]
    overrides += [
        (f"model._target_={name}",) for name in ("os.system", "builtins.eval", "micromega.files.remove_leftovers")
    ]

    def configuration(extra: tuple[str, ...]) -> str | None:
        place = lab.place("attack")
        process = lab.run("train", place, *extra)
        if marker.exists():
            return f"{extra}: the code ran"
        if list(place.glob("train/*/checkpoints")):
            return f"{extra}: work was done before the refusal"
        wrong = refusal(process, 2, "_target_")
        return wrong and f"{extra}: {wrong}"

    def pickled_checkpoint() -> str | None:
        place = lab.place("pickle")
        path = place / "model.ckpt"
        path.write_bytes(pickle.dumps({"state_dict": Exploit(marker)}))
        process = lab.run("train", place, f"ckpt_path={path}")
        return "the code ran" if marker.exists() else refusal(process, 1, "model.ckpt")

    def zipped_pickle() -> str | None:
        import torch

        place = lab.place("zip")
        path = place / "model.ckpt"
        torch.save({"state_dict": {"w": Exploit(marker)}}, path)
        process = lab.run("train", place, f"ckpt_path={path}")
        return "the code ran" if marker.exists() else refusal(process, 1, "model.ckpt")

    def pickle_in_run_folder() -> str | None:
        import torch

        place = lab.place("planted")
        process = lab.start("train", place)
        process.until(lambda: bool(checkpoints(place)))
        process.kill()
        torch.save(
            {"state_dict": {"w": Exploit(marker)}}, checkpoints(place)[0].with_name("latest-step-000000999.ckpt")
        )
        process = lab.run("train", place)
        return "the code ran" if marker.exists() else finished_as(process, place, lab.reference())

    def yaml_tags() -> str | None:
        place = lab.place("yaml")
        (place / "conf" / "experiment").mkdir(parents=True)
        text = f"# @package _global_\nseed: !!python/object/apply:os.system ['touch {marker}']\n"
        (place / "conf" / "experiment" / "evil.yaml").write_text(text)
        process = lab.run("train", place, "experiment=evil", "--config-dir", str(place / "conf"))
        if marker.exists():
            return "the code ran"
        return None if process.status() not in (0, 999) else "not refused"

    results = lab.each(_caught(configuration), overrides)
    others = [pickled_checkpoint, zipped_pickle, pickle_in_run_folder, yaml_tags]
    results += lab.each(_caught(lambda attempt: (wrong := attempt()) and f"{attempt.__name__}: {wrong}"), others)
    return row("configurations, checkpoints and YAML that would run code", results, "refused before any work")
