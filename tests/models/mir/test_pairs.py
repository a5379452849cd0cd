"""Training on partners among their rivals, and what a brand without partners gets."""

import math

import numpy as np
import pytest
import torch
from mir_markets import hand_made

from micromega.errors import ConfigError
from micromega.models.mir.build import build_accounts
from micromega.models.mir.config import MIRDataConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.module import MIRModule
from micromega.models.mir.pairs import PairDataset

PAIRS = {"min_positives": 2, "hashed_size": 32, "lists": "pairs"}


@pytest.fixture(scope="module")
def data(small_market):
    made = MIRData(MIRDataConfig(**PAIRS, hard_negatives=3), small_market)
    made.setup("fit")
    return made


def module_of(data, **changes):
    torch.manual_seed(0)
    settings = {"hidden_size": 8, "embedding_size": 6, "dropout": 0.0, "score": "cosine", "fusion": "linear"}
    module = MIRModule(MIRModelConfig(**{**settings, **changes}), data.spec)
    module.attach(data)
    module.log = lambda *_, **__: None
    return module


def batch_of(data, epoch=0, rows=None):
    dataset = PairDataset(data.accounts, data.splits["train"], data.config, torch.device("cpu"))
    return dataset, dataset[epoch, torch.arange(len(dataset)) if rows is None else rows]


def test_rows_are_the_pairs_of_training_brands_with_their_views(data):
    accounts, (dataset, batch) = data.accounts, batch_of(data)
    mine = np.isin(accounts.pair_brand, data.splits["train"])
    candidates = np.flatnonzero(accounts.candidates(data.splits["train"], "split"))
    assert batch["brand"].tolist() == accounts.pair_brand[mine].tolist()
    assert batch["brand_view"].tolist() == accounts.pair_view[mine].tolist()
    assert candidates[batch["target"].numpy()].tolist() == accounts.pair_creator[mine].tolist()
    for row in range(len(dataset)):
        listed = {int(place) for place in batch["partners"][row]} - {len(candidates)}
        wanted = accounts.pair_creator[accounts.pair_brand == batch["brand"][row].item()]
        assert {candidates[place] for place in listed} == set(wanted)


def test_hard_negatives_work_for_the_brands_category_and_change_with_the_epoch(data):
    _, batch = batch_of(data)
    candidates = np.flatnonzero(data.accounts.candidates(data.splits["train"], "split"))
    hard = candidates[batch["hard_negatives"].numpy()]
    assert hard.shape == (len(batch["brand"]), 3)
    assert data.accounts.same_category()[batch["brand"].numpy()[:, None], hard].all()
    _, again = batch_of(data)
    _, later = batch_of(data, epoch=1)
    assert torch.equal(batch["hard_negatives"], again["hard_negatives"])
    assert not torch.equal(batch["hard_negatives"], later["hard_negatives"])


def inner_products(module, data, batch):
    """(L, candidates) scores, one pair at a time."""
    creators = np.flatnonzero(data.accounts.candidates(data.splits["train"], "split"))
    with torch.no_grad():
        brand = module._embed(module.brand_tower, batch["brand_view"]).numpy().astype(float)
        creator = module._embed(module.creator_tower, torch.from_numpy(data.accounts.creator_view[creators])).numpy()
    return np.array([[b @ c for c in creator.astype(float)] for b in brand])


def test_the_softmax_is_over_all_candidates_but_the_brands_other_partners(data):
    module, (_, batch) = module_of(data, loss="softmax"), batch_of(data)
    scores = inner_products(module, data, batch)
    losses = []
    for row, target in enumerate(batch["target"].tolist()):
        partners = set(batch["partners"][row].tolist())
        rivals = [scores[row, c] for c in range(scores.shape[1]) if c == target or c not in partners]
        rivals += [scores[row, c] for c in batch["hard_negatives"][row].tolist() if c not in partners]
        losses.append(math.log(sum(math.exp(s) for s in rivals)) - scores[row, target])
    assert module.training_step(batch, 0).item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_info_nce_compares_with_the_different_creators_of_the_batch(data):
    module, (dataset, batch) = module_of(data, loss="info_nce"), batch_of(data, rows=torch.arange(0, 40, 2))
    scores, targets = inner_products(module, data, batch), batch["target"].tolist()
    counts = {c: dataset.target.tolist().count(c) for c in targets}
    losses = []
    for row, target in enumerate(targets):
        partners = set(batch["partners"][row].tolist())
        total = math.exp(scores[row, target])
        for creator in set(targets) - partners:
            chance = 1 - (1 - len(targets) / len(dataset)) ** counts[creator]
            total += math.exp(scores[row, creator]) / chance
        total += sum(math.exp(scores[row, c]) for c in batch["hard_negatives"][row].tolist() if c not in partners)
        losses.append(math.log(total) - scores[row, target])
    assert module.training_step(batch, 0).item() == pytest.approx(np.mean(losses), rel=1e-4)


