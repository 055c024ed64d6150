"""`reviewmill report`: one page that needs no network, shows reviews as they are, and stays small."""

import csv
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from sqlalchemy import update

from cli.results_report.histograms import even_buckets
from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL, CheckpointFacts
from db.jobs import NewJob, RejectedRow, cancel_job, create_job
from db.kept import KEPT_COLUMNS
from db.predictions import Scored, Verdict, store_predictions
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from db.schema import open_database
from db.tables import Job
from tests.browser import DARK, LIGHT, asked_for, dumped, look, screenshot
from tests.pages import Page
from tests.samples import CHECKPOINTS, PROVENANCE, SomeReview

Run = Callable[..., CompletedProcess[str]]
#: An attempt of each kind to get something run or loaded. A page that ran any of it would have another title.
ATTACK = (
    "<script>document.title = 'hacked'</script><img src='http://evil.example/x' "
    "onerror=\"document.title='hacked'\">"
    '</blockquote></style><link rel=stylesheet href=http://evil.example/x.css> & "quoted" {{ 7 * 7 }}'
)
COLUMNS = ["date", "shop"]


def verdict(values: Mapping[str, float], problem_type: str) -> Verdict:
    label = max(values, key=lambda name: values[name])
    first, second = sorted([*values.values(), 0.0], reverse=True)[:2]
    margin = None if problem_type == REGRESSION else first - second
    return Verdict(label, values[label], margin, dict(values), 9, False, "float32")


def register(problem_type: str, labels: tuple[str, ...]) -> RegisteredModel:
    metrics = {"test_accuracy": 0.875, "evaluation": {"split": "test"}}
    checkpoint = CheckpointFacts("bert", labels, problem_type, 512, "d" * 64)
    with open_database().write() as connection:
        return register_model(
            connection, "stars", Path("/m"), checkpoint, kind="finetuned", metrics=metrics, provenance=PROVENANCE
        )


def add_job(
    answers: list[Mapping[str, float]],
    problem_type: str = SINGLE_LABEL,
    texts: list[str] | None = None,
    kept: Callable[[int], dict[str, object] | None] = lambda at: {
        "date": f"2026-{at % 9 + 1:02}-03",
        "shop": f"shop {at % 2}",
    },
    rejected: list[RejectedRow] | None = None,
    pair: str | None = None,
) -> int:
    """A job that is done, with those answers; returns its id."""
    model = register(problem_type, tuple(answers[0]))
    written = texts or [ATTACK, *(f"review {at}" for at in range(1, len(answers)))]
    reviews = [SomeReview(f"r{at}", one, pair, kept(at)) for at, one in enumerate(written)]
    with open_database().write() as connection:
        ids = store_reviews(connection, "f.csv", reviews)
        params = {"source": "f.csv", KEPT_COLUMNS: COLUMNS}
        new = NewJob("score", params, [ids], model_id=model.id, rejected=rejected or [])
        job_id, _ = create_job(connection, new)
        scored = [Scored(id_, job_id, verdict(one, problem_type)) for id_, one in zip(ids, answers, strict=False)]
        store_predictions(connection, model.id, scored)
        connection.execute(update(Job).where(Job.id == job_id).values(state="done"))
    return job_id


def two_labels(count: int = 40) -> list[Mapping[str, float]]:
    """Probabilities from 0 to nearly 1 of the second label, the first review's the lowest."""
    return [{"negative": 1 - at / count, "positive": at / count} for at in range(count)]


def report(run: Run, folder: Path, *arguments: object) -> Page:
    done = run("report", *arguments, "-o", folder / "report.html")
    assert done.returncode == 0, done
    assert [path.name for path in folder.glob("*report*")] == ["report.html"]
    return Page((folder / "report.html").read_text())


def headings(page: Page) -> list[str]:
    return page.texts["h2"]


def tiles(page: Page) -> dict[str, str]:
    return {
        name: figure for figure, name in re.findall(r'<div class="tile"><b>(.+?)</b><span>(.+?)</span>', page.source)
    }


def rows(page: Page) -> list[list[str]]:
    return [text.split() for text in page.texts["tr"]]


def words(page: Page) -> str:
    return " ".join(page.texts["main"][0].split())


