import datetime as dt
import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from micromega.errors import ConfigError, DataError
from micromega.market import open_market
from micromega.market.config import Mapped
from micromega.market.importers.mapped import import_folder, suggest_map

POSTS = """Post ID,Username,Published,Text,Like Count,Comments,Views
1,ann,03/05/2024,"Soup with @Acme, twice @acme!
#food #Soup","1,204",31,9.8K
2,ann,04/05/2024,rainy walk @nobody.,310,4,2100
3,ben,05/05/2024,Test drive with @bolt_cars #cars,88,2,
"""
ACCOUNTS = """Handle,Type,Followers,Niche,Name
acme,brand,,food,
b7,brand,,cars,Bolt_Cars
ann,creator,9.5K,,
ben,creator,12000.0,,
"""
COLUMNS = {
    "post_id": "Post ID", "account_id": "Username", "posted_at": "Published", "caption": "Text",
    "likes": "Like Count", "comments": "Comments", "impressions": "Views",
}  # fmt: skip
PLAN = {
    "name": "spring",
    "currency": "EUR",
    "tables": {
        "posts": {"file": "my_posts.csv", "columns": COLUMNS, "times": {"posted_at": "%d/%m/%Y"}},
        "accounts": {
            "file": "my_accounts.csv",
            "columns": {
                "account_id": "Handle", "kind": "Type", "followers": "Followers", "category": "Niche", "name": "Name",
            },
            "constants": {"platform": "instagram"},
        },
    },
}  # fmt: skip


