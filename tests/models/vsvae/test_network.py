"""The network against distributions of torch, unpacked LSTMs, closed forms, and the promises of masks."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch.distributions import Categorical, Independent, Normal, kl_divergence
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

sys.path.insert(0, str(Path(__file__).parent))

from posts_made_up import SIZES, TEXTS, batch, small, spec

from micromega.models.vsvae import bounds, sequences
from micromega.models.vsvae.batch import PostBatch
from micromega.models.vsvae.bounds import importance_weighted_bound
from micromega.models.vsvae.network import VSVAE
from micromega.models.vsvae.parts import MODALITIES
from micromega.models.vsvae.sequences import LSTM, items

POSTERIORS = ("joint", "product", "mixture")
PATHS = {"mean_pooling": True, "linear_path": True}


def network(seed=0, sizes=None, **changed):
    torch.manual_seed(seed)
    made = VSVAE(small(**changed), spec(sizes)).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "absent" in name or "log_scale" in name or "linear_path" in name:
                parameter.normal_(0, 0.3)
    return made


def one(posts, place):
    """Post `place` alone, cut to its own lengths."""
    lengths = {part: of[place : place + 1] for part, of in posts.lengths.items()}
    values = {}
    for part, value in posts.values.items():
        mine = value[place : place + 1]
        values[part] = mine[:, : max(1, int(lengths[part]))] if part in {*TEXTS, "frames"} else mine
    return PostBatch(post=posts.post[place : place + 1], values=values, lengths=lengths)


@pytest.mark.parametrize("changed", [{}, PATHS])
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_a_post_does_not_depend_on_its_batch_nor_on_padding(posterior, changed):
    made, posts = network(posterior=posterior, **changed), batch()
    together = made.encode(posts)
    r = torch.randn(6, 3)
    likelihood = made.log_likelihood(r, posts)
    for place in range(6):
        alone = one(posts, place)
        assert torch.allclose(made.encode(alone).mean[0], together.mean[place], atol=1e-6)
        assert torch.allclose(made.encode(alone).deviation[0], together.deviation[place], atol=1e-6)
        for part, of in made.log_likelihood(r[place : place + 1], alone).items():
            assert torch.allclose(of[0], likelihood[part][place], atol=1e-4), part


@pytest.mark.parametrize("changed", [{}, PATHS])
def test_what_lies_beyond_a_length_is_not_read(changed):
    made, posts = network(**changed), batch()
    noisy = {part: value.clone() for part, value in posts.values.items()}
    for part, value in noisy.items():
        if value.ndim > 1 and part in {*TEXTS, "frames"}:
            beyond = torch.arange(value.shape[1]) >= posts.lengths[part][:, None]
            value[beyond] = 7
        else:
            value[posts.lengths[part] == 0] = 1e3
    other = PostBatch(post=posts.post, values=noisy, lengths=posts.lengths)
    r = torch.randn(6, 3)
    assert torch.equal(made.encode(posts).mean, made.encode(other).mean)
    for part, of in made.log_likelihood(r, posts).items():
        assert torch.equal(of, made.log_likelihood(r, other)[part]), part


def test_likelihood_is_that_of_torch_distributions():
    made, posts = network(), batch()
    r = torch.randn(6, 3)
    found = made.log_likelihood(r, posts)
    decoded = made._decode(r, posts.lengths)
    for part in SIZES:
        for place in range(6):
            length = int(posts.lengths[part][place])
            if not length:
                assert found[part][place] == 0
                continue
            alone = one(posts, place)
            own = made._decode(r[place : place + 1], alone.lengths)[part]
            if part in TEXTS:
                expected = Categorical(logits=own).log_prob(alone.values[part][0, :length]).sum()
            else:
                mean, deviation = getattr(made, f"mean_{part}"), getattr(made, f"deviation_{part}")
                truth = (alone.values[part][0] - mean) / deviation
                output = own if part == "frames" else own[0]
                expected = Independent(Normal(output, made.log_scale[part].exp()), output.ndim).log_prob(truth)
            assert torch.allclose(found[part][place], expected, atol=1e-4), part
    assert set(decoded) == set(SIZES)


def both_ways(ours):
    """Torch's own bidirectional LSTM with the same weights."""
    size, hidden = ours.ahead.input_size, ours.ahead.hidden_size
    theirs = torch.nn.LSTM(size, hidden, batch_first=True, bidirectional=True)
    weights = ours.ahead.state_dict() | {f"{name}_reverse": w for name, w in ours.back.state_dict().items()}
    theirs.load_state_dict(weights)
    return theirs


