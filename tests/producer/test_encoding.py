import codecs
from pathlib import Path

import pytest

from producer.errors import SourceError
from producer.sources import Record, Unreadable

FRENCH = [
    "Très bon produit, livré en avance.",
    "Je suis déçu, ça ne marche pas.",
    "L\u2019écran est cassé à l\u2019arrivée.",
]
SPANISH = ["El teléfono llegó rápido.", "¡No lo compren! Pésima atención.", "Mañana lo devuelvo, qué lástima."]
POLISH = ["Bardzo dobry, polecam każdemu.", "Nie działa, żałuję że kupiłem.", "Świetny sprzęt, ale głośny."]
RUSSIAN = ["Отличный товар, быстрая доставка.", "Не работает, деньги на ветер.", "Хороший фильм."]
JAPANESE = ["とても良い商品です。配送も早かったです。", "壊れていました。二度と買いません。", "梱包が丁寧でした。"]
CHINESE = [
    "非常好的产品，快递很快，包装也很好。",
    "质量太差了，不推荐购买，客服态度也不好。",
    "价格便宜，性价比很高，下次还会再来买。",
]


def as_csv(texts: list[str]) -> str:
    return "id,text\n" + "".join(f'{number},"{text}"\n' for number, text in enumerate(texts))


@pytest.mark.parametrize(
    ("texts", "encoding"),
    [
        (FRENCH, "cp1252"),
        (SPANISH, "latin-1"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "euc_jp"),
        (CHINESE * 10, "gb18030"),
    ],
)
def test_another_encoding_is_guessed_and_said(source_of, texts: list[str], encoding: str):
    source = source_of("a.csv", as_csv(texts).encode(encoding))
    assert [record.values["text"] for record in source.records()] == texts
    (notice,) = source.notices
    assert "a.csv' is not in UTF-8: read as " in notice
    assert notice.endswith(", a guess; --encoding overrules it")


def test_a_guess_can_be_overruled(source_of):
    content = as_csv(JAPANESE).encode("shift_jis")
    source = source_of("a.csv", content, encoding="Shift_JIS")
    assert [record.values["text"] for record in source.records()] == JAPANESE
    assert source.notices == []


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_wide_text_is_read_by_its_mark(source_of, name: str, mark: bytes, encoding: str):
    content = {"a.csv": as_csv(RUSSIAN), "a.jsonl": "".join(f'{{"text": "{text}"}}\n' for text in RUSSIAN)}[name]
    source = source_of(name, mark + content.encode(encoding))
    assert [record.values["text"] for record in source.records()] == RUSSIAN
    assert source.notices == [f"{str(source.content.place.label)!r} is read as {encoding[:6]}, as its first bytes say"]


def test_jsonl_in_another_encoding_is_read_too(source_of):
    content = "".join(f'{{"text": "{text}"}}\n' for text in RUSSIAN).encode("cp1251")
    assert [record.values["text"] for record in source_of("a.jsonl", content).records()] == RUSSIAN


def test_a_mark_in_front_of_utf_8_needs_no_word(source_of):
    assert source_of("a.csv", codecs.BOM_UTF8 + as_csv(FRENCH).encode()).notices == []


def test_a_few_bad_bytes_in_utf_8_stay_bad_rows(source_of):
    """As many as in the foreign files above, but among letters that are well encoded."""
    lines = [as_csv(FRENCH * 3).encode(), b'7,"caf\xe9"\n8,"caf\xe9"\n9,"caf\xe9"\n10,"fine"\n']
    source = source_of("a.csv", b"".join(lines))
    records = list(source.records())
    assert source.notices == []
    assert [isinstance(record, Unreadable) for record in records] == [False] * 9 + [True] * 3 + [False]


def test_bad_bytes_in_a_few_of_many_lines_stay_bad_rows(source_of):
    content = b"text\n" + b"good\n" * 2_000 + b"caf\xe9\n" * 5 + b"fine\n"
    records = list(source_of("a.csv", content).records())
    assert sum(isinstance(record, Unreadable) for record in records) == 5


def test_what_is_not_of_the_encoding_is_a_bad_row(source_of, records_of):
    content = "text\nпервый\n".encode("cp1251") + b"\x98\n" + "третий\n".encode("cp1251")
    assert list(source_of("a.csv", content, encoding="cp1251").records()) == [
        Record(2, {"text": "первый"}),
        Unreadable(3, "a byte in column 'text', character 1, is not cp1251"),
        Record(4, {"text": "третий"}),
    ]
    half = '{"text": "a"}\n{"text": "b'.encode("utf-16") + b"\x00\xd8" + '"}\n{"text": "c"}\n'.encode("utf-16-le")
    assert list(source_of("a.jsonl", half).records()) == [
        Record(1, {"text": "a"}),
        Unreadable(2, "the line holds a byte that is not utf-16"),
        Record(3, {"text": "c"}),
    ]


def test_utf_16_without_a_mark_is_refused_with_the_way_out(source_of):
    content = as_csv(FRENCH).encode("utf-16-le")
    with pytest.raises(SourceError, match="a binary file, not text; where it is UTF-16, say --encoding utf-16-le"):
        source_of("a.csv", content)
    assert [one.values["text"] for one in source_of("a.csv", content, encoding="utf-16-le").records()] == FRENCH


def test_a_text_that_is_nothing_of_the_kind_is_refused(source_of):
    with pytest.raises(SourceError, match=r"a\.csv' can not be read as utf-16: UTF-16 stream does not start with BOM"):
        source_of("a.csv", as_csv(FRENCH).encode("utf-16-le"), encoding="utf-16")


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", "hex", "", "a\0b", "é" * 10])
def test_an_encoding_that_is_none_is_refused(source_of, name: str):
    with pytest.raises(SourceError, match=r"no encoding is called .*; there are utf-8, utf-16, latin-1, cp1252"):
        source_of("a.csv", "text\ngood\n", encoding=name)


def test_a_text_of_several_pieces_is_recoded_whole(source_of, tmp_path: Path):
    texts = [f"{number} Привет, мир! \N{GRINNING FACE}" for number in range(20_000)]
    source = source_of("a.csv", as_csv(texts).encode("utf-16"))
    assert [record.values["text"] for record in source.records()] == texts
    assert source.share_read() == 1.0
