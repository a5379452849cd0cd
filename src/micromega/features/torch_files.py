"""Files of torch: weights of a known architecture, and whole networks saved by `torch.export`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from micromega.errors import ConfigError
from micromega.features.network import Floats, Network, damaged, require_one_input, require_weights

_FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def open_exported(path: Path, device: str) -> Network:
    """Load a program saved by `torch.export.save`.

    Args:
        path: the file.
        device: where it runs.

    Returns:
        The network.

    Raises:
        ConfigError: damaged, or several inputs.
    """
    try:
        with _weights_only():
            program = torch.export.load(path)
    except Exception as error:  # what it raises for damaged files is not specified
        raise damaged(path, error) from None
    if device != "cpu":
        from torch.export.passes import move_to_device_pass  # noqa: PLC0415

        program = move_to_device_pass(program, device)
    wanted = set(program.graph_signature.user_inputs)
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    require_one_input(path, len(inputs))
    module = program.module()

    @torch.inference_mode()
    def run(values: Floats) -> list[Floats]:
        outputs = module(torch.from_numpy(values).to(device))
        outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        return [output.float().cpu().numpy() for output in outputs]

    shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
    return Network(path=path, shape=shape, run=run)


@contextmanager
def _weights_only() -> Iterator[None]:
    """Let no pickle inside a file run code: `torch.export.load` reads some of them without `weights_only`."""
    before = os.environ.get(_FORCED)
    os.environ[_FORCED] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCED]
        else:
            os.environ[_FORCED] = before


def load_state(module: nn.Module, path: Path, what: str, source: str) -> None:
    """Load a state dictionary into a network and put it in evaluation mode, without gradients.

    Args:
        module: the network; its parameters may be on the meta device.
        path: the file; read under `weights_only`, so it cannot run code.
        what: what the network is, for messages.
        source: where to get the file, a sentence without its full stop.

    Raises:
        ConfigError: the file is missing, not a state dictionary, or of another network.
    """
    require_weights(path, f"{what} weight", source)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives raise half a dozen unrelated types
        lines = str(error).splitlines() or [type(error).__name__]
        msg = f"{path}: not a weight file that can be read safely ({lines[0].rstrip('.')}). {source}."
        raise ConfigError(msg) from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        msg = f"{path}: holds no state dictionary (parameter name -> tensor). {source}."
        raise ConfigError(msg)
    expected = module.state_dict()
    missing = [name for name in expected if name not in state]
    surplus = [str(name) for name in state if name not in expected]
    other = [f"{k} {tuple(state[k].shape)}" for k in expected if k in state and state[k].shape != expected[k].shape]
    for which, names in (("it lacks", missing), ("it also has", surplus), ("of another shape are", other)):
        if names:
            shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            msg = f"{path}: not the parameters of {what}: {which} {len(names)} of them: {shown}. {source}."
            raise ConfigError(msg)
    module.load_state_dict(state, assign=True)
    module.eval().requires_grad_(requires_grad=False)