def source(folder, plan=PLAN, **files):
    folder.mkdir(exist_ok=True)
    for name, content in ({"my_posts": POSTS, "my_accounts": ACCOUNTS} | files).items():
        if isinstance(content, pa.Table):
            pq.write_table(content, folder / f"{name}.parquet")
        else:
            (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    (folder / "columns.yaml").write_text(plan if isinstance(plan, str) else yaml.safe_dump(plan))
    return folder / "columns.yaml"


def changed(**tables):
    return PLAN | {"tables": {name: table for name, table in (PLAN["tables"] | tables).items() if table}}


def refused(tmp_path, *args, **files):
    with pytest.raises(DataError) as caught:
        import_folder(source(tmp_path, *args, **files), tmp_path / "market")
    assert not (tmp_path / "market").exists()
    return str(caught.value)


def test_two_files_make_a_market(tmp_path):
    market = import_folder(source(tmp_path), tmp_path / "market")
    assert (market.name, market.currency) == ("spring", "EUR")
    accounts = {row["account_id"]: row for row in market.table("accounts").to_pylist()}
    assert [row["followers"] for row in accounts.values()] == [None, None, 9500, 12000]
    assert {row["platform"] for row in accounts.values()} == {"instagram"}
    assert (accounts["ann"]["category"], accounts["ben"]["category"]) == ("food", "cars")  # of the brands mentioned
    first, second, third = market.table("posts").to_pylist()
    assert first["posted_at"] == dt.datetime(2024, 5, 3, tzinfo=dt.UTC)
    assert (first["likes"], first["comments"], first["impressions"]) == (1204, 31, 9800)
    assert (first["hashtags"], first["mentioned_ids"], first["brand_id"]) == (["food", "Soup"], ["acme"], "acme")
    assert (second["mentioned_ids"], second["brand_id"]) == (["nobody"], None)
    assert (third["mentioned_ids"], third["brand_id"], third["impressions"]) == (["b7"], "b7", None)
    mentions = [(row["creator_id"], row["brand_id"], row["posts"]) for row in market.table("mentions").to_pylist()]
    assert mentions == [("ann", "acme", 1), ("ben", "b7", 1)]
    for start in ("posts.hashtags read", "posts.mentioned_ids read", "posts.brand_id is", "mentions: 2 pairs"):
        assert any(note.startswith(start) for note in market.notes)


def test_posts_alone_make_accounts(tmp_path):
    columns = COLUMNS | {"brand_id": "Sponsor", "author_followers": "Fans"}
    text = (
        "Post ID,Username,Published,Text,Like Count,Comments,Views,Sponsor,Fans\n"
        "1,ann,2024-05-03,soup,1,1,1,acme,10\n2,ann,2024-05-04,rain,1,1,1,,20\n3,acme,2024-05-04,shop,1,1,1,,\n"
    )
    plan = changed(posts={"file": "my_posts.csv", "columns": columns}, accounts=None)
    market = import_folder(source(tmp_path, plan, my_posts=text), tmp_path / "market")
    assert [(row["account_id"], row["kind"], row["followers"]) for row in market.table("accounts").to_pylist()] == [
        ("acme", "brand", None),
        ("ann", "creator", 20),  # as the newest post says
    ]
    assert market.table("mentions").to_pylist()[0]["posts"] == 1


def test_kinds_and_post_ids_are_made(tmp_path):
    columns = {name: column for name, column in COLUMNS.items() if name != "post_id"}
    posts = PLAN["tables"]["posts"] | {"columns": columns | {"brand_id": "Post ID"}}
    accounts = {"file": "my_accounts.csv", "columns": {"account_id": "Handle"}}
    text = POSTS.replace("\n1,", "\nacme,").replace("\n2,", "\n,").replace("\n3,", "\nb7,")
    plan = changed(posts=posts, accounts=accounts)
    market = import_folder(source(tmp_path, plan, my_posts=text), tmp_path / "market")
    assert market.table("accounts")["kind"].to_pylist() == ["brand", "brand", "creator", "creator"]
    assert market.table("posts")["post_id"].to_pylist() == ["2", "4", "5"]  # the first caption has two lines
    assert any("post_id is the line of my_posts.csv" in note for note in market.notes)


def test_orders_alone_make_products_merchants_and_accounts(tmp_path):
    columns = {"order_id": "o", "product_id": "p", "customer_id": "c", "amount": "money"}
    orders = {"file": "orders.csv", "columns": columns, "decimal": ",", "delimiter": ";", "encoding": "cp1252"}
    plan = source(tmp_path, {"name": "a", "currency": "EUR", "tables": {"orders": orders}})
    (tmp_path / "orders.csv").write_bytes("o;p;c;money\n1;tea;José;1.250,50\n1;pot;José;3\n".encode("cp1252"))
    market = import_folder(plan, tmp_path / "market")
    assert market.table("orders")["amount"].to_pylist() == [1250.5, 3.0]
    assert market.table("products")["product_id"].to_pylist() == ["pot", "tea"]
    assert market.table("merchants")["merchant_id"].to_pylist() == ["shop"]
    assert market.table("accounts")["account_id"].to_pylist() == ["José"]


def test_merchants_of_orders_come_from_products(tmp_path):
    tables = {
        "orders": {"file": "o.csv", "columns": {"order_id": "o", "product_id": "p", "customer_id": "c"}},
        "products": {"file": "p.csv", "columns": {"product_id": "p", "merchant_id": "m", "quota": "q"}},
    }
    files = {"o": "o,p,c\n1,tea,ann\n2,pot,ann\n", "p": "p,m,q\npot,kettle & co,2\ntea,leaf,1\n"}
    plan = {"name": "a", "currency": "EUR", "tables": tables}
    market = import_folder(source(tmp_path, plan, **files), tmp_path / "market")
    assert market.table("orders")["merchant_id"].to_pylist() == ["leaf", "kettle & co"]
    assert market.table("merchants")["merchant_id"].to_pylist() == ["kettle & co", "leaf"]


def test_follows_with_probabilities(tmp_path):
    table = {"file": "f.csv", "columns": {"source_id": "a", "target_id": "b", "probability": "p"}}
    plan = source(tmp_path, {"name": "a", "currency": "EUR", "tables": {"follows": table}}, f="a,b,p\n1,2,.5\n2,3,1\n")
    market = import_folder(plan, tmp_path / "market")
    assert market.table("follows")["probability"].to_pylist() == [0.5, 1.0]
    assert market.table("accounts").num_rows == 3
    (tmp_path / "f.csv").write_text("a,b,p\n1,2,1.5\n2,3,1\n")
    with pytest.raises(DataError, match=r'f\.csv \(follows\): column "p" \(probability\) .*above 1 \(line 2: 1\.5\)'):
        import_folder(plan, tmp_path / "other")


def test_parquet_files_of_any_type(tmp_path):
    posts = pa.table(
        {
            "Post ID": pa.array([7, 8], pa.int32()),
            "Username": pa.array(["ann", "ben"]).dictionary_encode(),
            "Published": pa.array([dt.datetime(2024, 5, 3, 12), None], pa.timestamp("ns")),
            "Text": pa.array(["soup #a", None], pa.large_string()),
            "Like Count": pa.array([12.0, float("nan")], pa.float64()),
            "Comments": pa.array([3, None], pa.uint8()),
            "Views": pa.array(["1.2M", "NA"]),
            "tags": pa.array([["#x", None, " y"], None], pa.large_list(pa.string())),
            "ad": pa.array([True, None]),
            "long": pa.array([1.5, float("nan")], pa.float32()),
        }
    )
    columns = COLUMNS | {"hashtags": "tags", "sponsored": "ad", "duration_s": "long"}
    plan = changed(posts={"file": "p.parquet", "columns": columns}, accounts=None)
    market = import_folder(source(tmp_path, plan, p=posts), tmp_path / "market")
    first, second = market.table("posts").to_pylist()
    assert (first["post_id"], first["account_id"], first["likes"], first["impressions"]) == ("7", "ann", 12, 1_200_000)
    assert first["posted_at"] == dt.datetime(2024, 5, 3, 12, tzinfo=dt.UTC)
    assert (first["hashtags"], first["sponsored"], first["duration_s"], first["comments"]) == (["x", "y"], True, 1.5, 3)
    assert [second[name] for name in ("posted_at", "likes", "comments", "impressions", "sponsored")] == [None] * 5
    assert (second["hashtags"], second["duration_s"]) == ([], None)
    bad = posts.set_column(4, "Like Count", pa.array([12.0, 12.5]))
    pq.write_table(bad, tmp_path / "p.parquet")
    with pytest.raises(
        DataError, match=r'p\.parquet \(posts\): column "Like Count" \(likes\) .* read as likes \(row 1: 12\.5\)'
    ):
        import_folder(tmp_path / "columns.yaml", tmp_path / "other")
    (tmp_path / "p.parquet").write_bytes((tmp_path / "p.parquet").read_bytes()[:-50])
    with pytest.raises(DataError, match=r"p\.parquet: not a readable Parquet file, or damaged"):
        import_folder(tmp_path / "columns.yaml", tmp_path / "other")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("310,4", "many,4", '"Like Count" (likes) holds 1 value that cannot be read as likes (line 4: many)'),
        ("310,4", "1.5,4", 'column "Like Count" (likes) holds 1 value that cannot be read as likes (line 4: 1.5)'),
        ("310,4", "-3,4", 'my_posts.csv (posts): column "Like Count" (likes) holds 1 negative value (line 4: -3)'),
        ("\n2,", "\n1,", 'my_posts.csv (posts): column "Post ID" (post_id) holds 1 repeated key (line 4: 1)'),
        ("\n2,", "\n,", 'my_posts.csv (posts): column "Post ID" (post_id) holds 1 null value (line 4: null)'),
        ("2,ann", "2,zoe", 'column "Username" (account_id) holds 1 id that is no known account (line 4: zoe)'),
        ("04/05/2024", "31/04/2024", '"Published" (posted_at) holds 1 value that cannot be read as posted_at (line 4'),
        ("04/05/2024", "2024-05-04", 'times: {posted_at: "%d/%m/%Y"}'),
        ("310,4", "310", 'my_posts.csv (posts): 1 line with 6 values instead of 7 (line 4)'),
    ],
)  # fmt: skip
def test_bad_rows_are_named_by_their_lines_and_can_be_dropped(tmp_path, old, new, words):
    assert old in POSTS
    message = refused(tmp_path, my_posts=POSTS.replace(old, new))
    assert words in message
    assert "market.on_bad_rows=drop" in message
    market = import_folder(tmp_path / "columns.yaml", tmp_path / "market", on_bad_rows="drop")
    assert market.table("posts").num_rows == 2
    assert any(note.startswith("Dropped: my_posts.csv") for note in market.notes)


