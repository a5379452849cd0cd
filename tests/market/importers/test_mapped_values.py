import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micromega.market.importers.mapped.suggest import guess_table
from micromega.market.importers.mapped.synonyms import ABROAD, ENGLISH
from micromega.market.importers.mapped.values import bad_values, read_either_way, read_values, tidy, translated
from micromega.market.schemas import SCHEMAS


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        ("likes", ["12", " 1,234 ", "12.0", "1.2K", "3m", "-4"], [12, 1234, 12, 1200, 3_000_000, -4]),
        ("likes", ["", "NA", "nan", None], [None] * 4),
        ("duration_s", ["1.5", "1e3", ".5", "1,234.5", " 7 ", "-0.5"], [1.5, 1000.0, 0.5, 1234.5, 7.0, -0.5]),
        ("sponsored", ["Yes", "0", "true", "N", "", "1.0"], [True, False, True, False, None, True]),
        ("caption", ["  a ", "", "NA", None], ["  a ", None, "NA", None]),
        ("hashtags", ["#a, b", '["x", "#y"]', "['p' 'q']"], [["a", "b"], ["x", "y"], ["p", "q"]]),
        ("hashtags", ["", None, "a|b;c  d"], [[], [], ["a", "b", "c", "d"]]),
    ],
)  # fmt: skip
def test_cells_as_people_write_them(kind, texts, values):
    column = SCHEMAS["posts"].columns[kind]
    cells = pa.chunked_array([pa.array(texts, pa.string())])
    found = read_values(cells, column, trim=False)
    assert found.to_pylist() == values
    assert not np.asarray(bad_values(cells, found)).any()


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("likes", ["1.5", "12,34", "1 234", "x", "1e3", "--1", "9" * 30, "1.2.3K", "½"]),
        ("duration_s", ["1,5", "1,234", "x", "1.2.3", "0x10"]),
        ("sponsored", ["maybe", "2"]),
        ("posted_at", ["03/05/2024", "soon", "2024-02-30"]),
    ],
)
def test_cells_that_nobody_can_read(kind, texts):
    cells = pa.chunked_array([texts])
    found = read_values(cells, SCHEMAS["posts"].columns[kind], trim=False)
    assert np.asarray(bad_values(cells, found)).all()


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        ("likes", ["1.000", "12", "1.234.567", "1,2K", "12,0"], [1000, 12, 1_234_567, 1200, 12]),
        ("likes", ["1,234", "1.2K", "1.5"], [None] * 3),
        ("duration_s", ["1,5", "1.234,5", "1.234", "-,5"], [1.5, 1234.5, 1234.0, -0.5]),
        ("duration_s", ["0.1234", "12.5", "1,234,5"], [None] * 3),
    ],
)
def test_cells_with_decimal_commas(kind, texts, values):
    cells = pa.chunked_array([texts])
    found = read_values(cells, SCHEMAS["posts"].columns[kind], trim=False, decimal=",")
    assert found.to_pylist() == values
    assert np.asarray(bad_values(cells, found)).tolist() == [value is None for value in values]


@given(st.lists(st.lists(st.one_of(st.none(), st.text(alphabet="#@ ab")), max_size=4)))
def test_tidy_lists(lists):
    expected = [
        [word for item in items if (word := (item or "").strip().lstrip("#@"))] for items in lists
    ]  # white space behind the sign stays
    found = tidy(pa.array(lists, pa.list_(pa.string()))).to_pylist()
    assert found == expected


@pytest.mark.parametrize(
    ("names", "table", "columns"),
    [
        (["user", "fans", "bio"], "accounts", {"account_id": "user", "followers": "fans", "biography": "bio"}),
        (["videoId", "authorId", "playCount", "diggCount"], "posts",
         {"post_id": "videoId", "account_id": "authorId", "likes": "diggCount", "impressions": "playCount"}),
        (["from", "to"], "follows", {"source_id": "from", "target_id": "to"}),
        (["video_id", "day", "views"], "views", {"post_id": "video_id", "day": "day", "impressions": "views"}),
        (["creator", "brand_id", "posts"], "mentions",
         {"creator_id": "creator", "brand_id": "brand_id", "posts": "posts"}),
        (["Invoice", "SKU", "Customer", "Qty"], "orders",
         {"order_id": "Invoice", "product_id": "SKU", "customer_id": "Customer", "quantity": "Qty"}),
        (["foo"], "", {}),
    ],
)  # fmt: skip
def test_guesses_by_names_of_columns(names, table, columns):
    guess = guess_table(names)
    assert (guess.table, guess.columns) == (table, columns)


def test_every_word_of_the_synonyms_is_as_headers_are_read():
    known = {column for schema in SCHEMAS.values() for column in schema.columns}
    assert set(ENGLISH) <= known
    assert set(ABROAD) <= known
    for words in (*ENGLISH.values(), *ABROAD.values()):
        assert re.fullmatch(r"[a-z_ ]+", words)
        assert len(set(words.split())) == len(words.split())


@pytest.mark.parametrize(
    ("names", "table", "columns"),
    [
        (["Datum", "Benutzer", "Beschriftung", "Gefällt mir", "Kommentare", "Aufrufe", "Follower"], "posts",
         ["posted_at", "account_id", "caption", "likes", "comments", "impressions", "author_followers"]),
        (["Fecha", "Usuario", "Descripción", "Me gusta", "Comentarios", "Visualizaciones"], "posts",
         ["posted_at", "account_id", "caption", "likes", "comments", "impressions"]),
        (["Compte", "Abonnés", "Catégorie", "Vérifié"], "accounts",
         ["account_id", "followers", "category", "verified"]),
        (["Date", "Utilisateur", "Légende", "J\u2019aime", "Commentaires", "Vues"], "posts",
         ["posted_at", "account_id", "caption", "likes", "comments", "impressions"]),
        (["Konto", "Kontotyp", "Abonnenten"], "accounts", ["account_id", "kind", "followers"]),
    ],
)  # fmt: skip
def test_headers_in_german_spanish_and_french(names, table, columns):
    guess = guess_table(names)
    assert guess.table == table
    assert guess.columns == dict(zip(columns, names, strict=True))


def test_one_column_that_fits_names_no_table():
    assert guess_table(["date", "foo", "bar"]).table == ""
    assert guess_table(["date", "user", "bar"]).table == "posts"


@pytest.mark.parametrize("text", ["Creator", " BRAND ", "brand"])
def test_kinds_may_have_capitals_and_blanks(text):
    found = read_values(pa.chunked_array([[text]]), SCHEMAS["accounts"].columns["kind"], trim=True)
    assert found.to_pylist() == [text.strip().lower()]


@given(st.lists(st.one_of(st.none(), st.text(alphabet="aAbB ", max_size=3))))
def test_translation_against_a_dictionary(texts):
    words = {"a": "x", "": "nothing", "bb": ""}
    found = translated(pa.chunked_array([pa.array(texts, pa.string())]), words).to_pylist()
    assert found == [words.get((text or "").strip().lower(), text) for text in texts]


def test_points_that_may_part_thousands():
    yes, no = ["12.000", " 1.234.567 ", "0.500"], ["12", "12.0", "1,234", "1234.000", "1.2K", "12.0000", "", None]
    found = read_either_way(pa.chunked_array([[*yes, *no]])).to_pylist()
    assert found == [True] * len(yes) + [False] * len(no)
