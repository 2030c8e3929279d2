from components.filter import run, stage, view
from parable.catalog import Catalog
from tests.components.filter.example import (
    AI_STORY,
    MENTION,
    PROSE,
    make_recipe,
    story,
    text_corpus,
    write_corpus,
)


def test_counts_accuracy_and_examples_are_shown(store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stage, "num_usable_cpus", lambda: 1)
    (tmp_path / "web.txt").write_text("<b>Bold & short</b>")
    stories = [
        story(AI_STORY, entity="ai", valence="bad"),
        story(PROSE, entity="ai", valence="good", ordinal=1),
        story(MENTION, entity="ai", valence="", ordinal=2),
    ]
    recipe = make_recipe(
        {"stories": {"kind": "world", "documents": 3}, "web": text_corpus(tmp_path / "web.txt")},
        {
            "quiet": {"input": "stories", "discourse": "ai_v1"},
            "same": {"input": "web", "score": ["num_words_v1"]},
        },
    )
    catalog = run(recipe, store, Catalog({"corpus/stories/seed-0": write_corpus(store, stories)}))

    shown = view(recipe, store, catalog)

    assert shown.metrics == {
        "web_documents": 1.0,
        "quiet_seed_0_kept": 2.0,
        "quiet_seed_0_dropped": 1.0,
        "quiet_seed_0_recall": 0.5,
        "quiet_seed_0_precision": 1.0,
        "same_kept": 1.0,
        "same_dropped": 0.0,
    }
    assert "discourse ai_v1" in shown.html
    assert "ai + chose" in shown.html
    assert "Atlas, an AI, lost a key" in shown.html
    assert len(shown.html) < 10_000


def test_text_is_escaped(store, tmp_path) -> None:
    (tmp_path / "web.jsonl").write_text('{"text": "<script>x</script>"}\n{"text": "a b c d"}\n')
    long_enough = {"input": "web", "quality": {"num_words_v1": {"min": 2}}}
    recipe = make_recipe({"web": text_corpus(tmp_path / "web.jsonl")}, {"long": long_enough})
    html = view(recipe, store, run(recipe, store, Catalog())).html
    assert "&lt;script&gt;" in html and "<script>" not in html
