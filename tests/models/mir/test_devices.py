"""What other devices and several processes ask of the ranker."""

from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from micromega.models.mir import ranks
from micromega.models.mir.config import MIRDataConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.losses.info_nce import log_inclusion
from micromega.models.mir.metric_classes import MedianFirstRank
from micromega.models.mir.module import MIRModule

PAIRS = {"min_positives": 2, "hashed_size": 16, "lists": "pairs"}


class WithoutFloat64(TorchDispatchMode):
    """As on MPS, a tensor of float64 is an error."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, tuple | list) else (found,):
            assert not (isinstance(value, torch.Tensor) and value.dtype == torch.float64), func
        return found


@pytest.fixture
def one_process(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("pooling", ["fixed", "attention"])
def test_features_are_not_sent_to_other_processes_and_statistics_are(small_market, one_process, pooling):
    data = MIRData(MIRDataConfig(**PAIRS, keep_posts=pooling == "attention"), small_market)
    data.setup("fit")
    module = MIRModule(MIRModelConfig(pooling=pooling, loss="softmax"), data.spec)
    module.attach(data)
    names = {id(buffer): name for name, buffer in module.named_buffers()}
    sent = {names[id(buffer)] for buffer in DistributedDataParallel(module).modules_buffers}
    assert sent == {f"{what}_{name}" for what in ("mean", "deviation") for name in ("text", "account")}
    assert sent == set(module.state_dict()) & set(names.values())


def test_the_guard_of_these_tests_notices_float64():
    with pytest.raises(AssertionError), WithoutFloat64():
        torch.ones(1).double()


def test_training_on_partners_needs_no_float64(small_market):
    data = MIRData(MIRDataConfig(**PAIRS, hard_negatives=2), small_market)
    data.setup("fit")
    module = MIRModule(MIRModelConfig(score="cosine", loss="info_nce"), data.spec)
    with WithoutFloat64():
        module.attach(data)
        module.log = lambda *_, **__: None
        batch = next(iter(data.train_dataloader()))
        module.training_step(batch, 0).backward()
        module.score(torch.from_numpy(data.splits["test"]))


@pytest.mark.parametrize(("device", "where"), [("mps", "cpu"), ("meta", "meta")])
def test_lists_are_drawn_on_the_device_of_training_unless_it_lacks_float64(small_market, device, where, monkeypatch):
    from micromega.models.mir import data as module

    class Dataset(list):
        def __init__(self, *arguments):
            super().__init__([0])
            self.device = arguments[-1]

    monkeypatch.setattr(module, "ListDataset", Dataset)
    data = MIRData(MIRDataConfig(min_positives=2, hashed_size=16), small_market)
    data.setup("fit")
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)
    assert data.train_dataloader().dataset.device == torch.device(where)


@pytest.mark.parametrize("share", [1e-12, 0.3, 1.0])
def test_log_inclusion_in_float32_is_that_of_float64(share):
    pairs = torch.tensor([0, 1, 7, 500])
    exact = torch.log1p(-torch.pow(torch.tensor(1 - share, dtype=torch.float64), pairs))
    if share == 1e-12:  # 1 - share has 4 digits left of it
        exact = torch.log(pairs * torch.tensor(share, dtype=torch.float64))
    torch.testing.assert_close(log_inclusion(pairs, share).double(), exact, rtol=1e-5, atol=1e-9)


def test_metrics_in_float32_are_those_of_float64(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.rand(9, 300, generator=generator), torch.rand(9, 300, generator=generator) < 0.05
    labels[3] = False

    def found():
        order = ranks.order_of(scores)
        return (
            ranks.auc_of(order, labels, ~labels), ranks.recall_of(order, labels, 10), ranks.first_rank_of(order, labels)
        )  # fmt: skip

    exact = found()
    assert {ranks.precision_of(torch.device(name)) for name in ("cpu", "cuda", "meta")} == {torch.float64}
    assert ranks.precision_of(torch.device("mps")) == torch.float32
    monkeypatch.setattr(ranks, "precision_of", lambda _: torch.float32)
    metric = MedianFirstRank()
    with WithoutFloat64():
        narrow = found()
        assert metric._gathered().dtype == torch.float32  # nothing yet
        metric.update(scores, labels)
        median = metric.compute()
    for one, other in zip(narrow, exact, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=1e-6, atol=0, equal_nan=True)
    assert median == exact[2].nanquantile(0.5)
