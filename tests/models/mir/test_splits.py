"""The published split, and features that differ between its parts."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from micromega.errors import DataError
from micromega.market.write import MarketWriter
from micromega.models.mir.config import MIRDataConfig, MIREvaluationConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.evaluate import evaluate
from micromega.models.mir.module import MIRModule

BRANDS, CREATORS = 12, 40
CONFIG = MIRDataConfig(modalities=("topics",), published_split=True, min_positives=1, scaling="power", list_length=2)


def market_of(folder, parts):
    generator = np.random.default_rng(0)
    brands, creators = [f"b{n:02}" for n in range(BRANDS)], [f"c{n:02}" for n in range(CREATORS)]
    topics = generator.random((BRANDS + CREATORS, 5), dtype=np.float32)
    writer = MarketWriter(folder, name="arrays", currency="USD", source="made up", notes=[])
    with writer:
        kinds = ["brand"] * BRANDS + ["creator"] * CREATORS
        writer.append("accounts", pa.table({"account_id": brands + creators, "kind": kinds}))
        pairs = sorted({(brands[n % BRANDS], creators[n]) for n in range(CREATORS)} | {("b00", "c05"), ("b09", "c01")})
        writer.append(
            "mentions",
            pa.table(
                {"brand_id": [b for b, _ in pairs], "creator_id": [c for _, c in pairs], "posts": [1] * len(pairs)}
            ),
        )
        writer.append("splits", pa.table({"account_id": list(parts), "split": list(parts.values())}))
        for name, ids, values in (("topics", brands + creators, topics), ("topics_test", creators[:3], topics[:3] + 1)):
            with writer.array(name, key="account_id", shape=(5,), dtype="float32", source="made up") as array:
                array.append(pa.array(ids), values)
    return writer.market, topics


def published(**changes):
    parts = {f"b{n:02}": "test" if n >= 9 else "train" for n in range(BRANDS)}
    return {**parts, **changes}


def data_of(market):
    data = MIRData(CONFIG, market)
    data.setup("fit")
    return data


def unit_root(values):
    root = np.sqrt(values)
    return root / np.linalg.norm(root, axis=1, keepdims=True)


def test_test_brands_are_the_published_ones_and_validation_is_drawn_from_the_others(tmp_path):
    market, _ = market_of(tmp_path / "market", published())
    data = data_of(market)
    names = {part: data.accounts.brand_ids[rows].tolist() for part, rows in data.splits.items()}
    assert names["test"] == ["b09", "b10", "b11"]
    assert sorted(names["train"] + names["validation"]) == [f"b{n:02}" for n in range(9)]
    assert len(names["validation"]) == 2  # 0.15 / 0.75 of nine
    assert names["cold"] == []


def test_creators_are_judged_by_the_values_of_the_test_list(tmp_path):
    market, topics = market_of(tmp_path / "market", published())
    data = data_of(market)
    views = data.accounts.creator_view
    np.testing.assert_allclose(data.features["topics"].numpy(), unit_root(topics), rtol=1e-5)
    np.testing.assert_allclose(
        data.held_out_features["topics"][views[:3]].numpy(), unit_root(topics[:3] + 1), rtol=1e-5
    )
    np.testing.assert_array_equal(data.held_out_features["topics"][views[3:]], data.features["topics"][views[3:]])
    np.testing.assert_array_equal(data.spec.mean["topics"], 0)


def trained(data):
    torch.manual_seed(0)
    module = MIRModule(MIRModelConfig(modalities=("topics",)), data.spec).eval()
    module.attach(data)
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    return module, checkpoint


def test_all_brands_are_exported_by_the_values_of_their_own_part(tmp_path):
    market, _ = market_of(tmp_path / "market", published())
    data = data_of(market)
    module, checkpoint = trained(data)
    config = MIREvaluationConfig(brands="all", uncertainty_samples=0, bootstrap_samples=0)
    found = evaluate(config, checkpoint=checkpoint, data=data, seed=0)
    every = torch.arange(BRANDS)
    in_training = module.score(every).numpy()
    module.attach(data, held_out=True)
    in_judging = module.score(every).numpy()
    test = np.isin(np.arange(BRANDS), data.splits["test"])
    assert found.exported.brand_ids.tolist() == data.accounts.brand_ids.tolist()
    np.testing.assert_allclose(found.exported.scores, np.where(test[:, None], in_judging, in_training), rtol=1e-6)
    assert (in_judging[:, :3] != in_training[:, :3]).all()


def test_the_tables_script_judges_similarity_as_evaluation_does(tmp_path, repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "scripts"))
    import mir_tables

    market, _ = market_of(tmp_path / "market", published())
    data = data_of(market)
    _, checkpoint = trained(data)
    config = MIREvaluationConfig(uncertainty_samples=0, bootstrap_samples=0)
    expected = evaluate(config, checkpoint=checkpoint, data=data, seed=0).by_brand.methods["SBR"]
    found = mir_tables.by_brand(mir_tables.untrained(data, 0)["SBR"], data)
    for name in ("auc", "recall_at_10", "first_rank"):
        np.testing.assert_allclose(found[name], expected[name])
    np.testing.assert_array_equal(
        mir_tables.judged(data)[data.accounts.creator_view[:3]],
        data.held_out_features["topics"][data.accounts.creator_view[:3]],
    )


def test_a_brand_that_is_in_no_published_part_is_named(tmp_path):
    parts = published()
    del parts["b04"]
    market, _ = market_of(tmp_path / "market", parts)
    with pytest.raises(DataError, match=r"1 brands are in no part or in several \(b04\)"):
        data_of(market)


def test_an_empty_part_is_refused(tmp_path):
    market, _ = market_of(tmp_path / "market", dict.fromkeys(published(), "train"))
    with pytest.raises(DataError, match="no test brand"):
        data_of(market)
