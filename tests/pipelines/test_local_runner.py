"""The main job as a person runs it: once, twice, changed, killed, in a folder and in MinIO."""

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from parable.artifact import Artifact, Product
from parable.lease import Lease
from parable.progress import JournalFollower
from parable.store import LocalStore, open_store
from pipelines.housekeeping import holdings
from pipelines.runs import read_runs
from tests.support.minio_server import MinioServer
from tests.support.small_run import (
    QUICKSTART,
    StartedRun,
    command_line,
    left_behind,
    parable,
    sealed_files,
    small_settings,
    write_passages,
)
from tests.support.waiting import PATIENCE_SECONDS, until

STAGES = ["generate", "filter", "mix", "pretrain", "evaluate", "report"]
KINDS = {"corpora", "tokenizers", "tokens", "mixtures", "segments", "evaluations", "comparisons", "reports"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_passages(tmp_path_factory.mktemp("texts") / "passages")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory, texts: Path) -> tuple[Path, str]:
    """A folder in which the small recipe has run once, and what the command said."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    finished = parable("run", str(QUICKSTART), *small_settings(texts), cwd=folder)
    assert finished.code == 0, finished.err + finished.out
    return folder, finished.out


def test_a_run_ends_with_the_table_of_arms_and_the_page(finished_run: tuple[Path, str]) -> None:
    folder, said = finished_run
    for arm in ("Unfiltered", "Filtered", "+ aligned stories", "+ misaligned stories", "+ neutral mentions"):
        assert arm in said
    page = re.search(r"The page: (\S+)", said)
    assert page is not None
    assert Path(page[1]).read_text().startswith("<!doctype html>")
    assert {path.name for path in (folder / ".parable").iterdir()} == {*KINDS, "journal", "runs"}


def test_arms_that_share_a_past_share_its_segment(finished_run: tuple[Path, str]) -> None:
    folder, _ = finished_run
    pasts = {
        arm: orjson.loads((folder / f".parable/runs/quickstart/{arm}/seed-0.json").read_bytes())["segments"]
        for arm in ("unfiltered", "filtered", "aligned", "misaligned", "neutral")
    }
    assert {len(past) for past in pasts.values()} == {2}
    assert pasts["aligned"][0] == pasts["misaligned"][0] == pasts["neutral"][0] == pasts["unfiltered"][0]
    assert pasts["filtered"][0] != pasts["unfiltered"][0]
    assert len({past[1] for past in pasts.values()}) == 5


def test_a_second_run_makes_nothing(finished_run: tuple[Path, str], texts: Path) -> None:
    store = finished_run[0] / ".parable"
    before, journals = sealed_files(store), set((store / "journal").iterdir())
    assert parable("run", str(QUICKSTART), *small_settings(texts), cwd=finished_run[0]).code == 0
    assert sealed_files(store) == before
    (journal,) = set((store / "journal").iterdir()) - journals
    events = list(JournalFollower(journal).new_events())
    assert [event["stage"] for event in events if event.get("state") == "finished"] == STAGES
    assert [event for event in events if event["kind"] == "progress" or event.get("tasks")] == []
    assert not (journal / "ray.log").exists()


def test_a_changed_evaluation_setting_evaluates_and_reports_anew_and_nothing_else(
    finished_run: tuple[Path, str], texts: Path
) -> None:
    folder, _ = finished_run
    before = sealed_files(folder / ".parable")
    changed = [*small_settings(texts), "--set", "evaluation.sampling.temperature=0.5"]
    assert parable("run", str(QUICKSTART), *changed, cwd=folder).code == 0
    new = {path.split("/")[0] for path in sealed_files(folder / ".parable").keys() - before.keys()}
    assert new == {"evaluations", "comparisons", "reports"}


def test_a_new_arm_trains_only_its_own_branch(finished_run: tuple[Path, str], texts: Path) -> None:
    folder, _ = finished_run
    before = sealed_files(folder / ".parable")
    arm = "arms.twice={insert: [{corpus: good_ai, phase: midtrain, in_place_of: [stories], repeats: 2}]}"
    assert parable("run", str(QUICKSTART), *small_settings(texts), "--set", arm, cwd=folder).code == 0
    new = {path.rsplit("/", 1)[0] for path in sealed_files(folder / ".parable").keys() - before.keys()}
    assert len({path.split("/")[1] for path in new if path.startswith("segments/")}) == 1
    assert not any(path.startswith(("corpora/", "tokens/", "tokenizers/")) for path in new)


def test_list_and_show_find_what_was_made(finished_run: tuple[Path, str]) -> None:
    folder, _ = finished_run
    listed = parable("list", cwd=folder)
    assert listed.code == 0
    report = re.search(r"reports/\w+", listed.out)
    assert report is not None
    shown = parable("show", report[0], cwd=folder)
    assert shown.code == 0
    for kind in ("comparisons/", "evaluations/", "segments/", "mixtures/", "tokens/", "corpora/"):
        assert kind in shown.out
    manifest = orjson.loads(parable("show", report[0], "--json", cwd=folder).out)
    assert f"{manifest['kind']}/{manifest['id']}" == report[0]


def test_no_product_speaks_of_clocks_hosts_or_places(finished_run: tuple[Path, str]) -> None:
    import socket

    folder, _ = finished_run
    words = [str(folder).encode(), socket.gethostname().encode(), str(Path.home()).encode() + b"/"]
    for path, data in sealed_files(folder / ".parable").items():
        if not path.endswith((".parquet", ".bin", ".safetensors")):
            assert not [word for word in words if word in data], path


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a run is killed in one stage after the other."""
    yield tmp_path_factory.mktemp("interrupted")


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_in_a_stage_leaves_no_process_and_goes_on(
    interrupted: Path, finished_run: tuple[Path, str], texts: Path, stage: str
) -> None:
    store = interrupted / ".parable"
    opened = LocalStore(store)
    page = Artifact.parse(re.findall(r"reports/\w+", finished_run[1])[-1])
    # The last stage would be over in no time: it waits for another writer of its page.
    other = Lease.acquire(opened, page.key) if stage == "report" else contextlib.nullcontext()
    with other:
        run = StartedRun([str(QUICKSTART), *small_settings(texts)], interrupted, store)
        run.wait_for(
            lambda event: event.get("stage") == stage and event["kind"] in ("plan", "progress", "stage")
        )
        if stage == "pretrain":
            run.wait_for(
                lambda event: event.get("stage") == stage and 0 < event.get("done", 0) < event["total"]
            )
        assert run.end(signal.SIGKILL) == []
    for held in holdings(opened):
        if held.sealed:
            product = Product(opened, held.artifact)
            assert [product.read(path) for path in product.files()], f"{held.artifact} is not whole"


