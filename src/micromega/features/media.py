"""Which posts have media, and what the posts table knows about them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from micromega.errors import DataError
from micromega.features.extractor import Media
from micromega.market.market import Market

_OUTSIDE = r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\x00"
_FIELDS = ("caption", "sticker_text", "speech_text", "hashtag", "music_id", "duration_s")


def media_posts(market: Market) -> pa.Table:
    """List the posts with media.

    Args:
        market: its posts table names the files.

    Returns:
        post_id, media_path and the other fields of `Media`, one row per post with a media_path, in the order of the
        posts.

    Raises:
        DataError: no post has one, or one leads out of the folder: tables come from others, and must not say which
            files of this machine are read. Links inside the folder are followed.
    """
    posts = market.table("posts")
    has = pc.is_valid(posts.column("media_path"))
    if not pc.any(has).as_py():
        raise DataError(
            f'posts.parquet: column "media_path" (picture or video file, relative to the market\'s folder) holds no '
            f'value in market "{market.name}". Fill it in, or choose features=text, which needs no media.'
        )
    outside = posts.filter(pc.fill_null(pc.match_substring_regex(posts.column("media_path"), _OUTSIDE), False))
    if outside.num_rows:
        first = outside.slice(0, 1).select(["post_id", "media_path"]).to_pylist()[0]
        raise DataError(
            f'posts.parquet: {outside.num_rows} values of "media_path" lead out of the folder of media, the first in '
            f"post {first['post_id']}: {first['media_path']!r}. Give paths below one folder, and media=FOLDER."
        )
    share = universality(posts.column("hashtag"), posts.column("music_id"))
    return posts.select(["post_id", "media_path", *_FIELDS]).append_column("universality", share).filter(has)


def media_of(posts: pa.Table, folder: Path) -> Iterator[Media]:
    """Give posts one by one.

    Args:
        posts: see `media_posts`.
        folder: what media_path is relative to.
    """
    for batch in posts.to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            yield Media(path=folder / row.pop("media_path"), **row)


def universality(hashtag: pa.ChunkedArray, music_id: pa.ChunkedArray) -> pa.Array:
    """How common a post's audio is under its hashtag (Tian et al. 2022, Web Appendix E).

    Args:
        hashtag: (P,) hashtag under which each post is listed, null: unknown.
        music_id: (P,) its sound, null: unknown.

    Returns:
        (P,) share of the *other* posts under the same hashtag that use the same sound, in [0, 1], posts whose sound is
        unknown among those others; 0 for a hashtag's only post, null where hashtag or sound is unknown.
    """
    encoded = [column.combine_chunks().dictionary_encode().indices for column in (hashtag, music_id)]
    tags, sounds = (pc.fill_null(codes, -1).to_numpy(zero_copy_only=False).astype(np.int64) for codes in encoded)
    known = (tags >= 0) & (sounds >= 0)
    others = np.bincount(tags[tags >= 0], minlength=1)[tags[known]] - 1
    pairs = tags[known] * (sounds.max(initial=0) + 1) + sounds[known]
    _, pair, same = np.unique(pairs, return_inverse=True, return_counts=True)
    share = np.zeros(len(known))
    share[known] = (same[pair] - 1) / np.maximum(others, 1)
    return pa.array(share, mask=~known)