def test_an_lstm_both_ways_is_that_of_torch_packed():
    ours = LSTM(3, 4, both_ways=True)
    values, lengths = torch.randn(5, 6, 3), torch.tensor([6, 1, 3, 2, 6])
    packed = pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)
    expected, (last, _) = both_ways(ours)(packed)
    expected, _ = pad_packed_sequence(expected, batch_first=True)
    assert torch.allclose(items(ours(values, lengths), lengths), items(expected, lengths), atol=1e-6)
    assert torch.allclose(ours.last(values, lengths), last.transpose(0, 1).flatten(1), atol=1e-6)


@pytest.mark.parametrize("posterior", ["joint", "product"])
def test_packed_sequences_give_what_padded_ones_give(monkeypatch, posterior):
    """Packed is what other devices than the CPU do."""
    made, posts = network(posterior=posterior), batch()
    r, found = torch.randn(6, 3), []
    for _ in range(2):
        made.zero_grad()
        likelihood = made.log_likelihood(r, posts)
        loss = made.encode(posts).mean.square().sum() + torch.stack(list(likelihood.values())).sum()
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in made.parameters() if p.grad is not None)])
        monkeypatch.setattr(sequences, "_states", sequences._packed)
    for padded, packed in zip(*found, strict=True):
        assert torch.allclose(padded, packed, rtol=1e-4, atol=1e-5)


def test_packed_states_are_as_long_as_what_is_read():
    values, lengths = torch.randn(3, 6, 4), torch.tensor([2, 4, 1])
    assert sequences._packed(torch.nn.LSTM(4, 5, batch_first=True), values, lengths).shape == (3, 6, 5)


def test_sequences_of_single_posts_agree():
    made, posts = network(), batch(absent=0.0)
    text = made.encoders["text"]
    together = text(posts, made.word_vectors)
    for place in range(6):
        states = []
        for name in TEXTS:
            ids = posts.values[name][place : place + 1, : posts.lengths[name][place]]
            of_steps, _ = both_ways(text.texts[name].lstm)(made.word_vectors[ids])
            states += [of_steps[0, -1, :4], of_steps[0, 0, 4:]]  # forward ends at the last word, backward at the first
        assert torch.allclose(text.dense(torch.cat(states)), together[place], atol=1e-6)


def test_the_mean_is_that_of_each_sequence():
    lengths = torch.tensor([3, 1, 2])
    values = torch.randn(3, 5, 4)
    expected = torch.stack([row[:length].mean(dim=0) for row, length in zip(values, lengths, strict=True)])
    assert torch.allclose(sequences.mean_of(values, lengths), expected, atol=1e-6)
    encoder = sequences.SequenceEncoder(4, 2, both_ways=True, mean=3.0)
    encoded = encoder(values, lengths)
    assert torch.allclose(encoded[:, :4], encoder.lstm.last(values, lengths))
    assert torch.allclose(encoded[:, 4:], 3.0 * expected, atol=1e-6)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_linear_path_leads_past_every_layer(posterior):
    """With all layers with ReLU silent, what is left is straight from the parts to μ and from r to the parts."""
    made, posts = network(posterior=posterior, **PATHS), batch(absent=0.0)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if ".dense." in name or "joint_decoder" in name:
                parameter.zero_()
    lengths = posts.lengths

    def means(share):  # of objects and audio; nothing else changes
        values = {part: share * v if part in {"objects", "audio"} else v for part, v in posts.values.items()}
        return made.encode(PostBatch(post=posts.post, values=values, lengths=lengths))

    if posterior == "joint":
        assert torch.allclose(means(2.0).mean - means(1.0).mean, means(1.0).mean - means(0.0).mean, atol=1e-4)
    assert not torch.allclose(means(2.0).mean, means(1.0).mean, atol=1e-3)
    r = torch.randn(3, 6, 3)
    low, middle, high = (made._decode(of, lengths) for of in (r[0], (r[0] + r[1]) / 2, r[1]))
    for part in SIZES:
        assert torch.allclose(middle[part], (low[part] + high[part]) / 2, atol=1e-5), part
        assert not torch.allclose(low[part], high[part], atol=1e-3), part


