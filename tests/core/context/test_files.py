"""Which files a request may bring."""

import pytest

from scalix_callbacks.core.context import files as rules
from scalix_callbacks.core.context.files import read_files
from scalix_callbacks.core.context.slices import PIECE_CHARS, finish, pieces
from scalix_callbacks.core.errors import GatewayError


def read(*files):
    return finish(read_files([{"path": path, "content": content} for path, content in files]))


def refusal(*files) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read(*files)
    return caught.value


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("src/a.ts", "src/a.ts"),
        ("./src//a.ts", "src/a.ts"),
        ("src\\win\\a.ts", "src/win/a.ts"),
        ("app/[id]/page (1).tsx", "app/[id]/page (1).tsx"),
        ("..gitignore", "..gitignore"),
    ],
)
def test_a_path_within_the_project_is_taken(sent, path):
    """Whatever system it comes from."""
    assert [path] == [file.path for file in read((sent, "x"))]


@pytest.mark.parametrize(
    "path",
    ["../a", "a/../../b", "a\\..\\b", "/etc/passwd", "\\share\\a", "C:\\a", "c:a", "~/a", "", ".", "a\nb"],
)
def test_a_path_out_of_the_project_is_refused(path):
    """With the file's number, and nothing in the message that Markdown would render."""
    error = refusal(("ok.ts", "x"), (path, "x"))

    assert 400 == error.status
    assert "files[1]" == error.param
    assert error.message.startswith("File 1 (")


def test_a_path_is_shown_without_what_markdown_takes_for_its_own():
    """The app renders messages as Markdown."""
    assert "File 0 (/?click??evil?) " in refusal(("/[click](evil)", "x")).message


@pytest.mark.parametrize("content", ["a\0b", "\x01\x02" + "x" * 50, "x" * PIECE_CHARS + "\0"])
def test_binary_content_is_refused(content):
    """Wherever in the file it shows."""
    assert "binary" in refusal(("a.bin", content)).message


@pytest.mark.parametrize("content", ["", "\ttab\r\n\x0c", "\x1b[31mred\x1b[0m", "é語🙂\ud800"])
def test_odd_text_is_text(content):
    """Form feeds, colours and half a surrogate pair are no reason to refuse."""
    assert content == read(("a.txt", content))[0].content


def test_too_many_and_too_large_are_413(monkeypatch):
    """By number, by characters before anything is read, and by bytes."""
    monkeypatch.setattr(rules, "MAX_FILES", 2)
    monkeypatch.setattr(rules, "MAX_TOTAL_BYTES", 10)

    assert "3 files" in refusal(*[(f"f{i}", "") for i in range(3)]).message
    assert [413, 413] == [refusal(("a", text)).status for text in ("x" * 11, "é" * 6)]
    assert 2 == len(read(("a", "é" * 5), ("b", "")))


def test_of_two_files_with_one_path_the_later_counts():
    """As if they had been written one after the other."""
    assert ["new"] == [file.content for file in read(("a", "old"), ("./a", "new"))]


@pytest.mark.parametrize("text", ["", "x" * 50_000, "line\n" * 20_000, "\n" * PIECE_CHARS * 2])
def test_pieces_are_bounded_and_the_whole_text(text):
    """One long line, too; else they end where a line does."""
    cut = list(pieces(text))

    assert text == "".join(cut)
    assert all(0 < len(piece) <= PIECE_CHARS for piece in cut)
