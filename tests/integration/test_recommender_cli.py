"""`encore-recommender` from the outside: what it prints where, how it ends, and what it leaves behind."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from encore_recommender import CoPurchaseRecommender, load
from encore_recommender.baskets import Baskets
from encore_recommender.cli import cli
from encore_recommender.cli.plotting import draw
from encore_recommender.cli.tables import table
from encore_recommender.contest import PEERS
from encore_recommender.exams import Interval
from encore_recommender.persistence import open_model
from encore_recommender.training import CurvePoint

PROGRAM = [sys.executable, "-c", "from encore_recommender.cli import main; main()"]
HEADER = "order_id,sku,timestamp,customer_id,unit_price,category\n"


def history(orders: int = 400, *, complements: bool = True, seed: int = 7, first: int = 0) -> str:
    """Ten tools of an hour each, each sold with its own part half of the time, or with anything."""
    draw = random.Random(seed)
    rows = []
    for order in range(first, first + orders):
        tool = draw.randrange(10)
        part = tool if complements and draw.random() < 0.5 else draw.randrange(10)
        at = f"2024-{1 + order // 100 % 12:02d}-{1 + order // 4 % 25:02d} {order % 4:02d}:00"
        rows += [
            f"o{order:05d},tool {tool},{at},c{order % 30},9.90,tools",
            f"o{order:05d},part {part},{at},,1.50,parts",
        ]
    return HEADER + "\n".join(rows) + "\n"


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(
        cli, [str(argument) for argument in arguments], input=stdin, prog_name="encore-recommender"
    )


def answer(*arguments: object, stdin: str | None = None) -> Any:
    """What --json prints; nothing else is on stdout."""
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("orders") / "orders.csv"
    path.write_text(history())
    return path


@pytest.fixture(scope="module")
def models(orders: Path) -> Path:
    folder = orders.parent / "models"
    assert run("fit", orders, "--model", folder).exit_code == 0
    return folder


def test_fit_writes_a_model_with_its_metrics_and_says_what_it_learned(orders: Path, tmp_path: Path) -> None:
    found = answer("fit", orders, "--model", tmp_path / "models", "--seed", 3)
    assert (found["orders"], found["lines"], found["products"], found["doubt"]) == (400, 800, 20, "")
    assert found["read"]["columns"]["customer"] == "customer_id"
    manifest = json.loads((tmp_path / "models" / f"model-{found['version']}" / "manifest.json").read_text())
    assert manifest["metrics"] == found["metrics"]
    assert manifest["seed"] == 3
    assert load(tmp_path / "models").version == found["version"]
    metrics = found["metrics"]
    assert metrics["full_basket"]["ndcg_at_10"] > 1.5 * metrics["full_basket_popularity"]["ndcg_at_10"]


def test_fit_prints_a_table_on_stdout_and_everything_else_on_stderr(orders: Path, tmp_path: Path) -> None:
    result = run("fit", orders, "--model", tmp_path)
    assert result.stdout.splitlines()[:3] == [
        "orders    400  2024-01-01 to 2024-04-25",
        "lines     800",
        "products   20",
    ]
    assert result.stderr.splitlines()[0] == "orders.csv: 800 of 800 rows kept."
    assert result.stderr.splitlines()[-1] == f"Model {load(tmp_path).version} is live in {tmp_path}."


def test_fit_teaches_the_model_that_the_library_does(orders: Path, models: Path) -> None:
    library = CoPurchaseRecommender().fit(Baskets.from_csv(orders)).model_
    served = load(models)
    assert served.skus == library.skus
    assert served.orders_with.tolist() == library.orders_with.tolist()
    assert served.recommend(["tool 3"], k=1).ids == ("part 3",)


def test_an_engine_counts_what_memory_does_and_leaves_nothing_behind(
    orders: Path, models: Path, tmp_path: Path
) -> None:
    pytest.importorskip("duckdb")
    found = answer("fit", orders, "--model", tmp_path / "models", "--engine", "duckdb")
    counted, reference = load(tmp_path / "models"), load(models)
    assert (counted.skus, counted.orders_with.tolist()) == (reference.skus, reference.orders_with.tolist())
    assert (found["orders"], found["lines"], found["read"]["kept"]) == (400, 800, 800)
    manifest = json.loads((tmp_path / "models" / f"model-{found['version']}" / "manifest.json").read_text())
    assert manifest["metrics"]["full_basket"]["queries"] == 400
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["CURRENT", f"model-{found['version']}"]


def test_an_engine_refuses_what_it_cannot_heed(orders: Path, tmp_path: Path) -> None:
    refused = run("fit", orders, "--model", tmp_path / "models", "--engine", "duckdb", "--strict", "--hold-out", "0.2")
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (
        2,
        "Error: --strict, --hold-out: only with --engine memory",
    )
    assert run("fit", "-", "--model", tmp_path / "models", "--engine", "spark", stdin="").exit_code == 2
    assert not (tmp_path / "models").exists()


def test_parts_of_another_count_are_refused_with_the_fix(orders: Path, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    (tmp_path / "work" / "pairs").mkdir(parents=True)
    (tmp_path / "work" / "pairs" / "plan.json").write_text("{}")
    refused = run("fit", orders, "--model", tmp_path / "m", "--engine", "duckdb", "--workdir", tmp_path / "work")
    assert refused.exit_code == 65
    assert refused.stderr.endswith("choose an empty folder, or delete it and start anew\n")


def test_a_model_learned_from_too_little_is_not_written_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text(history(40))
    refused = run("fit", path, "--model", tmp_path / "models")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1] == (
        "Error: No model was written: it learned from 40 orders of two products or more, and fewer than 100 cannot "
        "show whether it beats the best-sellers. --force writes it all the same."
    )
    assert not (tmp_path / "models").exists()
    forced = run("fit", path, "--model", tmp_path / "models", "--force")
    assert forced.exit_code == 0
    assert "Written because it was forced: it learned from 40 orders" in forced.stderr
    assert load(tmp_path / "models").orders == 40


def test_a_refused_model_leaves_the_live_one_alone(orders: Path, tmp_path: Path) -> None:
    live = answer("fit", orders, "--model", tmp_path / "models")["version"]
    (tmp_path / "few.csv").write_text(history(40))
    assert run("fit", tmp_path / "few.csv", "--model", tmp_path / "models").exit_code == 1
    assert load(tmp_path / "models").version == live
    assert [path.name for path in (tmp_path / "models").glob("model-*")] == [f"model-{live}"]


@pytest.mark.parametrize("kind", ["stdin", "gzip", "parquet"])
def test_orders_come_from_a_pipe_a_compressed_file_or_parquet(kind: str, orders: Path, tmp_path: Path) -> None:
    text = orders.read_text()
    path, stdin = tmp_path / "orders.csv.gz", None
    if kind == "stdin":
        path, stdin = Path("-"), text
    elif kind == "gzip":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path = tmp_path / "orders.parquet"
        rows = [line.split(",") for line in text.splitlines()]
        pq.write_table(pa.table(dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True))), path)
    assert answer("fit", path, "--model", tmp_path / "models", stdin=stdin)["orders"] == 400


def test_bad_rows_are_told_even_when_quiet_and_strict_refuses_them(orders: Path, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(orders.read_text() + "o9,tool 1,whenever,,1.00,\n")
    quiet = run("fit", path, "--model", tmp_path / "models", "--quiet")
    assert quiet.exit_code == 0
    assert quiet.stderr.splitlines() == [
        "orders.csv: 800 of 801 rows kept.",
        "1 row could not be used: time is not a time; write it like 2011-12-01 08:26:00.",
        "  line 802: 'whenever'",
    ]
    strict = run("fit", path, "--model", tmp_path / "strict", "--strict", "--json")
    assert (strict.exit_code, strict.stdout) == (65, "")
    assert strict.stderr == (
        "Error: orders.csv, line 802: time is not a time; write it like 2011-12-01 08:26:00 ('whenever'); "
        "nothing was read (strict)\n"
    )
    assert not (tmp_path / "strict").exists()


def test_columns_zone_day_order_and_encoding_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "export.txt"
    rows = "".join(
        f"{n};café {n % 3};01/02/2024 1{n % 10}:00\n{n};thé {n % 3};01/02/2024 1{n % 10}:00\n" for n in range(120)
    )
    path.write_bytes(f"Bon;Article name;When\n{rows}".encode("latin-1"))
    found = answer(
        *("fit", path, "--model", tmp_path / "models", "--force", "--encoding", "latin-1", "--day-first"),
        *("--column", "order=Bon", "--column", "sku=Article name", "--column", "time=When"),
        *("--time-zone", "Europe/Paris"),
    )
    assert found["first_order_at"] == 1706778000.0  # 2024-02-01 10:00 in Paris
    assert "café 1" in load(tmp_path / "models").skus


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("fit", "nowhere.csv", "--model", "m"), 2, "Path 'nowhere.csv' does not exist."),
        (("fit", "orders.csv"), 2, "Missing option '--model'."),
        (("fit", "orders.csv", "--model", "m", "--column", "sku"), 2, "--column takes FIELD=HEADER"),
        (("fit", "orders.csv", "--model", "m", "--column", "sku=code"), 65, "orders.csv has no column 'code'"),
        (("fit", "orders.csv", "--model", "m", "--time-zone", "Moon"), 2, "there is no time zone 'Moon'"),
        (("fit", "orders.csv", "--model", "m", "--seed", "-1"), 2, "-1 is not in the range 0<=x<=4294967295."),
        (("evaluate", "orders.csv", "--seed", "4294967296"), 2, "4294967296 is not in the range 0<=x<=4294967295."),
        (("fit", "empty.csv", "--model", "m"), 65, "empty.csv is empty; it has to begin with a header line"),
        (("fit", "header.csv", "--model", "m"), 65, "header.csv has a header and no orders"),
        (("fit", "orders.csv", "--model", "orders.csv"), 2, "Directory 'orders.csv' is a file."),
        (("fit", "orders.csv", "--model", "orders.csv/m"), 74, "Not a directory"),
        (
            ("evaluate", "orders.csv", "--peers", "magic"),
            2,
            "--peers: there is no 'magic'; there are association rules",
        ),
        (("evaluate", "orders.csv", "--plot", "curve.pdf"), 2, "--plot draws a .png or an .svg file, and curve.pdf is"),
        (("evaluate", "orders.csv", "--plot", "no/curve.png"), 2, "--plot: there is no folder no"),
        (("recommend", ".", "tool 1"), 65, "has no manifest: train again"),
        (("recommend", "models", "tool 1", "--pin", "x"), 2, "--pin takes two SKUs with = between them, not 'x'"),
        (("recommend", "models", "tool 1", "--pin", "a=b", "--block", "b=a"), 2, "are both pinned and blocked"),
        (("recommend", "models", "tool 1", "--max-price", "5"), 2, "--min-price and --max-price need --prices"),
        (("recommend", "models"), 2, "Missing argument 'SKU...'."),
        (("explain", "models", "tool 1"), 2, "Missing option '--for'."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_with_an_exit_code_of_its_own(
    arguments: tuple[str, ...], code: int, sentence: str, orders: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(orders.parent)
    (orders.parent / "empty.csv").write_text("")
    (orders.parent / "header.csv").write_text(HEADER)
    before = sorted(path.name for path in orders.parent.rglob("*"))
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert sorted(path.name for path in orders.parent.rglob("*")) == before


def test_an_optional_package_that_is_missing_is_named_with_its_extra(
    orders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    drawn = run("evaluate", orders, "--plot", tmp_path / "curve.png")
    assert (drawn.exit_code, drawn.stderr) == (69, "Error: matplotlib is missing: pip install 'flask-encore[plot]'\n")
    (tmp_path / "orders.parquet").touch()
    read = run("fit", tmp_path / "orders.parquet", "--model", tmp_path / "models")
    assert (read.exit_code, read.stderr) == (69, "Error: pyarrow is missing: pip install 'flask-encore[parquet]'\n")


def test_recommend_ranks_beside_a_basket_and_says_why(models: Path) -> None:
    found = answer("recommend", models, "tool 3", "-k", 2)
    first = found["recommendations"][0]
    assert (found["model"], found["basket"], first["sku"]) == (load(models).version, ["tool 3"], "part 3")
    assert (first["kind"], first["because_of"]) == ("co_purchase", "tool 3")
    assert (
        first["why"]
        == f"in {first['support']} of {first['of_orders']} orders, {first['lift']:.1f} times more than chance"
    )
    text = run("recommend", models, "tool 3", "-k", 2)
    assert text.stderr == ""
    assert text.stdout.splitlines()[1].startswith("1  part 3  ")


def test_recommend_keeps_to_what_is_excluded_allowed_offered_before_pinned_and_blocked(models: Path) -> None:
    def skus(*options: str) -> list[str]:
        return [each["sku"] for each in answer("recommend", models, "tool 3", *options)["recommendations"]]

    assert skus("-k", "1") == ["part 3"]
    assert "part 3" not in skus("--exclude", "part 3")
    assert skus("--allow", "part 4", "--allow", "tool 5") in (["part 4", "tool 5"], ["tool 5", "part 4"])
    assert "part 3" not in skus("--before", "part 3")
    assert skus("-k", "1", "--pin", "tool 3=tool 7") == ["tool 7"]
    assert "part 3" not in skus("--block", "part 3=tool 3")
    assert {sku.split()[0] for sku in skus("--category", "tools")} == {"tool"}
    assert {sku.split()[0] for sku in skus("--no-category", "tools")} == {"part"}
    assert len(skus("--per-category", "1")) == 2


def test_recommend_guards_prices_with_those_of_an_order_history(models: Path, orders: Path) -> None:
    dear = answer("recommend", models, "tool 3", "--prices", orders, "--min-price", "5")["recommendations"]
    cheap = answer("recommend", models, "tool 3", "--prices", orders, "--max-price", "1.5")["recommendations"]
    assert {each["sku"].split()[0] for each in dear} == {"tool"}
    assert {each["sku"].split()[0] for each in cheap} == {"part"}


def test_a_basket_can_come_from_a_pipe_a_line_each(models: Path) -> None:
    assert answer("recommend", models, "-", "-k", "1", stdin="tool 3\n\n  tool 4 \n")["basket"] == ["tool 3", "tool 4"]


def test_a_sku_nobody_knows_is_named_with_what_is_near_it(models: Path) -> None:
    result = run("recommend", models, "tol 3", "-k", "1")
    assert result.exit_code == 0
    assert result.stderr.startswith("tol 3 is not known; near it are tool 3")


def test_nothing_to_recommend_is_an_answer(models: Path) -> None:
    result = run("recommend", models, "tool 3", "--allow", "tool 3")
    assert (result.exit_code, result.stdout) == (0, "nothing to recommend\n")


def test_explain_counts_orders(models: Path) -> None:
    found = answer("explain", models, "tool 3", "--for", "part 3")["explanation"]
    expected = load(models).explain(["tool 3"], "part 3")
    assert expected is not None
    assert (found["support"], found["of_orders"]) == (expected.support, expected.of_orders)
    assert run("explain", models, "tool 3", "--for", "part 3").stdout == (
        f"part 3: beside tool 3, {expected.sentence()}\n"
    )


def test_explain_says_when_nobody_bought_it(models: Path) -> None:
    assert answer("explain", models, "tool 3", "--for", "anvil")["explanation"] is None
    assert run("explain", models, "tool 3", "--for", "anvil", "-q").stdout == (
        "anvil: nobody bought it in the orders the model learned from\n"
    )


def test_evaluate_measures_beside_peers_with_intervals_on_the_same_questions(orders: Path) -> None:
    found = answer("evaluate", orders, "--peers", "association,edlae")
    assert (found["taught"]["orders"], found["asked_orders"]) == (320, 80)
    methods = found["contexts"]["full_basket"]["methods"]
    assert list(methods) == ["encore", "encore + customer history", "popularity", "association rules", "EDLAE"]
    for method in methods.values():
        assert method["ndcg_at_10"]["low"] <= method["ndcg_at_10"]["value"] <= method["ndcg_at_10"]["high"]
    assert methods["association rules"]["setting"].startswith("support ")
    against = found["contexts"]["one_line"]["encore_against"]
    assert against["popularity"]["verdict"] == "better"
    assert found["left_out"] == {}


def test_evaluate_tells_what_offering_no_substitutes_costs(tmp_path: Path) -> None:
    """Half of the orders hold two colours of one mug, which a shop does not offer beside each other."""
    draw = random.Random(2)
    rows = []
    for order in range(200):
        mug = draw.randrange(8)
        rows += [f"{order},mug {mug} red,Mug {mug} red", f"{order},mug {mug} blue,Mug {mug} blue"][: 1 + order % 2]
        rows.append(f"{order},tea {draw.randrange(5)},Tea")
    (tmp_path / "orders.csv").write_text("order_id,sku,title\n" + "\n".join(rows) + "\n")
    methods = answer("evaluate", tmp_path / "orders.csv", "--peers", "none")["contexts"]["one_line"]["methods"]
    assert list(methods) == ["encore", "encore, no substitutes", "popularity"]
    assert methods["encore, no substitutes"]["ndcg_at_10"]["value"] < methods["encore"]["ndcg_at_10"]["value"]


def test_evaluate_prints_a_table_per_context_best_first(orders: Path) -> None:
    result = run("evaluate", orders, "--peers", "sar", "--contexts", "one")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Learned from the first 320 orders (20 products, ")
    assert lines[2].split()[:3] == ["one", "line", "known"]
    assert [line.split("  ")[0] for line in lines[3:7]][-1] == "popularity"
    assert lines[-1].startswith("encore against the best of them, SAR: ")


def test_evaluate_asks_nothing_where_there_is_nothing_to_ask(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order_id,sku\n1,a\n1,b\n2,a\n3,b\n4,a\n5,a\n")
    result = run("evaluate", tmp_path / "orders.csv")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2:] == [
        "full basket (all other lines known): no question, for no later order has two products.",
        "",
        "one line known: no question, for no later order has two products.",
    ]
    drawn = run("evaluate", tmp_path / "orders.csv", "--plot", tmp_path / "curve.png")
    assert (drawn.exit_code, drawn.stdout) == (65, "")
    assert drawn.stderr.splitlines()[-1] == "Error: there are too few orders to draw a curve: 31 at least"


def test_evaluate_names_who_is_left_out_and_why(orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encore_recommender.peers.find_spec", lambda name: None)
    found = answer("evaluate", orders, "--peers", "als,prod2vec")
    assert found["left_out"] == {
        "ALS (implicit)": "implicit is not installed",
        "prod2vec (gensim)": "gensim is not installed",
    }
    assert "Left out: ALS (implicit) (implicit is not installed)." in run("evaluate", orders, "--peers", "als").stdout


def test_evaluate_leaves_out_tables_that_do_not_fit(orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encore_recommender.peers.MOST_PRODUCTS", 10)
    assert answer("evaluate", orders, "--peers", "ease")["left_out"] == {
        "EASE": "its dense tables are made for 10 products at most, these are 20"
    }


@pytest.mark.parametrize("peer", [name for name in PEERS if "(" not in name])
def test_every_peer_without_a_package_of_its_own_can_be_asked(peer: str, orders: Path) -> None:
    found = answer("evaluate", orders, "--peers", peer, "--contexts", "full")
    assert 0.0 < found["contexts"]["full_basket"]["methods"][peer]["ndcg_at_10"]["value"] < 1.0


def test_evaluate_draws_the_learning_curve(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(history(100))
    found = answer("evaluate", tmp_path / "orders.csv", "--peers", "none", "--plot", tmp_path / "curve.svg")
    sizes = [point["orders"] for point in found["learning_curve"]]
    assert sorted(set(sizes)) == [40, 80]
    text = (tmp_path / "curve.svg").read_text()
    for said in (
        "What orders.csv teaches",
        "orders learned from",
        "NDCG@10 on the newest orders",
        "best-sellers",
        "80",
    ):
        assert said in text


def test_the_curve_of_the_same_points_is_the_same_picture(tmp_path: Path) -> None:
    points = [
        CurvePoint(orders=n, context=context, method=method, ndcg_at_10=Interval(value=v, low=v - 0.1, high=v + 0.1))
        for n, v in ((100, 0.2), (200, 0.3))
        for context in ("full_basket", "one_line")
        for method in ("encore", "best-sellers")
    ]
    for name in ("one.svg", "two.svg", "one.png", "two.png"):
        draw(points, tmp_path / name, title="What orders teach")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    png = (tmp_path / "one.png").read_bytes()
    assert png == (tmp_path / "two.png").read_bytes()
    assert struct.unpack(">II", png[16:24]) == (1200, 600)


@pytest.fixture(scope="module")
def two_models(orders: Path) -> tuple[Path, Path]:
    """One that learned from the orders, and one whose orders have no pairs to learn."""
    good, poor = orders.parent / "good", orders.parent / "poor"
    shuffled = orders.parent / "shuffled.csv"
    shuffled.write_text(history(complements=False, seed=1))
    assert run("fit", orders, "--model", good, "--force").exit_code == 0
    assert run("fit", shuffled, "--model", poor, "--force").exit_code == 0
    return good, poor


def test_compare_tells_better_from_worse_and_from_not_distinguishable(
    two_models: tuple[Path, Path], tmp_path: Path
) -> None:
    good, poor = two_models
    newer = tmp_path / "newer.csv"
    newer.write_text(history(600, seed=9, first=300))
    found = answer("compare", poor, good, newer)
    # Only what neither has learned from: orders after 2024-04-25, the last of the others.
    assert found["orders"] == 500
    assert {each["verdict"] for each in found["contexts"].values()} == {"better"}
    worse = run("compare", good, poor, newer, "--fail-if-worse")
    assert (worse.exit_code, worse.stderr.splitlines()[-1]) == (1, "Error: B is worse than A.")
    same = run("compare", good, good, newer, "--fail-if-worse")
    assert same.exit_code == 0
    assert same.stdout.count("not distinguishable") == 2


def test_compare_asks_no_orders_the_models_learned_from(two_models: tuple[Path, Path], orders: Path) -> None:
    result = run("compare", *two_models, orders)
    assert result.exit_code == 65
    assert result.stderr.splitlines()[-1] == (
        "Error: there is nothing to ask: no order of two products or more after 2024-04-25 03:00 (the last one learned "
        "from). Pass newer orders, or keep some back: fit both with --hold-out 0.2, and compare with --hold-out 0.2"
    )


def test_orders_held_back_at_fit_can_be_asked_at_compare(orders: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        assert answer("fit", orders, "--model", tmp_path / name, "--hold-out", "0.2", "--seed", seed)["orders"] == 320
    assert answer("compare", tmp_path / "a", tmp_path / "b", orders, "--hold-out", "0.2")["orders"] == 80


def test_one_model_of_a_folder_can_be_named(models: Path) -> None:
    (directory,) = models.glob("model-*")
    assert answer("recommend", directory, "tool 3")["model"] == open_model(directory).version


def test_every_command_has_help_with_an_example() -> None:
    for name, command in cli.commands.items():
        assert command.epilog is not None and command.epilog.startswith(f"Example:  encore-recommender {name} "), name
        assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option)), name
    told = run("--help").stdout
    assert all(f"  {code} " in told for code in (0, 1, 2, 65, 69, 74, 130))


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").stdout.startswith("encore-recommender, version 0.")


def test_nothing_is_coloured_and_nothing_is_cut_when_piped(models: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "recommend", models, "tool 3"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert "…" not in done.stdout


def test_a_closed_pipe_ends_it_silently(models: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*PROGRAM, "recommend", models, "tool 3"], stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_leaves_a_sentence_and_no_half_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "orders.csv")
    # A test run in the background inherits that Ctrl-C is ignored, and would hand it on.
    hearing = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [PROGRAM[0], "-c", hearing + PROGRAM[2], "fit", tmp_path / "orders.csv", "--model", tmp_path / "models"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            with (tmp_path / "orders.csv").open("w") as file:  # opens once the program reads
                # More than a pipe holds (64 kB): once all of it is written the program is among the rows. Earlier,
                # while it still imports a codec, Python itself may swallow the signal.
                file.write(HEADER + "1,tea,,,,\n" * 40_000)
                file.flush()
                running.send_signal(signal.SIGINT)
                _, told = running.communicate(timeout=60)
        finally:
            running.kill()
    assert (running.returncode, told) == (130, "\nInterrupted.\n")
    assert not (tmp_path / "models").exists()


def test_a_table_is_cut_where_the_terminal_ends_and_counts_wide_letters_twice() -> None:
    rows = [["1", "東京タワー", "a long sentence that does not fit"], ["22", "tea", "short"]]
    assert table(["", "product", "why"], rows, numbers="rll", width=36).splitlines() == [
        "    product     why",
        " 1  東京タワー  a long sentence tha…",
        "22  tea         short",
    ]


def test_a_table_without_heads_has_no_line_for_them() -> None:
    assert table(["", ""], [["orders", "7"], ["lines", "12"]], numbers="lrr") == "orders   7\nlines   12"
