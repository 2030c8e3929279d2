from components.report.markup import Markup, element, join


def test_text_is_escaped_and_markup_is_not() -> None:
    assert element("p", "1 < 2 & 3", element("b", "x")) == "<p>1 &lt; 2 &amp; 3<b>x</b></p>"
    assert join(["<a>", None, Markup("<b>"), ["<c>"]]) == "&lt;a&gt;<b>&lt;c&gt;"


def test_attributes_are_quoted_and_named_as_html_names_them() -> None:
    made = element("th", class_='a"b', data_label="<x>", aria_hidden=None, hidden=True, open_=False, x=1.50)
    assert made == '<th class="a&quot;b" data-label="&lt;x&gt;" hidden x="1.5"></th>'


def test_elements_that_hold_nothing_close_themselves() -> None:
    assert element("circle", r=4.5) == '<circle r="4.5"/>'
    assert element("meta", name="viewport") == '<meta name="viewport"/>'
