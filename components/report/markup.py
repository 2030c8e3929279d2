"""HTML and SVG in which text is inert by construction."""

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "br", "hr", "circle", "line", "path", "rect", "polyline"})


class Markup(str):
    """Text that is markup already; any other `str` is escaped wherever it is put."""

    __slots__ = ()


Child = str | None | Iterable["Child"]
Attribute = str | float | bool | None


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """One element with its children in order.

    A trailing underscore of an attribute's name is dropped and others become hyphens (`class_`,
    `aria_label`). `None` and `False` leave a child or an attribute out; `True` writes its bare name.

    >>> element("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    opened = tag + "".join(_attribute(key, value) for key, value in attributes.items())
    if tag in _VOID:
        assert not children, f"<{tag}> holds nothing"
        return Markup(f"<{opened}/>")
    return Markup(f"<{opened}>{join(children)}</{tag}>")


def join(children: Child) -> Markup:
    """Children in order, each escaped unless it is markup."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escape(children, quote=False))
    return Markup("".join(join(child) for child in children))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text, quote=True)}"'