def choice_by_hand(module, data, batch):
    """The creators' choice among brands, one row and one column at a time."""
    scores, brands, targets = inner_products(module, data, batch), batch["brand"].tolist(), batch["target"].tolist()
    losses = []
    for row, (brand, target) in enumerate(zip(brands, targets, strict=True)):
        total, seen = math.exp(scores[row, target]), {brand}
        for column, other in enumerate(brands):
            if other not in seen and target not in batch["partners"][column].tolist():
                total += math.exp(scores[column, target])
            seen.add(other)
        losses.append(math.log(total) - scores[row, target])
    return np.mean(losses)


@pytest.mark.parametrize("loss", ["softmax", "info_nce"])
@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_creators_choose_among_the_brands_of_the_batch(data, loss, weight):
    _, batch = batch_of(data, rows=torch.randperm(60, generator=torch.Generator().manual_seed(0))[:40])
    assert len(set(batch["brand"].tolist())) < 40, "brands come again"
    plain, module = (
        module_of(data, loss=loss, tied=False),
        module_of(data, loss=loss, tied=False, creator_choice=weight),
    )
    wanted = (plain.training_step(batch, 0).item() + weight * choice_by_hand(module, data, batch)) / (1 + weight)
    assert module.training_step(batch, 0).item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("loss", ["softmax", "info_nce"])
def test_the_choice_of_creators_trains_both_towers(data, loss):
    _, batch = batch_of(data)
    gradients = []
    for weight in (0.0, 1.0):
        module = module_of(data, loss=loss, tied=False, creator_choice=weight)
        module.training_step(batch, 0).backward()
        gradients.append({name: (1 + weight) * value.grad for name, value in module.named_parameters()})
    for name, brands_alone in gradients[0].items():
        assert not torch.allclose(gradients[1][name], brands_alone, rtol=1e-3), name


def test_a_loss_and_rows_that_do_not_go_together_are_refused(data, small_market):
    _, batch = batch_of(data)
    with pytest.raises(ConfigError, match=r"set data\.lists=buckets"):
        module_of(data, loss="top_one").training_step(batch, 0)
    lists = MIRData(MIRDataConfig(min_positives=2, hashed_size=32), small_market)
    lists.setup("fit")
    with pytest.raises(ConfigError, match=r"set data\.lists=pairs"):
        module_of(lists, loss="softmax").training_step(next(iter(lists.train_dataloader())), 0)


def test_a_hidden_size_of_no_modality_is_refused_and_of_one_left_out_is_not(data):
    with pytest.raises(ConfigError, match=r"model\.hidden_sizes names txt; modalities are text, account"):
        module_of(data, hidden_sizes={"text": 4, "txt": 4})
    module_of(data, modalities=("account",), hidden_sizes={"text": 4})


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "softmax", "tied": False},
        {"loss": "info_nce", "fusion": "gated", "modality_dropout": 0.3},
        {"loss": "softmax", "fusion": "concatenation", "score": "dot"},
        {"loss": "softmax", "fusion": "bilinear", "hidden_sizes": {"text": 4}},
        {"loss": "info_nce", "pooling": "attention"},
    ],
)
def test_every_parameter_gets_a_gradient_and_survives_a_checkpoint(small_market, tmp_path, changes):
    data = MIRData(MIRDataConfig(**PAIRS, keep_posts=changes.get("pooling") == "attention"), small_market)
    data.setup("fit")
    module, (_, batch) = module_of(data, **changes), batch_of(data)
    module.training_step(batch, 0).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    content = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    torch.save(content, tmp_path / "saved.ckpt")
    restored = MIRModule.restore(torch.load(tmp_path / "saved.ckpt", weights_only=True))
    restored.attach(data)
    brands = torch.from_numpy(data.splits["test"])
    torch.testing.assert_close(restored.score(brands), module.eval().score(brands))


def test_attention_with_equal_weights_is_average_pooling(small_market):
    data = MIRData(MIRDataConfig(**PAIRS, keep_posts=True), small_market)
    data.setup("fit")
    module = module_of(data, pooling="attention", loss="softmax")
    for pooling in module.attention.values():
        torch.nn.init.zeros_(pooling.second.weight)
    found, average = module._views(slice(0, None)), module_of(data)._views(slice(0, None))
    for name in ("text", "account"):
        torch.testing.assert_close(found[name], average[name], rtol=1e-3, atol=1e-3)


def test_attention_needs_the_posts(data):
    with pytest.raises(ConfigError, match=r"data\.keep_posts=true"):
        module_of(data, pooling="attention")


def test_scores_are_inner_products_of_the_exported_embeddings(data):
    module, brands = module_of(data).eval(), torch.from_numpy(data.splits["test"])
    brand, creator = module.embeddings(brands)  # the brands' own posts: no creator is left out of their views
    torch.testing.assert_close(brand @ creator.T, module.score(brands))


