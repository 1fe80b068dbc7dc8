"""Which code runs is told by a digest: a name or a byte more, and it is another."""

from __future__ import annotations

from pathlib import Path

from vpp.service.build import code_digest, digest_of
from vpp.service.metrics import Metrics


def test_a_byte_or_a_name_more_is_another_build(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("x = 1\n", encoding="utf-8")
    first = digest_of(tmp_path)

    file.write_text("x = 2\n", encoding="utf-8")
    second = digest_of(tmp_path)
    file.rename(tmp_path / "b.py")
    third = digest_of(tmp_path)
    (tmp_path / "notes.txt").write_text("of no matter", encoding="utf-8")

    assert len({first, second, third}) == 3
    assert digest_of(tmp_path) == third


def test_a_process_tells_the_code_it_began_with() -> None:
    assert code_digest() == code_digest()
    assert f'code="{code_digest()}"'.encode() in Metrics("demo").text(None)[0]
