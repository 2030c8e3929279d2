"""What a person meets who types something: help at once, and one clear paragraph when something is wrong."""

import re
from pathlib import Path

import pytest

from tests.support.minio_server import MinioServer
from tests.support.process import free_port
from tests.support.small_run import QUICKSTART, Finished, parable, small_settings, write_passages


def assert_one_paragraph(finished: Finished, *said: str) -> None:
    """Exit status 2, and a paragraph that says all of this and shows no machinery."""
    message = " ".join(finished.err.split())
    assert finished.code == 2, f"exit {finished.code}: {finished.out}\n{finished.err}"
    assert "Traceback" not in finished.err + finished.out
    for words in said:
        assert words in message, message
    assert re.search(r"[.?]$", message), message
    assert len(message) < 700, message


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_passages(tmp_path / "texts")


def test_help_names_every_command() -> None:
    finished = parable("--help", cwd=Path.cwd())
    assert finished.code == 0
    commands = re.findall(r"^  ([a-z]+) {2,}\S", finished.out, re.MULTILINE)
    assert commands == ["run", "compile", "list", "show", "serve", "clean"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["corpora.stories.documnts=10"], ["corpora.stories.documnts", "not a known key", "write documents"]),
        (["training.tokens=many"], ["training.tokens", "'many'", "must be a whole number"]),
        (["compute.workers=0"], ["compute.workers", "is 0", "must be at least 1 or 'auto'"]),
        (["recipe=2"], ["version 2", "reads version 1"]),
        (["mixture={storys: 1}"], ["mixture", "names 'storys'", "write stories"]),
        (["model.preset=granit-toy"], ["granit-toy", "granite-toy"]),
        (
            ["filters.web.quality={mean_word_lenght_v1: {min: 3}}"],
            ["mean_word_lenght_v1", "mean_word_length_v1"],
        ),
        (["corpora.library.source=/nowhere/at/all"], ["/nowhere/at/all", "corpora.library.source"]),
        (["training.tokens"], ["--set", "is not key=value"]),
    ],
)
def test_a_bad_setting_is_named_with_its_mend(tmp_path: Path, settings: list[str], said: list[str]) -> None:
    options = [part for setting in settings for part in ("--set", setting)]
    assert_one_paragraph(parable("run", str(QUICKSTART), *options, cwd=tmp_path), *said)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    assert_one_paragraph(parable("run", "no.yaml", cwd=tmp_path), "There is no recipe no.yaml")


def test_a_recipe_that_is_not_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("recipe: 1\nname: [x\n")
    assert_one_paragraph(parable("run", "bad.yaml", cwd=tmp_path), "bad.yaml", "line", "is not YAML")


def test_an_empty_corpus_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    settings = small_settings(tmp_path / "empty")
    finished = parable("run", str(QUICKSTART), *settings, cwd=tmp_path)
    assert_one_paragraph(finished, "corpora.library.source", str(tmp_path / "empty"))


def test_a_vocabulary_that_the_text_does_not_support_is_named(tmp_path: Path, texts: Path) -> None:
    settings = [*small_settings(texts), "--set", "tokenizer.vocabulary=60000"]
    finished = parable("run", str(QUICKSTART), *settings, cwd=tmp_path)
    assert_one_paragraph(finished, "60", "tokenizer.vocabulary", "at most")


def test_a_corrupt_shard_is_named_and_mended_by_the_command_it_gives(tmp_path: Path, texts: Path) -> None:
    arguments = ["run", str(QUICKSTART), *small_settings(texts), "--set", "tokenizer.vocabulary=60000"]
    assert parable(*arguments, cwd=tmp_path).code == 2  # the corpora are there, the tokenizer is refused
    shard = max(
        (tmp_path / ".parable/corpora").glob("*/documents/*.parquet"), key=lambda path: path.stat().st_size
    )
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    finished = parable(*arguments, cwd=tmp_path)
    artifact = shard.relative_to(tmp_path / ".parable").parts[1]
    assert_one_paragraph(finished, f"corpora/{artifact}", "is not what was sealed", "parable clean")
    assert parable("clean", f"corpora/{artifact}", cwd=tmp_path).code == 0
    assert_one_paragraph(parable(*arguments, cwd=tmp_path), "tokenizer.vocabulary")


def test_a_store_that_does_not_answer_is_named(tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    env = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "topsecret", "PARABLE_S3_ENDPOINT": endpoint}
    finished = parable("run", str(QUICKSTART), "--store", "s3://bucket/x", cwd=tmp_path, env=env)
    assert_one_paragraph(finished, endpoint, "does not answer", "PARABLE_S3_ENDPOINT")
    assert "topsecret" not in finished.err


def test_credentials_that_are_refused_are_named_without_being_told(
    signing_minio: MinioServer, bucket: str, tmp_path: Path
) -> None:
    env = {**signing_minio.environment, "AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    finished = parable("run", str(QUICKSTART), "--store", f"s3://{bucket}", cwd=tmp_path, env=env)
    assert_one_paragraph(finished, "refuses the credentials", "AWS_SECRET_ACCESS_KEY")
    assert "not-the-secret" not in finished.err


def test_a_bucket_that_is_not_there_is_named(minio: MinioServer, tmp_path: Path) -> None:
    finished = parable(
        "run", str(QUICKSTART), "--store", "s3://no-such-bucket", cwd=tmp_path, env=minio.environment
    )
    assert_one_paragraph(finished, "'no-such-bucket' does not exist", "--store")


def test_missing_credentials_are_asked_for(tmp_path: Path) -> None:
    finished = parable("run", str(QUICKSTART), "--store", "s3://bucket", cwd=tmp_path)
    assert_one_paragraph(finished, "needs credentials", "AWS_ACCESS_KEY_ID")


def test_an_unknown_scheme_is_named(tmp_path: Path) -> None:
    finished = parable("run", str(QUICKSTART), "--store", "ftp://host/x", cwd=tmp_path)
    assert_one_paragraph(finished, "'ftp'", "s3://bucket/prefix")


def test_an_unknown_option_and_an_unknown_command_exit_2_as_well(tmp_path: Path) -> None:
    assert parable("run", str(QUICKSTART), "--stroe", "x", cwd=tmp_path).code == 2
    assert parable("runn", cwd=tmp_path).code == 2


@pytest.mark.parametrize("command", [["list"], ["show", "x"], ["clean"]])
def test_looking_into_a_store_that_is_not_there_makes_none(tmp_path: Path, command: list[str]) -> None:
    assert_one_paragraph(parable(*command, cwd=tmp_path), "There is no store '.parable' yet")
    assert list(tmp_path.iterdir()) == []
