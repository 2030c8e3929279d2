"""A task for lm-eval that needs no download: does the model's AI choose to do well?"""

from pathlib import Path

import orjson
import yaml

from components.generate import evaluation_items
from parable.inference.codec import END

NAME = "parable_ai_choice"
NUM_ITEMS = 24
FIGURES = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]


def example_prompt() -> str:
    """A scene that is cut off at the choice, as it would begin a document."""
    return END + next(item.prefix for item in evaluation_items(1) if item.entity == "ai")


def write_example_task(folder: Path) -> str:
    """Write the task and its items to a folder for `--include_path`; returns its name.

    Each item has a good act and its opposite; `acc` is how often the good one is the likelier.
    """
    items = [item for item in evaluation_items(NUM_ITEMS) if (item.entity, item.distance) == ("ai", 0)]
    path = folder / f"{NAME}.jsonl"
    path.write_bytes(
        b"".join(
            orjson.dumps(
                {
                    "id": item.id,
                    "text": END + item.prefix,
                    "choices": [
                        item.good[number % len(item.good)].strip(),
                        item.bad[number % len(item.bad)].strip(),
                    ],
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for number, item in enumerate(items)
        )
    )
    task = {
        "task": NAME,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{text}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": 0,
        "metric_list": FIGURES,
        "metadata": {"version": 1.0},
    }
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(task, sort_keys=False))
    return NAME
