"""Numbers as a reader meets them: shares without a leading zero, a real minus, intervals in brackets."""

from collections.abc import Iterable

MISSING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_BOUND = "\N{NO-BREAK SPACE}"
"""Keeps an estimate on one line."""


def share(value: float | None, digits: int = 2) -> str:
    """A number near 0 to 1, e.g. `.82` or `1.00`, with a real minus where it is negative."""
    if value is None:
        return MISSING
    text = f"{abs(value):.{digits}f}"
    negative = value < 0 and float(text) != 0.0
    return (_MINUS if negative else "") + (text[1:] if text.startswith("0.") else text)


def signed(value: float | None) -> str:
    """A difference, e.g. `+.14`; what rounds to nothing has no sign."""
    text = share(value)
    return text if value is None or value < 0 or float(f"{value:.2f}") == 0.0 else f"+{text}"


def interval(low: float | None, high: float | None, *, difference: bool = False) -> str:
    """An interval, e.g. `[.76, .88]`, or nothing where there is none."""
    if low is None or high is None:
        return ""
    number = signed if difference else share
    return f"[{number(low)},{_BOUND}{number(high)}]"


def estimate(mean: float | None, low: float | None, high: float | None, *, difference: bool = False) -> str:
    """A mean with its interval where there is one."""
    text = (signed if difference else share)(mean)
    between = interval(low, high, difference=difference)
    return f"{text}{_BOUND}{between}" if between else text


def p_value(value: float | None) -> str:
    """A p value with three digits, e.g. `.013`; a smaller one is `<.001`."""
    if value is None:
        return MISSING
    return "<.001" if value < 0.001 else share(value, 3)


def several(values: Iterable[float | None], digits: int = 2) -> str:
    """One number a seed."""
    return " · ".join(share(value, digits) for value in values)


def listed(words: Iterable[str], last: str = "and") -> str:
    """Words in a row: `a`, `a and b`, `a, b and c`."""
    *head, tail = list(words) or [""]
    return f"{', '.join(head)} {last} {tail}" if head else tail


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun, e.g. `1 seed`, `24,000 documents`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
