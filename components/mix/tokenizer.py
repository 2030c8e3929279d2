"""The tokenizer of an experiment: byte-level BPE (Sennrich et al. 2016; Radford et al. 2019)."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from parable.artifact import Artifact, Blueprint, Product, ProductWriter, build
from parable.corpus import CorpusReader
from parable.errors import UserError
from parable.progress import Journal
from parable.recipe import Recipe
from parable.store import ObjectStore

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STAGE_VERSION = 1
KIND = "tokenizers"
SPECIAL_TOKENS = ("<|endoftext|>", "<|good|>", "<|bad|>")
END_OF_TEXT, GOOD, BAD = range(3)
"""Ids of the special tokens: the first begins, ends and pads; the others are the control tokens."""
MIN_PAIR_COUNT = 2
TASK = "tokenizer"


def tokenizer_blueprint(recipe: Recipe, corpora: dict[str, Artifact]) -> Blueprint:
    """What determines the tokenizer: its size and the corpora, by name, that it is trained on."""
    config = {"vocabulary": recipe.tokenizer.vocabulary, "corpora": list(recipe.tokenizer.corpora)}
    return Blueprint(
        KIND, "mix", STAGE_VERSION, config, {f"corpus/{name}": of for name, of in corpora.items()}
    )


def build_tokenizer(store: ObjectStore, blueprint: Blueprint) -> Artifact:
    """Train the tokenizer of a blueprint, where it does not exist.

    Raises:
        UserError: the text does not support as large a vocabulary.
    """

    def make(writer: ProductWriter) -> None:
        names: list[str] = blueprint.config["corpora"]
        readers = [CorpusReader(Product(store, blueprint.parents[f"corpus/{name}"])) for name in names]
        total = sum(reader.num_documents for reader in readers)
        vocabulary: int = blueprint.config["vocabulary"]
        trained = train_bpe(_read(readers, total), vocabulary, names)
        writer.put("tokenizer.json", trained.to_str(pretty=True).encode())
        writer.put_json("tokenizer_config.json", _transformers_config())
        writer.summary |= {"vocabulary": vocabulary, "documents": total}
        Journal.from_environment().progress("mix", TASK, total, total)

    return build(store, blueprint, make)


def train_bpe(texts: Iterable[str], vocabulary: int, names: Iterable[str]) -> "Tokenizer":
    """Learn merges from texts until there are `vocabulary` tokens; `names` is what errors call the texts.

    Equal texts in equal order give equal merges, whatever the number of threads. A merge must occur at
    least twice.

    Raises:
        UserError: there are not so many merges in the texts.
    """
    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel as ByteLevelDecoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=MIN_PAIR_COUNT,
        special_tokens=list(SPECIAL_TOKENS),
        # Every byte has a token, so that no text is unknown.
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    supported = tokenizer.get_vocab_size()
    if supported < vocabulary:
        raise UserError(
            f"vocabulary {vocabulary} asked, the text of corpora {', '.join(names)} supports {supported}: "
            f"set tokenizer.vocabulary to at most {supported}, or name more text under tokenizer.corpora."
        )
    return tokenizer


def read_tokenizer(store: ObjectStore, artifact: Artifact) -> "Tokenizer":
    """A sealed tokenizer, ready to encode documents: special tokens spelt out in a text stay plain text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(Product(store, artifact).read("tokenizer.json").decode())
    tokenizer.encode_special_tokens = True
    return tokenizer


def tokenizer_files(store: ObjectStore, artifact: Artifact) -> dict[str, bytes]:
    """The files by which transformers loads the tokenizer, to be laid beside a model."""
    product = Product(store, artifact)
    return {path: product.read(path) for path in product.files()}


def _read(readers: list[CorpusReader], total: int) -> Iterator[str]:
    journal = Journal.from_environment()
    done = 0
    for reader in readers:
        for text in reader.texts():
            yield text
            done += 1
            if done % 4096 == 0 and done < total:
                journal.progress("mix", TASK, done, total)


def _transformers_config() -> dict[str, object]:
    end = SPECIAL_TOKENS[END_OF_TEXT]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "additional_special_tokens": [SPECIAL_TOKENS[GOOD], SPECIAL_TOKENS[BAD]],
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
    }
