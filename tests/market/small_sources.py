"""Made-up files in the form of the public sources of social data, for the tests of their importers."""

import csv
import gzip
import io
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

A, B, C, X, Y = (digit * 12 for digit in "abc12")
P1, P2, P3, P4 = (digit * 16 for digit in "1234")


@dataclass(frozen=True)
class Source:
    """The files of one source, and what to do with them."""

    module: str
    files: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)
    text: tuple[str, str] = ("", "")
    """File and column of free text."""

    def write(self, folder, **changed):
        """Write the files; `changed` maps the first word of a file's name to its new content."""
        folder.mkdir()
        for name, text in self.files.items():
            write(folder / name, changed.pop(name.split(".")[0], text))
        assert not changed
        return folder

    def read(self, folder: Path, target: Path, **options):
        importer = import_module(f"micromega.market.importers.{self.module}")
        return importer.import_folder(folder, target, **self.options, **options)


def write(path: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with the standard library."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    csv.field_size_limit(10**8)
    return list(csv.DictReader(io.StringIO(text, newline="")))


INDONESIA = Source(
    "instagram_indonesia_2020",
    {
        "posts.csv.gz": (
            "post_id,creator_id,dates,type_posts,likes,comment_counts,captions\n"
            f'{P1},{A},1594174009,GraphImage,154552,0,"two\nlines, #Sun #two @{Y} and @{C} and @{Y}"\n'
            f"{P2},{B},1594174010,GraphVideo,5,1,\n"
            f"{P3},{C},0,GraphSidecar,9,2,@{C} @{X}0 @{X}#x#y\n"
        ),
        "influencers.csv": (
            "creator_id,ranking_beauty,category,following,post,followers,has_posts\n"
            f"{A},1,['Singer'],1,10,1000,True\n"
            f'{B},2,"[\'Film, Music & Books\', ""it\'s""]",2,20,2000,True\n'
            f"{C},3,[],3,30,3000,True\n"
        ),
        "brand_accounts.csv": (
            f"brand_id,brand_handle,category,n_creators,n_posts\n{X},xshop,fashion,1,1\n{C},cshop,media,1,1\n"
        ),
    },
    text=("posts.csv.gz", "captions"),
)

CREATORS = Source(
    "tiktok_creators_2020",
    {
        "videos.csv.gz": (
            "video_id,creator_id,create_time,hashtags,song,video_length,n_likes,n_shares,n_comments,n_plays,"
            "n_followers,n_total_likes,n_total_vids,source\n"
            f"{P1},{A},1604786417,\"['fyp', 'it\\u2028', '', \"\"it's\"\"]\","
            "Sonido Original,15,100,3,2,1000,500,1100,11,top\n"
            f"{P2},{A},1604786418,[],Song,9,50,3,2,900,510,1200,12,top\n"
            f"{P3},{B},1604786419,['x'],,7,10,0,0,0,5,10,1,sug\n"
            f"{P4},{C},1604786420,['x'],original sounds,7,20,0,0,50,5,10,-3,sug\n"
        ),
        "top_creators.csv": (
            "Rank,creator_id,Country,Followers,Views,Likes,Engagement,Brand Account,Genre\n"
            f'1,{A},U.S.A,78.9m,38.3m,6.1m,16.60%,0,"Dancing, Lipsyncing"\n'
            f"2,{X},India,1.5k,1m,1k,1%,1,\n"
        ),
    },
    text=("videos.csv.gz", "song"),
)

SONGS = Source(
    "tiktok_creators_2020",
    {
        "song_videos.csv.gz": (
            "video_id,creator_id,create_time,song,song_id,n_likes,n_shares,n_comments,n_plays,"
            "n_followers,n_total_likes,n_total_vids,source\n"
            f"{P1},{A},1598815908,original sound,6866862002669718277,100,3,2,1000,500,1100,11,song_data_1\n"
            f"{P2},{B},1598815909,Song,17,200,3,2,1000,500,100,11,song_data_1\n"
        ),
        "top_creators.csv": CREATORS.files["top_creators.csv"],
    },
    options={"videos": "songs"},
    text=("song_videos.csv.gz", "song"),
)

TRENDING = Source(
    "tiktok_trending_2020",
    {
        "trending.csv": (
            "video_id,creator_id,verified,createTime,text,hashtags,mentions,musicId,musicName,musicOriginal,height,width,"
            "duration,diggCount,shareCount,playCount,commentCount\n"
            f'{P1},{A},False,1608214517,hi,"[""a"", "" b"", """"]","[""{Y}""]",'
            "679,Element,False,1024,576,15,3710,50,44800,68\n"
            f"{P2},{A},True,1608214518,,[],[],,x,True,1024,576,9,1,2,3,4\n"
            f"{P3},{B},False,1608214519,ho,[],[],1,x,True,1024,576,9,1,2,3,4\n"
        )
    },
    text=("trending.csv", "text"),
)

_CRAWL = (
    "video_id,creator_id,user_nfollower,vid_caption,vid_postTime,vid_scrapeTime,vid_duration,vid_nview,vid_nlike,"
    "vid_ncomment,vid_nshare,vid_nsave,vid_hashtags,music_id,music_title,music_nused,music_originality\n"
)
VIETNAM = Source(
    "tiktok_growth_vietnam_2025",
    {
        "crawl1.csv.gz": _CRAWL
        + (
            f"{P1},{A},304.9K,Giấc mơ @{Y},2025-05-21 09:00:00,2025-05-29 08:00:00,00:31,541.2K,21.9K,454,742,1098,"
            '"a, b 💫, ",7.5e+18,original sound,3 videos,True\n'
            f"{P2},{A},305K,,2025-05-21 09:00:00,2025-05-21 09:00:00,01:05,1B,27.7M,,10.2K,5047,,,x,44 videos,True\n"
            f"{P3},{B},,c,2025-05-20 09:00:00,2025-05-24 21:00:01,30:00,,5,6,7,8,x,7.6e+18,x,44 videos,True\n"
        ),
        "crawl2.csv.gz": _CRAWL
        + (
            f"{P1},{A},305.4K,Giấc,2025-05-21 09:00:00,2025-06-06 10:00:00,00:30,2.1m,30K,657,Share,1716,,"
            "7.5e+18,x,3 videos,True\n"
            f"{P2},{A},306K,,2025-05-21 09:00:00,2025-06-05 10:00:00,01:05,,40M,1,2,3,,,x,44 videos,True\n"
        ),
    },
    text=("crawl1.csv.gz", "vid_caption"),
)

TOPLISTS = Source(
    "toplists_2022",
    {
        "influencer_panel.csv.gz": (
            "platform,month,row,creator_id,category,category_2,audience_country,followers,views_avg,likes_avg,comments_avg,"
            "shares_avg,engagement_auth,engagement_avg\n"
            f"instagram,2022-03,1,{A},Music,,Spain,48500000.0,,,,,383100.0,637000.0\n"
            f"tiktok,2022-03,1,{A},,,,2100,348.5,70,0,70,,\n"
            f"instagram,2022-12,1,{B},Shows,,10.2M,100,,,,,1,2\n"
            f"instagram,2022-03,2,{B},Music,,Iran,90,,,,,1,2\n"
            f"youtube,2022-03,2,{C},,,,90,0.0,0,0,,,\n"
        ),
        "top_instagram_200.csv": (
            "Rank,creator_id,Influence_score,Posts,Followers,Avg_likes,60_day_eng_rate,New_post_avg_like,Total_likes,Country\n"
            f"1,{B},92,3.3k,475.8m,8.7m,nan%,6.5m,29.0b,Spain\n"
            f"2,{C},92,12,13,8.7m,1.39%,6.5m,14,\n"
        ),
    },
    text=("influencer_panel.csv.gz", "category"),
)


def tides_feature(key: str, ids: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """A table whose cell in row r and column c is 100 r + c; a deviation in row 0 is empty."""
    lines = [",".join((key, *columns))]
    for row, account in enumerate(ids):
        empty = [row == 0 and column.endswith("_std") for column in columns]
        lines.append(",".join([account, *("" if gone else str(100 * row + place) for place, gone in enumerate(empty))]))
    return "\n".join(lines) + "\n"


def _moments(names: tuple[str, ...]) -> tuple[str, ...]:
    bins = tuple(f"{name}_bin_{place}" for name in names for place in range(12))
    return bins + tuple(f"{name}_{kind}" for kind in ("min", "max", "mean", "std") for name in names)


_AUDIO = _moments(("audio_arousal", "audio_dominance", "audio_valence"))
_EMOTION = ("audio_neu", "audio_hap", "audio_sad", "audio_ang")
_EMOJIS = _moments(("text_EmoNegative", "text_EmoNeutral", "text_EmoPositive", "text_EmoSentScore"))
_LENGTHS = _moments(("text_CaptionLength", "text_EmojisLength"))
_LENGTHS_YOUTUBE = _moments(("text_CaptionLength", "text_EmojisLength", "text_n_hashtag"))
_FACES = tuple(f"video_{mood}" for mood in ("surprise", "sad", "fear", "neutral", "angry", "happy", "disgust")) + tuple(
    f"video_{number}_faces" for number in (0, 1, 2, 3, 4, 5, "above5")
)

TIDES = Source(
    "tides",
    {
        "tiktok_influencers.csv.gz": (
            "creator_id,author_id,continent,tier,language,verified,has_signature,has_bioLink,commerceUser,commerceCategory,"
            "commerceButton,region,following,followers,total_likes,total_videos,videos_liked\n"
            f"{A},{X},Africa,nano,English,False,True,False,False,none,False,ZA,1238,1590,57900,158,0\n"
            f'{B},{Y},Africa,nano,French,True,True,False,True,"Sports, Fitness & Outdoors",'
            "False,MA,54,5221,34500,67,0\n"
        ),
        "tiktok_audio_adv.csv.gz": tides_feature("author_id", (Y, X), _AUDIO),
        "tiktok_audio_emotion.csv.gz": tides_feature("author_id", (Y,), _EMOTION),
        "tiktok_caption.csv.gz": tides_feature("author_id", (X, Y), _LENGTHS + _EMOJIS),
        "tiktok_faces.csv.gz": tides_feature("author_id", (X, Y), _FACES),
    },
    text=("tiktok_influencers.csv.gz", "commerceCategory"),
)

TIDES_YOUTUBE = Source(
    "tides",
    {
        "youtube_influencers.csv.gz": (
            "creator_id,continent,tier,followers,language,easy_language,has_signature,has_bioLink,tot_videos,tot_views\n"
            f"{A},Africa,macro,637000.0,French,True,True,True,1516,116340245\n"
            f"{B},Asia,macro,911000.0,French,True,True,False,95,59730384\n"
        ),
        "youtube_audio_adv.csv.gz": tides_feature("creator_id", (B,), _AUDIO),
        "youtube_audio_emotion.csv.gz": tides_feature("creator_id", (A, B), _EMOTION),
        "youtube_caption.csv.gz": tides_feature("creator_id", (A, B), _LENGTHS_YOUTUBE + _EMOJIS),
    },
    options={"platform": "youtube"},
    text=("youtube_influencers.csv.gz", "continent"),
)

SOURCES = {
    "indonesia": INDONESIA,
    "creators": CREATORS,
    "songs": SONGS,
    "trending": TRENDING,
    "vietnam": VIETNAM,
    "toplists": TOPLISTS,
    "tides": TIDES,
    "tides_youtube": TIDES_YOUTUBE,
}
