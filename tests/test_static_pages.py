import base64
import hashlib

import pytest

from pianogen.errors import SettingsError
from pianogen.static_pages import content_policy, require_replaceable

MARK = b"<meta mine>"


def test_a_policy_names_style_and_scripts_by_their_hashes_and_nothing_else_may_act():
    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    policy = dict(part.split(" ", 1) for part in content_policy("p{}", ["one()", "two()"], ["file:"]).split("; "))
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": hashed("p{}"),
        "script-src": f"file: {hashed('one()')} {hashed('two()')}",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_a_folder_is_replaced_when_it_is_new_empty_or_a_page_of_the_same_kind(tmp_path):
    out = tmp_path / "out"
    require_replaceable(out, "a page", MARK)
    out.mkdir()
    require_replaceable(out, "a page", MARK)
    (out / "index.html").write_bytes(b"<html>" + MARK)
    (out / "more.txt").touch()
    require_replaceable(out, "a page", MARK)


@pytest.mark.parametrize("content", [b"<p>another page", b" " * 5000 + MARK])
def test_other_folders_and_files_are_left_alone(tmp_path, content):
    (tmp_path / "index.html").write_bytes(content)
    with pytest.raises(SettingsError, match="holds something else than a page and would be replaced"):
        require_replaceable(tmp_path, "a page", MARK)
    with pytest.raises(SettingsError, match="a page is a folder, and this is a file"):
        require_replaceable(tmp_path / "index.html", "a page", MARK)
