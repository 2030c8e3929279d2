from collections.abc import Callable
from typing import Any

import pytest

from parable.canonical import canonical_json, digest, fingerprint, readable_json


def test_equal_data_has_equal_bytes() -> None:
    assert (
        canonical_json({"b": [1, 2.5, None, True], "a": "é\n"})
        == '{"a":"é\\n","b":[1,2.5,null,true]}'.encode()
    )
    assert canonical_json({"a": (1,)}) == canonical_json({"a": [1]})
    assert canonical_json({"a": 1}) != canonical_json({"a": 1.0})
    assert canonical_json({"a": 0}) != canonical_json({"a": False})


def test_readable_bytes() -> None:
    assert readable_json({"b": [1], "a": {}}) == b'{\n  "a": {},\n  "b": [\n    1\n  ]\n}\n'


@pytest.mark.parametrize("write", [canonical_json, readable_json])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_has_no_word_for_is_refused(write: Callable[[Any], bytes], value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write({"x": value})


def test_golden_names() -> None:
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert fingerprint({"a": 1}) == digest(b'{"a":1}')[:20] == "015abd7f5cc57a2dd94b"
    assert fingerprint({"a": 1}, 8) == "015abd7f"