def test_without_them_no_weight_is_there_for_mean_and_path():
    """Checkpoints of before have neither."""
    names = set(network().state_dict())
    assert not any("linear" in name for name in names)
    assert {"encoders.text.dense.0.weight", "encoders.image.dense.2.weight", "encoders.audio.dense.0.weight"} <= names


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_a_hidden_modality_has_no_influence_and_no_gradient(posterior):
    made, posts = network(posterior=posterior), batch(absent=0.0)
    for name, parts in MODALITIES.items():
        hidden = posts.hide({part: torch.ones(6, dtype=torch.bool) for part in parts})
        values = {
            part: (value + 1 if part in parts and part not in TEXTS else value) for part, value in posts.values.items()
        }
        other = PostBatch(post=posts.post, values=values, lengths=hidden.lengths)
        assert torch.equal(made.encode(hidden).mean, made.encode(other).mean)
        made.zero_grad()
        made.encode(hidden).mean.sum().backward()
        for part_name, parameter in made.encoders[name].named_parameters():
            if "lstm" in part_name:
                assert parameter.grad is None or not parameter.grad.abs().any()


def test_divergences_and_densities_are_those_of_torch_distributions():
    found = network().encode(batch())
    expected = kl_divergence(Normal(found.mean, found.deviation), Normal(0.0, 1.0))
    assert torch.allclose(found.divergence(), expected, atol=1e-6)
    r = torch.randn(2, 6, 3)
    assert torch.allclose(found.log_density(r), Normal(found.mean, found.deviation).log_prob(r).sum(dim=-1), atol=1e-5)


def test_a_product_is_the_gaussian_that_multiplying_densities_gives():
    made, posts = network(posterior="product"), batch()
    found = made.encode(posts)
    grid = torch.linspace(-6, 6, 4001)
    codes = {
        name: encoder(posts, made.word_vectors if name == "text" else made._standard(posts))
        for name, encoder in made.encoders.items()
    }
    for place in range(6):
        log = Normal(0.0, 1.0).log_prob(grid)
        for name, parts in MODALITIES.items():
            if any(posts.lengths[part][place] for part in parts):
                mean, log_deviation = made._head(name, codes[name])
                log = log + Normal(mean[place, 0], log_deviation[place, 0].exp()).log_prob(grid)
        density = torch.softmax(log, dim=0)
        mean = (density * grid).sum()
        deviation = (density * (grid - mean) ** 2).sum().sqrt()
        assert torch.allclose(found.mean[place, 0], mean, atol=1e-3)
        assert torch.allclose(found.deviation[place, 0], deviation, atol=1e-3)


def test_a_mixture_has_the_moments_of_its_draws_and_the_divergence_bounds_its_own():
    made, posts = network(posterior="mixture"), batch()
    found = made.encode(posts)
    torch.manual_seed(1)
    drawn = found.sample(torch.randn(20_000, 6, 3))
    assert torch.allclose(drawn.mean(dim=0), found.mean, atol=0.05)
    assert torch.allclose(drawn.std(dim=0), found.deviation, atol=0.05)
    own = (found.log_density(drawn) - Normal(0.0, 1.0).log_prob(drawn).sum(dim=-1)).mean(dim=0)
    assert (own <= found.divergence().sum(dim=1) + 0.05).all()
    assert torch.allclose(found.weights.sum(dim=0), torch.ones(6))


