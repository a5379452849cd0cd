"""Other libraries for learning to rank, for `bench_mir.py`: fetched and made importable, their code unchanged.

Neither installs beside a current torch: allRank 1.4.3 asks for torch <= 1.8, the sdist of pytorchltr 0.2.1 does not
build on Python 3.11 (its losses are plain Python). Their published files are downloaded by pip into a folder of the
caller, checked against the hashes below, and put on the path; modules that allRank imports and that training does not
use are replaced by stand-ins. pip must read the sdist's metadata with the setuptools at hand; without it, pytorchltr is
missing.
"""

import importlib
import logging
import subprocess
import sys
import tarfile
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = {
    "allRank": "allRank==1.4.3 --hash=sha256:74a5d31e3aa6eb269162ecc3bcad89ffd550c984908bb3d96e402ad6eb22f5e2",
    "pytorchltr": "pytorchltr==0.2.1 --hash=sha256:58d60f1da45ab73d29f9594922b9ee601a7f65b42759585baba799f83b0fc945",
}
WAIT = 60
"""Seconds that a download may take."""


def fetch(name: str, folder: Path) -> Path:
    """Download a library's published file, and give the folder or wheel to import it from."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = folder / f"{name}.txt"
    asked.write_text(FILES[name] + "\n")
    found = list(folder.glob(f"{name}-*.whl")) + list(folder.glob(f"{name}-*.tar.gz"))
    if not found:
        call = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "--no-build-isolation"]
        call += ["--no-binary", "pytorchltr", "--retries", "1", "--timeout", "10", "-d", str(folder), "-r", str(asked)]
        subprocess.run(call, check=True, timeout=WAIT, capture_output=True, text=True)
        found = list(folder.glob(f"{name}-*.whl")) + list(folder.glob(f"{name}-*.tar.gz"))
    (file,) = found
    if file.suffix == ".whl":
        return file
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
    return folder / file.name.removesuffix(".tar.gz")


class Compose:
    """Stand-in for torchvision.transforms.Compose: one transform after another."""

    def __init__(self, transforms: list[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, sample: Any) -> Any:
        """Transform a sample."""
        for transform in self.transforms:
            sample = transform(sample)
        return sample


def stand_ins() -> dict[str, types.ModuleType]:
    """Modules that allRank imports: name -> what training needs of them."""
    transforms = types.ModuleType("torchvision.transforms")
    vars(transforms)["Compose"] = Compose
    found = {name: types.ModuleType(name) for name in ("torchvision", "gcsfs", "pkg_resources", "tensorboardX")}
    vars(found["torchvision"])["transforms"] = transforms
    vars(found["pkg_resources"]).update(Requirement=object, resource_filename=None)
    vars(found["tensorboardX"])["SummaryWriter"] = object
    return found | {"torchvision.transforms": transforms}


def _imported(name: str, folder: Path, modules: dict[str, str]) -> types.SimpleNamespace | str:
    """Import a library's parts, key -> module:attribute; or say why it is missing."""
    added = None
    try:
        added = str(fetch(name, folder))
        sys.path.insert(0, added)
        parts = {key: place.split(":") for key, place in modules.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = {key: getattr(importlib.import_module(module), member) for key, (module, member) in parts.items()}
        return types.SimpleNamespace(**found)
    except subprocess.CalledProcessError as error:
        return (error.stderr or str(error)).strip().splitlines()[-1]
    except (ImportError, OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        if added in sys.path:
            sys.path.remove(added)


def allrank(folder: Path) -> types.SimpleNamespace | str:
    """Give allRank's ListNet, network, training step and data path; or why it is missing."""
    for name, module in stand_ins().items():
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = module
    logging.getLogger("allrank").setLevel(logging.ERROR)
    return _imported(
        "allRank",
        folder,
        {
            "list_net": "allrank.models.losses.listNet:listNet",
            "make_model": "allrank.models.model:make_model",
            "loss_batch": "allrank.training.train_utils:loss_batch",
            "Dataset": "allrank.data.dataset_loading:LibSVMDataset",
            "FixLength": "allrank.data.dataset_loading:FixLength",
            "ToTensor": "allrank.data.dataset_loading:ToTensor",
            "data_loaders": "allrank.data.dataset_loading:create_data_loaders",
        },
    )


def pytorchltr(folder: Path) -> types.SimpleNamespace | str:
    """Give pytorchltr's LambdaNDCGLoss2; or why it is missing."""
    return _imported("pytorchltr", folder, {"Loss": "pytorchltr.loss:LambdaNDCGLoss2"})
