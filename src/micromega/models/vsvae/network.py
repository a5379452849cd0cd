"""The VS-VAE: encoders, posterior, decoders and the likelihood of a post given r (Tian et al. 2022, Web Appendix F).

Shapes: B posts, D numbers of r, N items of all sequences, M modalities.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from micromega.models.vsvae.batch import PostBatch, PostSpec
from micromega.models.vsvae.config import VSVAEModelConfig
from micromega.models.vsvae.decoders import ImageDecoder, TextDecoder, padded, summed_by_post
from micromega.models.vsvae.encoders import ImageEncoder, TextEncoder, VectorEncoder, dense
from micromega.models.vsvae.parts import SEQUENCES, TEXTS, modalities_of
from micromega.models.vsvae.posterior import Gaussian, Posterior, mixture_of_experts, product_of_experts
from micromega.models.vsvae.sequences import items, post_of_item

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LOG_DEVIATION = 7.0
"""Largest size of a log deviation of the posterior: beyond it exp overflows before the divergence can pull it back."""


class VSVAE(nn.Module):
    """Encode posts to a posterior of r, and say how likely a post is given r.

    Args:
        config: widths and the kind of posterior.
        spec: sizes and statistics of the parts.
    """

    def __init__(self, config: VSVAEModelConfig, spec: PostSpec) -> None:
        super().__init__()
        self.config, self.sizes = config, dict(spec.sizes)
        self.modalities = modalities_of(tuple(spec.sizes))
        for part in spec.mean:
            self.register_buffer(f"mean_{part}", spec.mean[part].clone())
            self.register_buffer(f"deviation_{part}", spec.deviation[part].clone())
        self.word_vectors = nn.Parameter(spec.word_vectors.clone(), requires_grad=config.learn_words)
        self.encoders, self.decoders = nn.ModuleDict(), nn.ModuleDict()
        widths = {
            "text": config.text_size,
            "image": config.image_sizes[-1],
            "audio": config.audio_size,
            "editing": config.editing_size,
        }
        self.widths = {name: widths[name] for name in self.modalities}
        codes: dict[str, int] = {}
        for name, parts in self.modalities.items():
            sizes, width = {part: self.sizes[part] for part in parts}, widths[name]
            encoder: TextEncoder | ImageEncoder | VectorEncoder
            if name == "text":
                args = (parts, spec.word_vectors.shape[1], config.text_hidden, width, config.dropout)
                encoder = TextEncoder(*args, mean=config.mean_pooling, linear_path=config.linear_path)
                self.decoders[name] = TextDecoder(parts, width, config.text_hidden, len(spec.words))
            elif name == "image":
                of = (sizes, config.frames_hidden, config.image_sizes, config.dropout)
                encoder = ImageEncoder(*of, mean=config.mean_pooling, linear_path=config.linear_path)
                self.decoders[name] = ImageDecoder(*of)
            else:
                encoder = VectorEncoder(name, sizes[name], width, config.dropout, linear_path=config.linear_path)
                self.decoders[name] = nn.Linear(width, sizes[name])
            self.encoders[name], codes[name] = encoder, encoder.outputs
        heads = {"joint": sum(codes.values())} if config.posterior == "joint" else codes
        self.heads = nn.ModuleDict({name: nn.Linear(width, 2 * config.latent_size) for name, width in heads.items()})
        self.joint_decoder = dense([config.latent_size, sum(self.widths.values())], 0.0)
        past = self.sizes if config.linear_path else {}
        self.linear_paths = nn.ModuleDict({p: nn.Linear(config.latent_size, d, bias=False) for p, d in past.items()})
        for weight in self.linear_paths.parameters():
            nn.init.zeros_(weight)  # r is noise at first
        self.log_scale = nn.ParameterDict(
            {
                part: nn.Parameter(torch.zeros(()), requires_grad=config.likelihood_scale == "learned")
                for part in self.sizes
                if part not in TEXTS
            }
        )

    def encode(self, batch: PostBatch) -> Posterior:
        """Posterior of r given the parts that each post has (eq. 14 and 15)."""
        standard = self._standard(batch)
        codes = {
            name: encoder(batch, self.word_vectors if name == "text" else standard)
            for name, encoder in self.encoders.items()
        }
        if self.config.posterior == "joint":
            mean, log_deviation = self._head("joint", torch.cat(list(codes.values()), dim=1))
            return Gaussian(mean=mean, log_deviation=log_deviation)
        experts = [self._head(name, code) for name, code in codes.items()]
        means, log_deviations = (torch.stack(values) for values in zip(*experts, strict=True))
        present = torch.stack(
            [torch.stack([batch.present(part) for part in parts]).any(dim=0) for parts in self.modalities.values()]
        )
        combine = product_of_experts if self.config.posterior == "product" else mixture_of_experts
        return combine(means, log_deviations, present)

    def log_likelihood(self, r: Tensor, batch: PostBatch) -> dict[str, Tensor]:
        """How likely the parts of posts are.

        Args:
            r: (B, D).
            batch: the posts.

        Returns:
            part -> (B,) nats, 0 where a post lacks the part. Words are categorical; numbers are Gaussian, standardised
            as the data are.
        """
        standard, found = self._standard(batch), {}
        for part, decoded in self._decode(r, batch.lengths).items():
            if part in SEQUENCES:
                lengths = batch.lengths[part]
                truth = items(batch.values[part] if part in TEXTS else standard[part], lengths)
                if part in TEXTS:
                    of_items = -F.cross_entropy(decoded.float(), truth, reduction="none")
                else:
                    of_items = self._gaussian(part, decoded, truth)
                found[part] = summed_by_post(of_items, post_of_item(lengths, truth.device), len(batch))
            else:
                found[part] = self._gaussian(part, decoded, standard[part]) * batch.present(part)
        zeros = r.new_zeros(len(batch))
        return {part: found.get(part, zeros) for part in self.sizes}

    def reconstruct(self, r: Tensor, batch: PostBatch) -> dict[str, Tensor]:
        """What the decoders expect.

        Args:
            r: (B, D).
            batch: the posts, for the lengths of their sequences.

        Returns:
            part -> (B, T) likeliest word at each place; (B, T, d) frames or (B, d) numbers in the units of the data.
            Parts that no post of the batch has are left out.
        """
        found = {}
        for part, decoded in self._decode(r, batch.lengths).items():
            if part in TEXTS:
                known = decoded[:, 1:].argmax(dim=-1) + 1  # "<unk>" is no word
                found[part] = padded(known, batch.lengths[part])
            else:
                values = padded(decoded, batch.lengths[part]) if part in SEQUENCES else decoded
                found[part] = values * getattr(self, f"deviation_{part}") + getattr(self, f"mean_{part}")
        return found

    def _standard(self, batch: PostBatch) -> dict[str, Tensor]:
        return {
            part: (values - getattr(self, f"mean_{part}")) / getattr(self, f"deviation_{part}")
            for part, values in batch.values.items()
            if part not in TEXTS
        }

    def _head(self, name: str, code: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_deviation = self.heads[name](code).float().chunk(2, dim=1)
        return mean, log_deviation.clamp(-_LOG_DEVIATION, _LOG_DEVIATION)

    def _decode(self, r: Tensor, lengths: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        vectors = self.joint_decoder(r).split(list(self.widths.values()), dim=1)
        for (name, decoder), vector in zip(self.decoders.items(), vectors, strict=True):
            if name in {"text", "image"}:
                found |= decoder(vector, lengths)
            else:
                found[name] = decoder(vector)
        for part, path in self.linear_paths.items():
            if part in found:
                past = path(r)
                found[part] = found[part] + (past[post_of_item(lengths[part], r.device)] if part in SEQUENCES else past)
        return found

    def _gaussian(self, part: str, mean: Tensor, truth: Tensor) -> Tensor:
        """Log density of numbers, summed over the last axis: (…, d) -> (…)."""
        log_scale = self.log_scale[part]
        squares = ((truth - mean.float()) ** 2).sum(dim=-1)
        density: Tensor = -0.5 * squares * torch.exp(-2 * log_scale) - truth.shape[-1] * (log_scale + _HALF_LOG_2PI)
        return density