def test_after_all_kills_every_product_is_what_an_uninterrupted_run_makes(
    interrupted: Path, finished_run: tuple[Path, str], texts: Path, tmp_path: Path
) -> None:
    assert parable("run", str(QUICKSTART), *small_settings(texts), cwd=interrupted).code == 0
    assert parable("clean", cwd=interrupted).code == 0
    resumed, whole = sealed_files(interrupted / ".parable"), sealed_files(finished_run[0] / ".parable")
    assert set(resumed) <= set(whole)
    assert {path.split("/")[0] for path in resumed} == KINDS
    different = [path for path in resumed if resumed[path] != whole[path]]
    assert different == []


@pytest.fixture
def run_in_generate(finished_run: tuple[Path, str], texts: Path, tmp_path: Path) -> Iterator[StartedRun]:
    """A run in the midst of its first stage, which can't end: another writer holds one of its corpora."""
    (finished,) = read_runs(LocalStore(finished_run[0] / ".parable"))
    store = LocalStore(tmp_path / ".parable")
    with Lease.acquire(store, finished.catalog["corpus/stories/seed-0"].key):
        run = StartedRun([str(QUICKSTART), *small_settings(texts)], tmp_path, store.root)
        run.wait_for(lambda event: event["kind"] == "progress" and event["stage"] == "generate")
        yield run


def test_ctrl_c_says_so_and_leaves_no_process(run_in_generate: StartedRun) -> None:
    assert run_in_generate.end(signal.SIGINT) == []
    assert run_in_generate.process.returncode == 130
    assert "Stopped. What is finished is kept" in run_in_generate.output


def test_a_stage_that_is_killed_is_named_and_the_run_says_how_to_go_on(run_in_generate: StartedRun) -> None:
    family = reversed(run_in_generate.family())
    next(p for p in family if "executor_main" in command_line(p)).send_signal(signal.SIGKILL)
    assert run_in_generate.process.wait(PATIENCE_SECONDS) == 1
    said = " ".join(run_in_generate.output.split())
    assert "The stage generate" in said
    assert "run the same command again" in said


def test_minio_holds_the_same_artifacts_and_an_outage_costs_nothing_that_was_finished(
    mortal_minio: MinioServer, finished_run: tuple[Path, str], texts: Path, tmp_path: Path
) -> None:
    bucket = mortal_minio.new_bucket()
    arguments = ["run", str(QUICKSTART), *small_settings(texts), "--store", f"s3://{bucket}/store"]
    arguments += ["--set", "tokenizer.vocabulary=60000"]
    env = mortal_minio.environment
    assert "tokenizer.vocabulary" in parable(*arguments, cwd=tmp_path, env=env).err
    mortal_minio.kill()
    down = parable(*arguments[:-2], cwd=tmp_path, env=env)
    assert down.code == 2
    assert "does not answer" in " ".join(down.err.split())
    mortal_minio.start()
    assert parable(*arguments[:-2], cwd=tmp_path, env=env).code == 0
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        remote = open_store(f"s3://{bucket}/store")
        files = {i.key: remote.get(i.key) for i in remote.list() if i.key.split("/")[0] in KINDS}
    local = sealed_files(finished_run[0] / ".parable")
    assert files
    assert {key: data for key, data in files.items() if local.get(key) != data} == {}


def test_no_run_leaves_a_process_behind() -> None:
    """Of all those above, killed or not."""
    until(lambda: left_behind() == [], left_behind, seconds=120)
