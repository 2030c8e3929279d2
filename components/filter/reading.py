"""A document as signals see it: split once, whoever asks."""

from functools import cached_property

from parable.corpus import Document


class Reading:
    """One document with its words and lines, each made when first asked for and then shared."""

    def __init__(self, document: Document) -> None:
        """Read a document."""
        self.document = document
        self.text = document.text

    @cached_property
    def words(self) -> list[str]:
        """What white space separates, punctuation and all."""
        return self.text.split()

    @cached_property
    def lower_words(self) -> list[str]:
        """The same in lower case."""
        return self.text.lower().split()

    @cached_property
    def lines(self) -> list[str]:
        """Lines that are not blank, without the space around them."""
        return [line for line in map(str.strip, self.text.splitlines()) if line]
