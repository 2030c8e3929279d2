from components.filter.sources.builtin import python_files, read_python


def read(tmp_path, source: str, name: str = "a.py") -> list[str]:
    (tmp_path / "a").write_text(source)
    return list(read_python(tmp_path / "a", name))


def test_docstrings_of_modules_classes_and_functions_in_order(tmp_path) -> None:
    source = '''
"""The module."""
if True:
    class A:
        """The class."""
        async def f(self):
            """The method,

            and more.
            """
            def g():
                """Inside."""
try:
    pass
except ImportError:
    def h():
        """In a handler."""
x = """no docstring"""
'''
    assert read(tmp_path, source) == [
        "The module.", "The class.", "The method, and more.", "Inside.", "In a handler.",
    ]  # fmt: skip


def test_sessions_and_ruled_lines_are_left_out(tmp_path) -> None:
    source = '"""Title\n=====\n\n>>> f()\n1\n\nAfter.\n"""\n'
    assert read(tmp_path, source) == ["Title After."]


def test_help_topics_are_read_without_import(tmp_path) -> None:
    source = "topics = {'a': 'About a.\\n\\nMore.', 'b': 'About b.'}\nraise SystemExit"
    assert read(tmp_path, source, "pydoc_data/topics.py") == ["About a. More.", "About b."]


def test_the_whole_is_about_two_megabytes_of_short_passages() -> None:
    files = python_files()
    texts = [text for file in files for text in read_python(file.path, file.name)]
    assert [file.name for file in files] == sorted(file.name for file in files)
    assert 1_000_000 < sum(map(len, texts)) < 4_000_000
    assert max(len(text.split()) for text in texts) <= 50