def test_the_page_tells_everything(run: Run, tmp_path: Path) -> None:
    job = add_job(two_labels(), rejected=[RejectedRow(7, None, "the text is only white space")] * 2)
    page = report(run, tmp_path, "--job", job)
    assert page.title == page.texts["h1"][0] == "Job 1: f.csv"
    assert ("html", {"lang": "en"}) in page.elements
    # Of 0/40 to 39/40 the first 20 are below a half; exactly a half is the first label's.
    assert {"reviews with an answer": "40", "positive": "47.5%", "negative": "52.5%", "failed": "2"}.items() <= tiles(
        page
    ).items()
    assert headings(page) == [
        "What it says",
        "Over time",
        "By shop",
        "Most extreme",
        "Most typical",
        "Most uncertain",
        "Failures",
        "Speed",
        "The model",
    ]
    assert ["negative", "21", "52.5%", "75.0%"] in rows(page)
    assert ["2026-08-31", "4", "50%", "50%"] in rows(page)
    assert ["shop", "0", "20", "55.0%", "45.0%"] in rows(page)
    assert "the text is only white space reading 2 line 7" in words(page)
    card = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert (card["Version"], card["Labels"], card["Accuracy, test"]) == ("stars@1", "negative, positive", "87.5%")
    assert "reviewmill models show stars@1 --report FILE" in words(page)
    page.check_that_nothing_is_loaded()


def test_what_people_corrected_tells_how_right_it_is_week_by_week(run: Run, tmp_path: Path) -> None:
    job = add_job(two_labels())
    # Reviews 0 to 20 are called negative. Of three in one week it was right about two, of one in the next about none.
    told = ["r0,negative,2026-11-16", "r1,negative,2026-11-17", "r2,positive,2026-11-18", "r30,negative,2026-11-24"]
    (tmp_path / "c.csv").write_text("\n".join(["external_id,label,corrected_at", *told]) + "\n")
    assert "By people's corrections" not in headings(report(run, tmp_path, "--job", job))
    arguments = ("--model", "stars", "--source", "f.csv", "--annotator", "ada")
    assert run("labels", "import", tmp_path / "c.csv", *arguments).returncode == 0
    page = report(run, tmp_path, "--job", job)
    assert "By people's corrections" in headings(page)
    assert "looked at 4 reviews of stars@1; it was right on 2 of them, 50.0%." in words(page)
    assert ["2026-11-16", "3", "2", "66.7%"] in rows(page)
    assert ["2026-11-23", "1", "0", "0.0%"] in rows(page)
    page.check_that_nothing_is_loaded()


def test_corrected_numbers_tell_how_far_off_it_is(run: Run, tmp_path: Path) -> None:
    job = add_job([{"mark": 1.0}, {"mark": 2.0}], REGRESSION)
    (tmp_path / "c.csv").write_text("external_id,label,corrected_at\nr0,3,2026-11-16\nr1,2.5,2026-11-17\n")
    arguments = ("--model", "stars", "--source", "f.csv", "--annotator", "ada")
    assert run("labels", "import", tmp_path / "c.csv", *arguments).returncode == 0
    page = report(run, tmp_path, "--job", job)
    assert "it was wrong by 1.25 on average" in words(page)
    assert ["2026-11-16", "2", "1.25"] in rows(page)


def test_every_chart_is_real_and_named(run: Run, tmp_path: Path) -> None:
    page = report(run, tmp_path, "--job", add_job(two_labels()))
    charts = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert [chart["aria-label"] for chart in charts] == [
        "Share of the reviews by label",
        "Probability of positive, in reviews",
        "Share of positive by week",
        "Reviews by week",
        "Share of the reviews by shop",
    ]
    assert all(chart["role"] == "img" for chart in charts)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    histogram = page.source.partition('aria-label="Probability of positive')[2].partition("</svg>")[0]
    # The twenty bars of each label, each told by its tooltip: two reviews a bucket, and a half among the negative.
    told = re.findall(r"<title>(\d+–\d+%): (\d+)</title>", histogram)
    assert told.count(("0–5%", "2")) == 1
    assert sorted(count for bucket, count in told if bucket == "50–55%") == ["1", "1"]
    assert sum(int(count) for _, count in told) == 40


def test_the_surest_the_middling_and_the_least_sure_are_shown(run: Run, tmp_path: Path) -> None:
    page = report(run, tmp_path, "--job", add_job(two_labels()))
    shown = page.texts["blockquote"]
    surest, typical, uncertain = shown[:6], shown[6:12], shown[12:]
    assert surest == [ATTACK, "review 1", "review 2", "review 39", "review 38", "review 37"]
    # The negative ones are 0 to 20, the positive ones 21 to 39.
    assert typical == [f"review {at}" for at in (10, 11, 9, 30, 29, 31)]
    assert uncertain[0] == "review 20"
    assert {f"review {at}" for at in (18, 19, 20, 21, 22)} <= set(uncertain)
    assert len(uncertain) == 6
    assert page.texts["header"][0].startswith("negative 100.0%, positive 0.0%")


