from components.mix import run, view
from parable.store import LocalStore
from tests.components.mix.example import catalog, recipe


def test_every_arm_phase_and_source_is_shown(store: LocalStore) -> None:
    given = recipe()
    shown = view(given, store, run(given, store, catalog(store, given)))
    assert "<td>dosed</td><td>midtrain</td><td>dose (dose)</td>" in shown.html
    assert (
        '<td>clean</td><td>pretrain</td><td>clean</td><td class="n">240</td><td class="n">80</td>'
        in shown.html
    )
    assert shown.metrics["vocabulary"] == 300
    assert shown.metrics["tokens_per_arm"] == 32 * 400
    assert 0 < shown.metrics["padding_share"] < 0.3
    assert shown.metrics["largest_epochs_in_a_phase"] > 1
