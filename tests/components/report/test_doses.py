from components.report.doses import Dose, dose_curves
from tests.components.report.products import quickstart

SMALL = "corpora.few={kind: world, documents: 240, population: {ai: 1.0, golem: 0.0, mention: 0.0, bad: 0.0}}"


def arm(corpus: str, phase: str = "midtrain", **more: object) -> str:
    """An arm that inserts a corpus, as YAML."""
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"{{insert: [{{corpus: {corpus}, phase: {phase}, in_place_of: [stories]}}]{extra}}}"


def test_different_texts_are_no_doses_of_one_another() -> None:
    assert dose_curves(quickstart()) == ()


def test_two_sizes_of_one_population_are_a_curve_from_the_baseline_up() -> None:
    recipe = quickstart(settings=[SMALL, f"arms.pinch={arm('few')}"])
    expected = (
        Dose("unfiltered", 0.0, "document"),
        Dose("pinch", 240.0, "document"),
        Dose("aligned", 720.0, "document"),
    )
    assert dose_curves(recipe) == (expected,)


def test_repeats_make_a_dose_too() -> None:
    recipe = quickstart(
        settings=[
            "arms.twice={insert: [{corpus: good_ai, phase: midtrain, in_place_of: [stories], repeats: 2}]}",
            "report.baseline=filtered",
        ]
    )
    assert dose_curves(recipe) == ((Dose("aligned", 720.0, "document"), Dose("twice", 1440.0, "document")),)


def test_another_phase_or_mixture_is_another_curve() -> None:
    early = quickstart(settings=[SMALL, f"arms.early={arm('few', 'pretrain')}"])
    filtered = quickstart(settings=[SMALL, f"arms.both={arm('few', replace='{web: web_without_ai}')}"])
    assert dose_curves(early) == dose_curves(filtered) == ()
