import signal
import subprocess
import sys

import orjson
import pytest

from components.filter import run
from components.filter import stage as module
from components.filter.stage import Progress
from parable.artifact import Product
from parable.catalog import Catalog
from parable.errors import UserError
from parable.progress import FOLDER_VARIABLE, Journal, JournalFollower
from parable.store import LocalStore
from tests.components.filter.example import (
    AI_STORY,
    MENTION,
    PROSE,
    bytes_of,
    documents_of,
    make_recipe,
    rejects_of,
    story,
    text_corpus,
    texts_of,
    write_corpus,
)

STORIES = {"kind": "world", "documents": 3}
FILTERS = {
    "clean": {
        "input": "web",
        "quality": {"num_words_v1": {"min": 3}},
        "deduplicate": {"threshold": 0.8},
        "decontaminate": True,
    },
    "web_without_ai": {"input": "clean", "discourse": "ai_v1"},
    "stories_without_ai": {"input": "stories", "discourse": "ai_v1", "score": ["world_bad_act_v1"]},
}


@pytest.fixture
def one_process(monkeypatch) -> None:
    monkeypatch.setattr(module, "num_usable_cpus", lambda: 1)


@pytest.fixture
def recipe(tmp_path):
    lines = [
        {"text": text}
        for text in (PROSE, PROSE, "no", "An AI decides about loans.", "Something else entirely.")
    ]
    (tmp_path / "web.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    return make_recipe(
        {"stories": STORIES, "web": text_corpus(tmp_path / "web.jsonl")}, FILTERS, seeds=(0, 1)
    )


@pytest.fixture
def inputs(store) -> Catalog:
    return Catalog({f"corpus/stories/seed-{seed}": world(store, seed) for seed in (0, 1)})


def world(store, seed: int):
    documents = [
        story(AI_STORY, entity="ai", valence="bad", ordinal=seed),
        story(MENTION, entity="ai", valence="", ordinal=seed + 2),
        story("The fox chose to hide the truth.", entity="animal", valence="bad", ordinal=seed + 4),
    ]
    return write_corpus(store, documents)


def test_every_corpus_of_the_recipe_is_made(store, recipe, inputs, one_process) -> None:
    made = run(recipe, store, inputs)
    assert set(made) - set(inputs) == {
        "corpus/web",
        "corpus/clean",
        "corpus/web_without_ai",
        "corpus/stories_without_ai/seed-0",
        "corpus/stories_without_ai/seed-1",
    }
    assert texts_of(store, made["corpus/web_without_ai"]) == [PROSE, "Something else entirely."]
    assert [reject["reason"] for reject in rejects_of(store, made["corpus/clean"])] == [
        "duplicate",
        "num_words_v1 below 3",
    ]
    for seed in (0, 1):
        product = Product(store, made[f"corpus/stories_without_ai/seed-{seed}"])
        assert product.summary["discourse"] == {
            "rules": "ai_v1", "flagged": 1, "leaked": 0, "true_positive": 1, "false_positive": 0,
            "false_negative": 0, "true_negative": 2, "recall": 1.0, "precision": 1.0,
        }  # fmt: skip


def test_a_second_run_makes_nothing(store, recipe, inputs, one_process, monkeypatch) -> None:
    made = run(recipe, store, inputs)
    monkeypatch.setattr(module, "_fill", lambda order: pytest.fail(f"made {order.job.task} again"))
    assert run(recipe, store, inputs) == made


def test_the_bytes_do_not_depend_on_the_store_or_the_number_of_processes(
    store, recipe, inputs, tmp_path, monkeypatch
) -> None:
    other = LocalStore(tmp_path / "other")
    for seed in (0, 1):
        world(other, seed)
    monkeypatch.setattr(module, "num_usable_cpus", lambda: 2)
    made = run(recipe, store, inputs)
    monkeypatch.setattr(module, "num_usable_cpus", lambda: 1)
    assert run(recipe, other, inputs) == made
    for role in set(made) - set(inputs):
        assert bytes_of(store, made[role]) == bytes_of(other, made[role])


def test_the_journal_tells_the_plan_and_ends_every_task(
    store, recipe, inputs, one_process, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "journal"))
    run(recipe, store, inputs)
    run(recipe, store, inputs)
    events = list(JournalFollower(tmp_path / "journal").new_events())
    plans = [event["tasks"] for event in events if event["kind"] == "plan"]
    totals = {task["task"]: task["total"] for task in plans[0]}
    assert len(plans) == 2 and plans[1] == []
    assert set(totals) == {
        "web", "clean", "web_without_ai", "stories_without_ai/seed-0", "stories_without_ai/seed-1",
    }  # fmt: skip
    ended = {
        event["task"] for event in events if event["kind"] == "progress" and event["done"] == event["total"]
    }
    assert ended == set(totals)
    assert all(event["total"] == totals[event["task"]] for event in events if event["kind"] == "progress")


def test_an_error_in_a_child_names_the_file_and_line(store, inputs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "num_usable_cpus", lambda: 2)
    (tmp_path / "web.jsonl").write_text('{"text": "a"}\n{"text"\n')
    recipe = make_recipe(
        {"stories": STORIES, "web": text_corpus(tmp_path / "web.jsonl")}, FILTERS, seeds=(0, 1)
    )
    with pytest.raises(UserError, match=r"web.jsonl, line 2 is not JSON"):
        run(recipe, store, inputs)


def test_progress_is_told_a_few_times_a_second_and_always_at_the_end(tmp_path) -> None:
    progress = Progress(Journal(tmp_path), "web", 200)
    for share in (0.1, 0.2, 0.3, 1.0):
        progress(share)
    assert [event["done"] for event in JournalFollower(tmp_path).new_events()] == [20.0, 200]


def test_the_face_imports_nothing_heavy() -> None:
    code = (
        "import sys, components.filter; from components.filter.plan import plan; "
        "from components.filter.names import check_names; "
        "print(*{'numpy', 'pyarrow', 'rensa', 'torch', 'ray', 'kfp'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


KILLED = """
import os, signal, sys
from components.filter import run, stage
from parable.catalog import Catalog
from parable.recipe import parse_recipe
from parable.store import open_store

def kill(self, share):
    if share >= float(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

stage.Progress.__call__ = kill
run(parse_recipe(sys.argv[2].encode(), ""), open_store(sys.argv[3]), Catalog.from_bytes(sys.argv[4].encode()))
"""


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_a_filter_that_was_killed_goes_on_and_gives_the_same_bytes(store, tmp_path, share) -> None:
    documents = documents_of(
        [f"{PROSE} Number {number} of them has {number * 7} words." for number in range(40)]
    )
    inputs = Catalog({"corpus/stories/seed-0": write_corpus(store, documents, shard_rows=10)})
    recipe = make_recipe(
        {"stories": STORIES}, {"long": {"input": "stories", "quality": {"num_words_v1": {"min": 9}}}}
    )
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(share),
        recipe.model_dump_json(),
        store.uri,
        inputs.to_bytes().decode(),
    ]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = {info.key for info in store.list("corpora/") if info.key.endswith(".parquet")}

    made = run(recipe, store, inputs)["corpus/long/seed-0"]

    other = LocalStore(tmp_path / "other")
    write_corpus(other, documents, shard_rows=10)
    assert run(recipe, other, inputs)["corpus/long/seed-0"] == made
    assert bytes_of(store, made) == bytes_of(other, made)
    assert left & set(bytes_of(store, made))
    assert list(store.list("scratch/")) == list(store.list("leases/")) == []