def with_posts(**keys):
    return changed(posts={**PLAN["tables"]["posts"], **keys})


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("", "columns.yaml: the file: expected keys and values, got NoneType"),
        ("a: [", "columns.yaml: not readable as YAML"),
        ("- a", "expected keys and values, got list"),
        (PLAN | {"curency": "EUR"}, 'the file: unknown key "curency". Did you mean "currency"?'),
        ({"name": "a", "tables": {}}, '"currency" is missing or no text'),
        (PLAN | {"name": 3}, '"name" is missing or no text (got 3)'),
        (PLAN | {"tables": {}}, "tables: name at least one of accounts, posts"),
        (PLAN | {"tables": {"post": {}}}, 'tables: unknown key "post". Did you mean "posts"?'),
        (PLAN | {"tables": {"posts": None}}, "tables.posts: expected keys and values, got NoneType"),
        (with_posts(colums={}), 'tables.posts: unknown key "colums". Did you mean "columns"?'),
        (with_posts(columns={"like": "Likes"}), 'tables.posts.columns: unknown key "like". Did you mean "likes"?'),
        (with_posts(columns={"likes": ["a"]}), "tables.posts.columns.likes: expected one value, got ['a']"),
        (with_posts(columns={"post_id": "Post ID"}, times={}), '"account_id" (author) is required: say which'),
        (with_posts(file=None), "tables.posts.file: expected one value"),
        (with_posts(file=""), "tables.posts.file is missing"),
        (with_posts(file="no.csv"), "no.csv: there is no such file"),
        (with_posts(constants={"likes": 3}), '"likes" is under columns and under constants'),
        (with_posts(constants={"shares": "few"}), "tables.posts.constants.shares: 'few' is no int64"),
        (with_posts(times={"likes": "unix"}), '"likes" is not a time or day but int64'),
        (with_posts(lists={"caption": ","}), '"caption" is not a list but string'),
        (with_posts(lists={"hashtags": ","}), '"hashtags" is not under tables.posts.columns'),
        (with_posts(values={"like": {}}), 'tables.posts.values: unknown key "like". Did you mean "likes"?'),
        (with_posts(values={"shares": {"x": 1}}), '"shares" is not under tables.posts.columns'),
        (with_posts(values={"likes": "x"}), "tables.posts.values.likes: expected cells and what they mean, got 'x'"),
        (with_posts(values={"likes": {"few": "some"}}), 'tables.posts.values.likes: "some" is no likes. Counts are'),
        (with_posts(values={"likes": {"few": [1]}}), "tables.posts.values.likes.few: expected one value, got [1]"),
        (with_posts(values={"likes": {True: 1}}), 'YAML reads a cell as True. Put cells in quotation marks: "yes"'),
        (with_posts(values={"likes": {"x": 1, " X": 2}}), '"x" has two meanings (upper and lower case are the same)'),
        (with_posts(decimal=";"), '"decimal" is "." or ","'),
        (with_posts(columns=COLUMNS | {"likes": "A", "comments": "B"}), 'columns "B", "A" are missing. The file has'),
        (with_posts(delimiter=", "), '"delimiter" is one character'),
        (with_posts(encoding="utf-9"), 'tables.posts.encoding: "utf-9" is unknown'),
        (with_posts(columns=COLUMNS | {"likes": "Like"}), 'column "Like" is missing. The file has: Post ID, Username'),
    ],
)  # fmt: skip
def test_a_wrong_map_is_told_by_its_key(tmp_path, plan, words):
    assert words in refused(tmp_path, plan)


