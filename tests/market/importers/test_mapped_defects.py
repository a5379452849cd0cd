"""Files as newcomers have them: words of their own, points in counts, and several defects at once."""

import pytest
import yaml

from micromega.errors import DataError
from micromega.market.importers.mapped import import_folder, suggest_map

ACCOUNTS = {
    "file": "accounts.csv",
    "columns": {"account_id": "Handle", "kind": "Type", "followers": "Fans", "verified": "Checked"},
}
POSTS = {"file": "posts.csv", "columns": {"post_id": "No", "account_id": "User", "posted_at": "Day", "likes": "Likes"}}
PRICES = {"file": "prices.csv", "columns": {"creator_id": "Who", "content_type": "What", "price": "Price"}}
WORDS = {"kind": {"Marke": "brand", "Influencer": "creator"}, "verified": {"ja": True, "nein": False, "k. A.": None}}


def given(folder, files, **tables):
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    plan = {"name": "x", "currency": "EUR", "tables": tables}
    (folder / "columns.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    return folder / "columns.yaml"


def refused(plan, **options):
    with pytest.raises(DataError) as caught:
        import_folder(plan, plan.parent / "market", **options)
    return str(caught.value)


def test_words_of_ones_own(tmp_path):
    text = "Handle,Type,Fans,Checked\nacme, MARKE ,,ja\nann,Influencer,1,NEIN\nben,Creator,2,yes\neva,BRAND,3,k. A.\n"
    plan = given(tmp_path, {"accounts": text}, accounts=ACCOUNTS | {"values": WORDS})
    accounts = import_folder(plan, tmp_path / "market").table("accounts")
    assert accounts["kind"].to_pylist() == ["brand", "creator", "creator", "brand"]
    assert accounts["verified"].to_pylist() == [True, False, True, None]


def test_words_that_are_not_listed_are_named_in_the_users_column(tmp_path):
    text = "Handle,Type,Fans,Checked\nacme,Marke,1,oui\nann,Star,1,ja\n"
    plan = given(tmp_path, {"accounts": text}, accounts=ACCOUNTS | {"values": WORDS})
    message = refused(plan)
    assert 'accounts.csv: column "Type" (kind) holds 1 unknown value (line 3: Star). Allowed: brand, creator' in message
    assert 'column "Checked" (verified) holds 1 value that cannot be read as verified (line 2: oui)' in message


@pytest.mark.parametrize(("kind", "words"), [("brnd", '"brnd" is no kind. Allowed: brand, creator'), (None, "")])
def test_a_word_may_mean_nothing_but_not_anything(tmp_path, kind, words):
    text = "Handle,Type,Fans,Checked\nacme,Marke,1,ja\nann,creator,1,ja\n"
    plan = given(tmp_path, {"accounts": text}, accounts=ACCOUNTS | {"values": WORDS | {"kind": {"Marke": kind}}})
    expected = f"columns.yaml: tables.accounts.values.kind: {words}" if words else "(kind) holds 1 null value (line 2"
    assert expected in refused(plan)


@pytest.mark.parametrize(
    ("likes", "sign", "read"),
    [("12.000", ",", 12_000), ("12.000", ".", 12), ("1.234.567", ",", 1_234_567), ("310", None, 310)],
)
def test_points_in_counts_need_a_word_in_the_map(tmp_path, likes, sign, read):
    files = {"posts": f"No,User,Day,Likes\n1,ann,2024-05-03,7\n2,ann,2024-05-03,{likes}\n"}
    plan = given(tmp_path, files, posts=POSTS | ({"decimal": sign} if sign else {}))
    assert import_folder(plan, tmp_path / "market").table("posts")["likes"].to_pylist() == [7, read]


@pytest.mark.parametrize("on_bad_rows", ["error", "drop"])
@pytest.mark.parametrize("likes", ["12.000", "1.234.567"])
def test_points_in_counts_are_not_guessed(tmp_path, likes, on_bad_rows):
    files = {"posts": f"No,User,Day,Likes\n1,ann,2024-05-03,7\n2,ann,2024-05-03,{likes}\n"}
    message = refused(given(tmp_path, files, posts=POSTS), on_bad_rows=on_bad_rows)
    assert message == (
        f'posts.csv: column "Likes" (likes) holds 1 number that can be read in two ways (line 3: {likes}). Say in '
        'your map, under tables.posts: decimal: "," reads 12.000 as twelve thousand; decimal: "." reads it as 12.'
    )  # no word of dropping: that would leave out all posts with many likes


SIX = {
    "accounts": "Handle,Type,Fans,Checked\nacme,brand,many,yes\nann,creator,-3,no\nann,creator,5,no\neva,creator,5\n"
    "ben,Star,few,no\n",
    "posts": "No,User,Day,Likes\n1,ann,31/05/2024,7\n2,zoe,2024-05-03,x\n3,acme,2024-05-03,1\n,ben,2024-05-03,1\n",
    "prices": "Who,What,Price\nann,post,5\nben,post,cheap\nben,story,-1\n",
}


def test_all_defects_of_all_files_come_together(tmp_path):
    tables = {"accounts": ACCOUNTS, "posts": POSTS}
    message = refused(given(tmp_path, SIX, **tables)).splitlines()
    assert [line.split(". ")[0] for line in message] == [
        'accounts.csv: column "Fans" (followers) holds 2 values that cannot be read as followers (lines 2, 6: many, '
        "few)",
        "accounts.csv: 1 line with 3 values instead of 4 (line 5)",
        'accounts.csv: column "Type" (kind) holds 1 unknown value (line 6: Star)',
        'accounts.csv: column "Fans" (followers) holds 1 negative value (line 3: -3)',
        'accounts.csv: column "Handle" (account_id) holds 1 repeated key (line 4: ann)',
        'posts.csv: column "Day" (posted_at) holds 1 value that cannot be read as posted_at (line 2: 31/05/2024)',
        'posts.csv: column "Likes" (likes) holds 1 value that cannot be read as likes (line 3: x)',
        "… and 2 more kinds of bad rows.",
        "Correct the file, or import with `market.on_bad_rows=drop`, which reports how many went.",
    ]


def test_one_defect_is_not_told_twice(tmp_path):
    """An account whose kind is unknown, or followers unreadable, is still an account to the tables that name it."""
    message = refused(given(tmp_path, SIX, accounts=ACCOUNTS, prices=PRICES))
    assert "no known creator" not in message
    assert "(price) holds 1 value that cannot be read as price (line 3: cheap)" in message
    assert "null value" not in message  # prices.price is required, and "cheap" is no empty cell


def test_unknown_ids_are_looked_for_in_the_users_file(tmp_path):
    people = ACCOUNTS | {"file": "people.csv"}
    files = {"people": "Handle,Type,Fans,Checked\nann,creator,1,no\n", "posts": "No,User,Day,Likes\n1,zoe,,1\n"}
    message = refused(given(tmp_path, files, accounts=people, posts=POSTS))
    assert "holds 1 id that is no known account (line 2: zoe). Each value is the account_id" in message
    assert "in people.csv (accounts)." in message


def test_a_file_of_which_nothing_is_left_says_why(tmp_path):
    plan = given(tmp_path, {"accounts": "Handle,Type,Fans,Checked\nann,creator,x,no\n"}, accounts=ACCOUNTS)
    message = refused(plan, on_bad_rows="drop")
    assert "accounts.csv: the file holds no rows left after dropping bad ones.\nDropped: accounts.csv:" in message


def test_correcting_what_is_told_is_enough(tmp_path):
    mended = {
        "accounts": "Handle,Type,Fans,Checked\nacme,brand,9,yes\nann,creator,3,no\neva,creator,5,no\nben,creator,1,\n",
        "posts": "No,User,Day,Likes\n1,ann,2024-05-31,7\n2,eva,2024-05-03,8\n3,acme,2024-05-03,1\n4,ben,2024-05-03,1\n",
    }
    market = import_folder(given(tmp_path, mended, accounts=ACCOUNTS, posts=POSTS), tmp_path / "market")
    assert market.table("posts").num_rows == 4


def test_dropping_leaves_out_the_same_rows(tmp_path):
    files = SIX | {"posts": SIX["posts"] + "5,ann,2024-05-03,1\n"}
    plan = given(tmp_path, files, accounts=ACCOUNTS, posts=POSTS)
    market = import_folder(plan, tmp_path / "market", on_bad_rows="drop")
    assert market.table("accounts")["account_id"].to_pylist() == ["ann"]
    assert market.table("posts")["post_id"].to_pylist() == ["5"]
    assert any('column "Fans" (followers) holds 1 negative value' in note for note in market.notes)
    assert {name: (loss.rows, loss.of) for name, loss in market.dropped.items()} == {
        "accounts": (4, 5),
        "posts": (4, 5),
    }


def test_a_file_that_cannot_be_read_does_not_hide_the_next(tmp_path):
    (tmp_path / "posts.csv").write_text("Number,User\n1,ann\n")
    message = refused(given(tmp_path, {"accounts": SIX["accounts"]}, accounts=ACCOUNTS, posts=POSTS))
    assert 'posts.csv: columns "No", "Day", "Likes" are missing. The file has: Number, User.' in message
    assert '"Fans" (followers)' in message


def test_derived_things_are_counted_in_singular(tmp_path):
    orders = {"file": "o.csv", "columns": {"order_id": "o", "product_id": "p", "customer_id": "c"}}
    notes = import_folder(given(tmp_path, {"o": "o,p,c\n1,tea,ann\n"}, orders=orders), tmp_path / "market").notes
    for start in ("1 account derived", "1 product derived", "1 merchant derived"):
        assert any(note.startswith(start) for note in notes)


def suggested(folder, **files):
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    text = suggest_map(folder)
    return text, yaml.safe_load(text)["tables"]


def test_a_suggested_map_notices_points_in_counts(tmp_path):
    text, tables = suggested(tmp_path, posts="Datum;Konto;Gefällt mir\n2024-05-03;ann;310\n2024-05-04;ann;12.500\n")
    assert tables["posts"]["decimal"] == ","
    assert "likes: Gefällt mir\n" in text
    assert "decimal: ','  # 12.500 in 'Gefällt mir' is then 12500; if not, write '.'" in text
    (tmp_path / "columns.yaml").write_text(text)
    market = import_folder(tmp_path / "columns.yaml", tmp_path / "market")
    assert market.table("posts")["likes"].to_pylist() == [310, 12_500]


@pytest.mark.parametrize(
    ("cells", "sign"), [("12.000 7.000", "."), ("12 7", None), ("12.0 7.0", None), ("1.234 NA", ",")]
)
def test_suggested_signs(tmp_path, cells, sign):
    first, second = cells.split()
    _, tables = suggested(tmp_path, posts=f"date,user,likes\n2024-05-03,ann,{first}\n2024-05-04,ann,{second}\n")
    assert tables["posts"].get("decimal") == sign


def test_decimal_commas_in_prices_are_noticed(tmp_path):
    text, tables = suggested(tmp_path, prices='creator,type,price\nann,post,"12,50"\n')
    assert tables["prices"]["decimal"] == ","
    assert "because of 12,50 in 'price'" in text


@pytest.mark.parametrize(
    ("days", "form", "comment"),
    [
        (["31/05/2024"] * 9 + ["soon"], "%d/%m/%Y", "1 of 10 values does not fit, for instance 'soon'"),
        (["2024-05-31"] * 8 + ["31.5.24"] * 2, "iso", "2 of 10 values do not fit, for instance '31.5.24'"),
        (["2024-05-31"] * 9 + ["NA"], None, ""),
        (["31/05/2024"] * 7 + ["soon"] * 3, None, ""),
    ],
)
def test_a_few_odd_dates_do_not_hide_the_form(tmp_path, days, form, comment):
    text, tables = suggested(tmp_path, posts="date,user\n" + "".join(f"{day},ann\n" for day in days))
    assert tables["posts"].get("times", {}).get("posted_at") == form
    assert comment in text


def test_a_file_that_fits_nothing_is_listed(tmp_path):
    (tmp_path / "a.csv").write_text("foo,date\n1,2\n")
    text = suggest_map(tmp_path / "a.csv")
    assert yaml.safe_load(text)["tables"] is None
    assert "# a.csv: could not guess what it holds" in text
    assert "# It has: foo, date." in text
