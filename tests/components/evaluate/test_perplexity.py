"""A document's nats, beside the world's own."""

from components.evaluate import perplexity
from components.evaluate.requests import Answer, HeldOut


def test_a_document_has_its_nats_and_the_worlds() -> None:
    (request,) = perplexity.requests((HeldOut("held-out-00000", "The fox chose to hide.", -4.0),))
    row = perplexity.measure(request, Answer(((-1.0, -2.5, -2.0),)))
    assert (row.value, row.weight, row.reference) == (5.5, 3.0, 4.0)
    assert row.prompt == "The fox chose to hide."