def test_a_map_through_the_config_is_cached_and_follows_the_files(tmp_path):
    path = source(tmp_path / "source")
    config = Mapped(path=str(path))
    first = open_market(config, tmp_path / "cache")
    assert open_market(config, tmp_path / "cache").path == first.path
    source(tmp_path / "source", my_posts=POSTS + "4,ben,06/05/2024,x,1,1,1\n")
    assert open_market(config, tmp_path / "cache").table("posts").num_rows == 4
    with pytest.raises(ConfigError, match=r"market\.path: the YAML file .* is not given"):
        open_market(Mapped(), tmp_path / "cache")


@given(st.binary(max_size=300))
def test_no_bytes_make_a_traceback(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("fuzz")
    plan = source(folder, changed(accounts=None))
    (folder / "my_posts.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"my_posts\.csv"):
        import_folder(plan, folder / "market", on_bad_rows="drop")


def test_a_first_map_is_suggested_and_works(tmp_path):
    source(tmp_path)
    (tmp_path / "columns.yaml").unlink()
    (tmp_path / "more.csv.gz").write_bytes(gzip.compress(b"Username;Rate;Format\nann;5;story\n"))
    (tmp_path / "other.csv").write_text("foo,bar\n1,2\n")
    text = suggest_map(tmp_path)
    assert "# other.csv: could not guess" in text
    assert "# It has: foo, bar." in text
    assert "'%d/%m/%Y'  # or '%m/%d/%Y': correct this" in text
    plan = yaml.safe_load(text)
    assert {name: table["file"] for name, table in plan["tables"].items()} == {
        "posts": "my_posts.csv", "accounts": "my_accounts.csv", "prices": "more.csv.gz"
    }  # fmt: skip
    assert plan["tables"]["posts"]["columns"] == COLUMNS
    assert plan["tables"]["posts"]["times"] == {"posted_at": "%d/%m/%Y"}
    assert plan["tables"]["prices"]["delimiter"] == ";"
    (tmp_path / "columns.yaml").write_text(text)
    market = import_folder(tmp_path / "columns.yaml", tmp_path / "market")
    assert {name: table.num_rows for name, table in market.tables.items()} == {
        "accounts": 4, "posts": 3, "mentions": 2, "prices": 1
    }  # fmt: skip