def test_the_view_shown_to_each_candidate_is_chosen_one_by_one(data):
    accounts = build_accounts(hand_made(three_brands()), MENTIONS)
    views, shown = accounts.shown_views(np.array([2, 0]))
    for place, brand in enumerate([2, 0]):
        pairs = np.flatnonzero(accounts.pair_brand == brand)
        for creator in range(len(accounts.creator_ids)):
            mine = [pair for pair in pairs if accounts.pair_creator[pair] == creator]
            wanted = accounts.pair_view[mine[0] if mine else pairs[creator % len(pairs)]]
            assert views[shown[place, creator]] == wanted


MENTIONS = MIRDataConfig(brand_posts="mentions", min_positives=2, min_posts=1, list_length=2, hashed_size=64)


def three_brands(more=()):
    posts = [(f"c{n}", f"own words {n} w{n}", []) for n in range(6)]
    for brand, creators in {"b0": (0, 1, 2), "b1": (2, 3), "b2": (4, 5), **dict(more)}.items():
        posts += [(f"c{n}", f"ad {brand} by c{n} z{n}{brand}", [brand]) for n in creators]
    return posts


@pytest.mark.parametrize("brand_posts", ["mentions", "own"])
def test_a_brand_with_too_few_partners_is_cold_and_changes_nothing_else(brand_posts):
    own = [(brand, f"we are {brand}", []) for brand in ("b0", "b1", "b2")]
    config = MIRDataConfig(
        brand_posts=brand_posts, min_positives=2, min_posts=1, list_length=2, hashed_size=64, modalities=("text",)
    )
    before = build_accounts(hand_made(three_brands() + own), config)
    cold_posts = [("b9", "we are b9", []), ("c0", "ad b9", ["b9"])]
    after = build_accounts(hand_made(three_brands() + own + cold_posts), config)
    assert after.brand_ids.tolist() == ["b0", "b1", "b2", "b9"]
    assert (before.cold, after.cold) == (0, 1)
    assert not after.labels()[3].any()
    assert after.creator_ids.tolist() == before.creator_ids.tolist()
    np.testing.assert_array_equal(after.labels()[:3], before.labels())
    np.testing.assert_array_equal(
        after.features["text"][after.creator_view], before.features["text"][before.creator_view]
    )
    np.testing.assert_array_equal(after.features["text"][after.pair_view], before.features["text"][before.pair_view])
    views, shown = after.shown_views(np.array([3]))
    assert (views[shown] == 3).all()


def test_a_cold_brand_is_scored_from_its_posts_alone(small_market):
    data = MIRData(MIRDataConfig(**PAIRS | {"min_positives": 4}), small_market)
    data.setup("fit")
    cold = data.splits["cold"]
    assert len(cold)
    assert not set(cold) & set(np.concatenate([data.splits[name] for name in ("train", "validation", "test")]))
    scores = module_of(data).eval().score(torch.from_numpy(cold)).numpy()
    assert scores.shape == (len(cold), len(data.accounts.creator_ids))
    assert np.isfinite(scores).all()
    assert (scores.std(axis=1) > 0).all()


@pytest.mark.parametrize("fusion", ["bilinear", "linear"])
def test_all_pairs_at_once_give_the_loss_of_gathered_vectors(small_market, fusion, monkeypatch):
    from micromega.models.mir import module as code

    lists = MIRData(MIRDataConfig(min_positives=2, hashed_size=32, batch_size=4096), small_market)
    lists.setup("fit")
    batch, module = next(iter(lists.train_dataloader())), module_of(lists, fusion=fusion, loss="top_one", score="dot")
    monkeypatch.setattr(code, "_PAIRS_PER_SCORE", 10**9)
    at_once = module.training_step(batch, 0)
    monkeypatch.setattr(code, "_PAIRS_PER_SCORE", 0)
    torch.testing.assert_close(at_once, module.training_step(batch, 0))


def test_learned_pooling_refuses_views_that_are_no_means_of_posts(small_market):
    for changes in ({"pooling": "weighted"}, {"scaling": "power"}, {"local_response_normalisation": True}):
        with pytest.raises(ConfigError, match=r"data\.keep_posts"):
            MIRData(MIRDataConfig(**PAIRS, keep_posts=True, **changes), small_market).setup("fit")


def test_training_from_another_markets_checkpoint_describes_accounts_by_its_statistics(data):
    module = module_of(data)
    module.trainer = type("Trainer", (), {"datamodule": data})()
    with torch.no_grad():
        module.mean_text.add_(1.0)  # as loading a checkpoint does, after the features were put beside the weights
    module.on_fit_start()
    torch.testing.assert_close(module.features_text, module._standard(data.features)["text"])