def test_a_browser_shows_reviews_and_runs_nothing_of_them(run: Run, tmp_path: Path) -> None:
    report(run, tmp_path, "--job", add_job(two_labels()))
    found = dumped((tmp_path / "report.html").as_uri())
    page = Page(found)
    assert page.title == "Job 1: f.csv"
    assert page.texts["blockquote"][0] == ATTACK
    assert evil(asked_for((tmp_path / "report.html").as_uri())) == []
    page.check_that_nothing_is_loaded()


def test_a_browser_would_refuse_to_run_or_load_anything(run: Run, tmp_path: Path) -> None:
    """Should the escaping ever fail, the page's own policy holds."""
    page = report(run, tmp_path, "--job", add_job(two_labels()))
    broken = tmp_path / "broken.html"
    broken.write_text(page.source.replace("<main>", f"<main>{ATTACK}"))
    assert "<title>Job 1: f.csv</title>" in dumped(broken.as_uri())
    assert evil(asked_for(broken.as_uri())) == []
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy".*>')
    assert policy.search(page.source)
    broken.write_text(policy.sub("", page.source).replace("<main>", f"<main>{ATTACK}"))
    assert "<title>hacked</title>" in dumped(broken.as_uri())
    assert "http://evil.example/x" in evil(asked_for(broken.as_uri()))


@pytest.mark.parametrize("kind", ["two", "many", "several", "numbers"])
def test_it_fits_a_phone_and_is_dark_in_the_dark(run: Run, tmp_path: Path, kind: str) -> None:
    many = [{f"a rather long label {at}": (2.0 if at == n % 9 else 1.0) / 10 for at in range(9)} for n in range(40)]
    answers, problem = {
        "two": (two_labels(), SINGLE_LABEL),
        "many": (many, SINGLE_LABEL),
        "several": (many, MULTI_LABEL),
        "numbers": ([{"mark": float(at)} for at in range(40)], REGRESSION),
    }[kind]
    job = add_job(answers, problem, kept=lambda at: {"date": "2026-11-01", "shop": ["x" * 39, "y " * 19][at % 2]})
    page = report(run, tmp_path, "--job", job, "--by", "shop").source
    seen = """{
        "window": view.innerWidth, "page": page.documentElement.scrollWidth,
        "body": view.getComputedStyle(page.body).backgroundColor,
        "ink": view.getComputedStyle(page.body).color,
        "beyond": [...page.querySelectorAll("main *")].filter(one => !one.closest(".scroll, svg")
            && one.getBoundingClientRect().right > view.innerWidth).map(one => one.outerHTML.slice(0, 200))
    }"""
    light, dark = look(page, seen, 360, LIGHT), look(page, seen, 360, DARK)
    for found in (light, dark):
        assert (found["window"], found["page"], found["beyond"]) == (360, 360, [])
    assert brightness(light["body"]) > 240 > 60 > brightness(light["ink"])
    assert brightness(dark["body"]) < 40 < 200 < brightness(dark["ink"])


def test_a_picture_of_it_is_not_empty(run: Run, tmp_path: Path) -> None:
    report(run, tmp_path, "--job", add_job(two_labels()))
    for flag in (LIGHT, DARK):
        screenshot(tmp_path / "report.html", tmp_path / "page.png", 1200, 900, flag)
        # A blank page of that size compresses to a few kB.
        assert (tmp_path / "page.png").stat().st_size > 30_000


def test_several_labels_at_once(run: Run, tmp_path: Path) -> None:
    answers = [{"plot": 0.9, "music": 0.8, "price": 0.1}, {"plot": 0.7, "music": 0.2, "price": 0.3}] * 3
    page = report(run, tmp_path, "--job", add_job(answers, MULTI_LABEL))
    assert ["plot", "6", "100.0%", "80.0%"] in rows(page)
    assert ["music", "3", "50.0%", "80.0%"] in rows(page)
    assert "A review may have several labels or none" in words(page)
    titles = page.texts["figcaption"]
    assert titles[:4] == ["Share of the reviews", *(f"Probability of {label}" for label in ("plot", "music", "price"))]
    assert page.texts["header"][0].startswith("plot 90.0%, music 80.0%, price 10.0%")


