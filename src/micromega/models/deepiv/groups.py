"""Which posts have a curve of their own together: hashtags, engagement tactics, topics, campaigns.

A subject's name says its kind, except for hashtags, which are named as they are: "tactic: socializing",
"topic: 0 (food)", "campaign: UnwrapTheDeals". N posts.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from micromega.errors import ConfigError
from micromega.market.market import Market
from micromega.models.deepiv.config import DeepIVEvaluationConfig
from micromega.models.deepiv.from_market import CausalInputs

Labels = NDArray[np.object_]
LEAST = 30
"""Posts of a group with a curve of its own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Grouping:
    """One way to sort posts.

    Attributes:
        kind: hashtag, tactic, topic or campaign.
        names: subjects, those with most posts first.
        code: position in `names` of each post, −1 for a post of none, (N,).
    """

    kind: str
    names: tuple[str, ...]
    code: NDArray[np.int64]


def groupings(
    config: DeepIVEvaluationConfig, market: Market, inputs: CausalInputs, rows: NDArray[np.int64], absent: list[str]
) -> tuple[Grouping, ...]:
    """Sort posts in each way that is asked for and that the market allows.

    Args:
        config: says which ways, and how many groups of each.
        market: holds what posts are.
        inputs: all posts.
        rows: those that curves are averaged over, (N,).
        absent: ways that the market lacks are added, with the reason.

    Returns:
        The groupings with a group of 30 posts or more.

    Raises:
        ConfigError: the file of tactics cannot be used.
    """
    makers = {"hashtag": _hashtags, "tactic": _tactics, "topic": _topics, "campaign": _campaigns}
    found = []
    for kind in config.groups:
        labels = makers[kind](config, market, inputs)
        if isinstance(labels, str):
            absent.append(labels)
            continue
        grouping = _largest(kind, labels[rows], config.campaigns if kind == "campaign" else config.hashtags)
        if grouping.names:
            found.append(grouping)
        else:
            absent.append(f"No {kind} has a curve of its own: none has {LEAST} posts among those looked at.")
    return tuple(found)


def _largest(kind: str, labels: Labels, most: int) -> Grouping:
    names, count = np.unique(labels.astype(str), return_counts=True)
    ordered = sorted(zip(names.tolist(), count.tolist(), strict=True), key=lambda of: -of[1])
    shown = tuple(name for name, posts in ordered if name and posts >= LEAST)[:most]
    place = {name: position for position, name in enumerate(shown)}
    return Grouping(kind=kind, names=shown, code=np.array([place.get(name, -1) for name in labels], dtype=np.int64))


def _hashtags(config: DeepIVEvaluationConfig, market: Market, inputs: CausalInputs) -> Labels | str:
    if (inputs.hashtag == "").all():
        return "No curves by hashtag: no post is listed under one (posts.hashtag)."
    return inputs.hashtag


def _tactics(config: DeepIVEvaluationConfig, market: Market, inputs: CausalInputs) -> Labels | str:
    """Labels that people gave to hashtags (Tian et al. 2022, Table 3, after Dolan et al. 2019)."""
    if config.tactics is None:
        return (
            "No curves by engagement tactic (Figure 7): informational, entertaining and socializing are labels that "
            "people give to hashtags, and no market holds them. Name a file: evaluation.tactics."
        )
    of_tag = _read_tactics(Path(config.tactics))
    labels = np.array([of_tag.get(tag.lower(), "") for tag in inputs.hashtag.tolist()], dtype=object)
    if (labels == "").all():
        return f"No curves by engagement tactic: no post is listed under a hashtag of {config.tactics}."
    return _named("tactic", labels)


def _read_tactics(path: Path) -> dict[str, str]:
    """Hashtag in small letters, without "#" -> tactic."""
    if not path.is_file():
        raise ConfigError(f"evaluation.tactics: there is no file {path}.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        if not {"hashtag", "tactic"} <= set(table.fieldnames or ()):
            raise ConfigError(f"evaluation.tactics: {path} needs the columns hashtag and tactic, separated by a comma.")
        of_tag: dict[str, str] = {}
        for line in table:
            tag, tactic = ((line[name] or "").strip() for name in ("hashtag", "tactic"))
            before = of_tag.setdefault(tag.removeprefix("#").lower(), tactic)
            if before != tactic:
                raise ConfigError(f"evaluation.tactics: {path} calls {tag!r} both {before!r} and {tactic!r}.")
    return of_tag


def _topics(config: DeepIVEvaluationConfig, market: Market, inputs: CausalInputs) -> Labels | str:
    """Clusters of hashtags by meaning (Web Appendix D), made by `python -m micromega.features`."""
    if "post_topic" not in market.feature_names:
        return (
            "No curves by topic (Figure 8): the market has no topics of hashtags. Make them with a word-vector file: "
            "python -m micromega.features market=… features=topics features.topics.word_vectors=…"
        )
    feature = market.features("post_topic")
    row = feature.rows_of(pa.array(inputs.post_ids.tolist(), pa.string()))
    topic = np.where(row >= 0, feature.take(np.maximum(row, 0)), -1)
    names = _topic_names(market, int(topic.max()) + 1)
    return np.array([names[number] if number >= 0 else "" for number in topic.tolist()], dtype=object)


def _topic_names(market: Market, topics: int) -> list[str]:
    """Number of each topic, with the hashtag nearest to its centre where the market has vectors of hashtags."""
    if not {"hashtag_vector", "hashtag_topic"} <= set(market.feature_names):
        return [f"topic: {number}" for number in range(topics)]
    vectors, of_tag = market.features("hashtag_vector"), market.features("hashtag_topic")
    tags = of_tag.ids.to_pylist()
    place, member = vectors.take(vectors.rows_of(of_tag.ids)), of_tag.take(np.arange(len(of_tag)))
    names = []
    for number in range(topics):
        here = np.flatnonzero(member == number)
        if not len(here):
            names.append(f"topic: {number}")
            continue
        distance = np.linalg.norm(place[here] - place[here].mean(axis=0), axis=1)
        names.append(f"topic: {number} ({tags[here[distance.argmin()]]})")
    return names


def _campaigns(config: DeepIVEvaluationConfig, market: Market, inputs: CausalInputs) -> Labels | str:
    """Posts listed under a hashtag that has a sponsored post; a brand's sponsored posts that are listed nowhere.

    The paper averages over the official videos of a campaign alone; most markets have too few of them for a curve.
    """
    posts = market.table("posts")
    row = pc.index_in(pa.array(inputs.post_ids.tolist(), pa.string()), value_set=posts["post_id"].combine_chunks())
    paid = pc.fill_null(posts["sponsored"], False).to_numpy()
    if not paid.any():
        return "No curves by campaign (Table 4, Figures 9 to 11): the market does not say which posts are sponsored."
    tags = pc.fill_null(posts["hashtag"], "").to_numpy()
    sponsored_tags = set(tags[paid]) - {""}
    brand = pc.fill_null(posts["brand_id"].take(row), "").to_numpy(zero_copy_only=False)
    own = paid[np.asarray(row)] & (inputs.hashtag == "")
    labels = np.array([tag if tag in sponsored_tags else "" for tag in inputs.hashtag.tolist()], dtype=object)
    return _named("campaign", np.where(own, brand, labels))


def _named(kind: str, labels: Labels) -> Labels:
    return np.array([f"{kind}: {label}" if label else "" for label in labels.tolist()], dtype=object)