def test_a_post_without_anything_has_the_prior_where_experts_are_combined():
    nothing = batch().hide({part: torch.ones(6, dtype=torch.bool) for part in SIZES})
    for posterior in ("product", "mixture"):
        found = network(posterior=posterior).encode(nothing)
        assert torch.allclose(found.mean, torch.zeros(6, 3))
        assert torch.allclose(found.deviation, torch.ones(6, 3))


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_importance_weighted_bound_rises_from_the_elbo(posterior):
    made, posts = network(posterior=posterior), batch()
    found = [
        torch.stack(
            [importance_weighted_bound(made, posts, k, torch.Generator().manual_seed(s)) for s in range(100 // k + 10)]
        ).mean(dim=0)
        for k in (1, 5, 50)
    ]
    assert (found[0].mean() < found[1].mean()) & (found[1].mean() < found[2].mean())


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_bound_is_the_same_however_much_is_decoded_at_a_time(monkeypatch, posterior):
    made, posts = network(posterior=posterior), batch(absent=0.0)
    whole = importance_weighted_bound(made, posts, 7, torch.Generator().manual_seed(0))
    words = max(int(posts.lengths[part].sum()) for part in TEXTS) * SIZES["caption"]
    monkeypatch.setattr(bounds, "_NUMBERS", 2 * words)
    assert bounds._draws(made, posts) == 2
    parts = importance_weighted_bound(made, posts, 7, torch.Generator().manual_seed(0))
    if posterior == "mixture":  # experts are drawn for each part
        assert torch.isfinite(parts).all()
    else:
        assert torch.allclose(whole, parts, atol=1e-4)
    state = torch.get_rng_state()
    assert torch.equal(parts, importance_weighted_bound(made, posts, 7, torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_bound_reaches_the_likelihood_of_a_linear_gaussian_model():
    # With no ReLU in the way, one Gaussian part is probabilistic PCA, whose density is known.
    made = network(sizes={"audio": 4}, latent_size=2)
    weight, bias = torch.randn(4, 2), torch.randn(4)
    made.joint_decoder, made.decoders["audio"] = torch.nn.Identity(), torch.nn.Linear(2, 4)
    made.widths["audio"] = 2
    with torch.no_grad():
        made.decoders["audio"].weight.copy_(weight)
        made.decoders["audio"].bias.copy_(bias)
    posts = batch(posts=5, sizes={"audio": 4}, absent=0.0)
    scale = float(made.log_scale["audio"].exp().detach())
    truth = (posts.values["audio"] - made.mean_audio) / made.deviation_audio
    covariance = (weight @ weight.T).numpy() + scale**2 * np.eye(4)
    exact = multivariate_normal(bias.numpy(), covariance).logpdf(truth.numpy())
    found = importance_weighted_bound(made, posts, 20_000, torch.Generator().manual_seed(0))
    assert np.allclose(found.numpy(), exact, atol=0.1)
    single = [importance_weighted_bound(made, posts, 1, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert (torch.stack(single).mean(dim=0).numpy() < exact + 0.5).all()


def test_reconstructions_are_in_the_units_of_the_data_and_as_long_as_the_posts():
    made, posts = network(), batch()
    r = torch.randn(6, 3)
    found = made.reconstruct(r, posts)
    assert found["caption"].dtype == torch.int64
    for part, value in found.items():
        assert value.shape[0] == 6
        if part in {*TEXTS, "frames"}:
            assert value.shape[1] == int(posts.lengths[part].max())
    audio = made.decoders["audio"](made.joint_decoder(r).split(list(made.widths.values()), dim=1)[2])
    assert torch.allclose(found["audio"], audio * made.deviation_audio + made.mean_audio)


def test_widths_of_the_paper():
    from micromega.models.vsvae.config import VSVAEModelConfig

    config = VSVAEModelConfig(
        latent_size=256, text_hidden=64, text_size=64, frames_hidden=8, image_sizes=(16, 8, 512), audio_size=64
    )
    made = VSVAE(config, spec())
    assert made.heads["joint"].in_features == 656  # the paper's concatenation: 64 + 512 + 64 + 16
    assert made.joint_decoder[0].out_features == 656