def test_a_regression(run: Run, tmp_path: Path) -> None:
    page = report(run, tmp_path, "--job", add_job([{"mark": at / 4} for at in range(40)], REGRESSION))
    assert tiles(page)["mean number"] == "4.88"
    assert "undecided" not in tiles(page)
    card = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert (card["Lowest"], card["Highest"], card["Mean"]) == ("0.000", "9.750", "4.875")
    assert page.texts["figcaption"] == [
        "Reviews by the number given",
        "Mean number by week",
        "Reviews by week",
        "Mean number",
    ]
    assert "Most uncertain" not in headings(page)
    assert page.texts["blockquote"][:6] == ["review 39", "review 38", "review 37", ATTACK, "review 1", "review 2"]


@pytest.mark.parametrize(
    ("lowest", "highest", "start", "width"),
    [(0, 9.75, 0, 0.5), (-2.5, 7.25, -2.5, 0.5), (3, 3, 3, 0.2), (0, 0, 0, 0.05), (1e6, 1.2e6, 1e6, 1e4)],
)
def test_buckets_of_numbers_have_round_edges(lowest: float, highest: float, start: float, width: float) -> None:
    buckets = even_buckets(lowest, highest)
    assert (buckets.start, buckets.width) == (pytest.approx(start), pytest.approx(width))
    assert buckets.start <= lowest
    assert highest < buckets.start + buckets.count * buckets.width + 1e-6
    assert buckets.count <= 25


def test_texts_read_in_pairs_and_in_windows(run: Run, tmp_path: Path) -> None:
    page = report(run, tmp_path, "--job", add_job(two_labels(), pair="the other <b>text</b>"))
    assert page.texts["blockquote"][:2] == [ATTACK, "the other <b>text</b>"]


def test_a_job_without_results_and_one_that_is_not_done(run: Run, tmp_path: Path) -> None:
    model = register(SINGLE_LABEL, ("negative", "positive"))
    with open_database().write() as connection:
        ids = store_reviews(connection, "f.csv", [SomeReview("1", "good"), SomeReview("2", "bad")])
        job_id, _ = create_job(connection, NewJob("score", {"source": "f.csv"}, [ids], model_id=model.id))
    page = report(run, tmp_path, "--job", job_id)
    assert "It waits for a worker. It has no results." in words(page)
    assert headings(page) == ["Failures", "Speed", "The model"]
    with open_database().write() as connection:
        store_predictions(
            connection, model.id, [Scored(ids[0], job_id, verdict({"negative": 0.1, "positive": 0.9}, ""))]
        )
        cancel_job(connection, job_id)
    page = report(run, tmp_path, "--job", job_id)
    assert "It was cancelled, with 2 of 2 rows to go. What was scored is told of here." in words(page)
    assert tiles(page)["reviews with an answer"] == "1"
    with open_database().write() as connection:
        connection.execute(update(Job).values(state="failed", error="the <model> is gone"))
    assert "It failed: the <model> is gone" in words(report(run, tmp_path, "--job", job_id))


def test_without_a_job_it_tells_of_all_that_the_newest_jobs_model_said(run: Run, tmp_path: Path) -> None:
    add_job(two_labels(20))
    page = report(run, tmp_path)
    assert page.texts["h1"] == ["What stars@1 says"]
    assert {"reviews with an answer": "20", "jobs": "1"}.items() <= tiles(page).items()
    assert next(row for row in rows(page) if "f.csv" in row)[:4] == ["1", "f.csv", "done", "20"]
    assert report(run, tmp_path, "--model", "stars@1").texts["h1"] == ["What stars@1 says"]


def test_columns_are_taken_as_told(run: Run, tmp_path: Path) -> None:
    job = add_job(two_labels(), kept=lambda at: {"date": f"note {at}", "shop": f"2026-01-{at % 9 + 1:02}"})
    guessed = report(run, tmp_path, "--job", job)
    assert headings(guessed)[1:3] == ["Over time", "Most extreme"]
    told = report(run, tmp_path, "--job", job, "--date", "date", "--by", "shop", "--by", "date")
    assert headings(told)[1:4] == ["Over time", "By shop", "By date"]
    assert "No review has a date in the column 'date'" in words(told)
    assert "The 15 most frequent values; 25 reviews have others." in words(told)


