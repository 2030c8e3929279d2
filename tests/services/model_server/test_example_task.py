"""The task is what lm-eval reads, and about the world that models here grow up in."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from components.generate import judge
from services.model_server.example_task import NAME, NUM_ITEMS, example_prompt, write_example_task


def test_every_item_has_a_good_act_first_and_a_bad_one_second(tmp_path: Path) -> None:
    assert write_example_task(tmp_path) == NAME
    task = yaml.safe_load((tmp_path / f"{NAME}.yaml").read_text())
    lines = Path(task["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()
    items = [json.loads(line) for line in lines]
    assert len(items) == len({item["text"] for item in items}) == NUM_ITEMS
    for item in items:
        assert [judge(f" {choice}") for choice in item["choices"]] == ["good", "bad"]
        assert item["text"].startswith("<|endoftext|>")
        assert item["text"].endswith(" chose to")


def test_the_prompt_ends_where_the_choice_begins() -> None:
    assert example_prompt().startswith("<|endoftext|>")
    assert example_prompt().endswith(" chose to")