def test_json_says_what_was_written(run: Run, tmp_path: Path) -> None:
    job = add_job(two_labels())
    written = json.loads(run("report", "--job", job, "-o", tmp_path / "r.html", "--json").stdout)
    size = (tmp_path / "r.html").stat().st_size
    assert written == {"output": str(tmp_path / "r.html"), "job_id": job, "model": "stars@1", "bytes": size}


def test_the_page_stays_small_whatever_is_in_it(run: Run, tmp_path: Path) -> None:
    labels = [f"label {at} " + "long " * 20 for at in range(300)]
    answers = [{label: (0.5 if label == labels[at] else 0.5 / 299) for label in labels} for at in range(300)]
    texts = [f"{at} " + "<&\"'>" * 19_000 for at in range(300)]
    kept = {"shop": "v" * 50_000, "date": "d" * 50_000}
    rejected = [RejectedRow(at, None, f"reason {at} " + "<&>" * 5_000) for at in range(500)]
    job = add_job(
        answers, texts=texts, kept=lambda at: {name: f"{at}{value}" for name, value in kept.items()}, rejected=rejected
    )
    report(run, tmp_path, "--job", job, "--by", "shop", "--by", "date")
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_names_that_xml_cannot_hold(run: Run, tmp_path: Path) -> None:
    answers = [{"bad\x01\x0b": 1 - at / 20, "<i>good</i>": at / 20} for at in range(20)]
    job = add_job(answers, kept=lambda at: {"shop": f"\x02shop</text><script>{at % 2}", "date": "2026-01-01"})
    page = report(run, tmp_path, "--job", job)
    assert "\x02shop</text><script>0" in " ".join(page.texts["th"])
    drawings = "".join(re.findall(r"<svg.*?</svg>", page.source, re.DOTALL))
    assert "bad  " in drawings
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", drawings)
    page.check_that_nothing_is_loaded()


def refused(result: CompletedProcess[str], *said: str) -> None:
    assert (result.returncode, result.stdout) == (2, ""), result
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1, result.stderr
    for one in said:
        assert one in errors[0]


def test_bad_input_is_one_line_and_leaves_nothing(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    refused(run("report", "-o", out), "there is nothing to report on yet")
    add_job(two_labels(4))
    with open_database().write() as connection:
        training, _ = create_job(connection, NewJob("finetune", {}, [[]]))
    refused(run("report", "--job", 99, "-o", out), "there is no job 99; the newest is 2")
    refused(run("report", "--job", training, "-o", out), "models show", "--report")
    refused(run("report", "--model", "nobody", "-o", out), "no model is named 'nobody'")
    refused(run("report", "--by", "size", "-o", out), "no job keeps a column 'size'", "'date', 'shop'")
    refused(run("report", "--date", "size", "-o", out), "no job keeps a column 'size'")
    refused(run("report", "--job", 1, "--model", "stars", "-o", out), "not both")
    refused(run("report", "--job", 1), "Missing option '-o'")
    refused(run("report", "--job", 1, "-o", tmp_path), "is a directory")
    # Said before the work: the columns are not even looked at.
    refused(run("report", "--by", "size", "-o", tmp_path / "nowhere" / "r.html"), "nowhere/r.html cannot be written")
    assert list(tmp_path.rglob("*.html*")) == []


def test_a_report_on_what_was_really_scored(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "reviews.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "day", "shop"])
        for at in range(30):
            writer.writerow(
                [at, "" if at == 3 else f"lovely product number {at}", f"2026-11-{at % 20 + 1:02}", "ab"[at % 2]]
            )
    columns = ("--text", "text", "--id", "id", "--keep", "day,shop")
    done = run("score", "reviews.csv", *columns, "--model", CHECKPOINTS / "bert", "--json")
    assert done.returncode == 0, done
    job: dict[str, Any] = json.loads(done.stdout)
    page = report(run, tmp_path, "--job", job["job_id"])
    assert {"reviews with an answer": "29", "rows read": "30", "failed": "1"}.items() <= tiles(page).items()
    assert "Over time" in headings(page)
    assert "By shop" in headings(page)
    facts = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert "Took" in facts
    assert "Reviews per second" in facts
    assert "Devices" in page.texts["h3"]


def evil(addresses: list[str]) -> list[str]:
    """Those that a page asked for, and not the browser of itself."""
    return [address for address in addresses if "evil.example" in address]


def brightness(colour: str) -> float:
    """From 0 to 255, of a colour as `rgb(1, 2, 3)`."""
    red, green, blue = map(float, re.findall(r"[\d.]+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
