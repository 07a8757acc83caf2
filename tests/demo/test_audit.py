"""What the audit finds, and what it does not mistake for a finding."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from testproject.demo.audit import MAX_FINDINGS, Audit, Entry, Problem, check_file, discover, read_record, verify
from tests.demo.fake_site import digest, install


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


def audit(metadata: Path) -> Audit:
    return verify(str(metadata), tolerate=False)


def test_an_untouched_distribution_has_no_finding(site: Path) -> None:
    metadata = install(site, "apple", {"apple/__init__.py": b"x = 1\n", "apple/data.bin": bytes(100_000)})

    found = audit(metadata)

    assert found.findings == ()
    assert (found.files, found.unhashed) == (3, 1)
    assert found.bytes == 6 + 100_000 + (metadata / "METADATA").stat().st_size


def test_a_changed_byte_is_found_with_its_path(site: Path) -> None:
    metadata = install(site, "apple", {"apple/a.py": b"x = 1\n", "apple/b.py": b"y = 1\n"})
    (site / "apple" / "b.py").write_bytes(b"y = 2\n")

    found = audit(metadata)

    assert [(finding.path, finding.problem) for finding in found.findings] == [("apple/b.py", Problem.ALTERED)]
    assert (found.altered, found.missing) == (1, 0)


def test_a_deleted_file_is_missing(site: Path) -> None:
    metadata = install(site, "apple", {"apple/a.py": b"x = 1\n"})
    (site / "apple" / "a.py").unlink()

    found = audit(metadata)

    assert [(finding.path, finding.problem) for finding in found.findings] == [("apple/a.py", Problem.MISSING)]
    assert found.missing == 1


def test_a_file_below_what_has_become_a_file_is_missing(site: Path) -> None:
    metadata = install(site, "apple", {"apple/a.py": b"x = 1\n"})
    (site / "apple" / "a.py").unlink()
    (site / "apple").rmdir()
    (site / "apple").write_bytes(b"")

    assert audit(metadata).missing == 1


def test_a_deleted_file_without_a_hash_is_no_finding(site: Path) -> None:
    metadata = install(site, "apple", {}, record="apple/__pycache__/a.cpython-312.pyc,,\n")

    found = audit(metadata)

    assert (found.missing, found.unhashed, found.findings) == (0, 2, ())


def test_a_path_outside_of_the_site_and_one_with_a_comma_are_followed(site: Path) -> None:
    (site.parent / "bin").mkdir()
    (site.parent / "bin" / "apple,v").write_bytes(b"#!\n")
    metadata = install(site, "apple", {}, record=f'"../bin/apple,v",{digest(b"#!")},3\n')

    assert [finding.path for finding in audit(metadata).findings] == ["../bin/apple,v"]


def test_other_strong_hashes_are_compared_and_weak_ones_count_as_none(site: Path) -> None:
    content = b"x = 1\n"
    hexadecimal = hashlib.sha512(content).hexdigest()
    metadata = install(site, "apple", {"a.py": content}, record=f"a.py,sha512={hexadecimal},6\nb.py,md5=AAAA,6\n")

    found = audit(metadata)

    assert (found.files, found.unhashed, found.findings) == (3, 2, ())


def test_a_pipe_in_place_of_a_file_is_altered_and_does_not_block(site: Path) -> None:
    metadata = install(site, "apple", {"a.py": b"x"})
    (site / "a.py").unlink()
    os.mkfifo(site / "a.py")

    assert [finding.problem for finding in audit(metadata).findings] == [Problem.ALTERED]


def test_an_unreadable_file_raises_until_it_is_tolerated(site: Path) -> None:
    metadata = install(site, "apple", {"a.py": b"x"})
    (site / "a.py").unlink()
    (site / "a.py").symlink_to("a.py")  # a loop: even root cannot open it

    with pytest.raises(OSError, match="symbolic links"):
        verify(str(metadata), tolerate=False)
    found = verify(str(metadata), tolerate=True)

    assert [(finding.path, finding.problem) for finding in found.findings] == [("a.py", Problem.UNREADABLE)]
    assert (found.unreadable, found.missing, found.altered) == (1, 0, 0)


def test_a_path_with_nul_is_missing_and_can_be_stored(tmp_path: Path) -> None:
    entry = Entry(path="a\0b", algorithm="sha256", digest="x")

    size, finding = check_file(tmp_path / "a\0b", entry, tolerate=False)

    assert size == 0
    assert finding is not None
    assert finding.problem is Problem.MISSING
    assert "\0" not in finding.path


def test_without_record_there_is_nothing_to_compare_with(site: Path) -> None:
    found = audit(install(site, "apple", {"a.py": b"x"}, record=None))

    assert not found.has_record
    assert (found.files, found.findings) == (0, ())


def test_a_record_that_is_no_text_is_altered(site: Path) -> None:
    metadata = install(site, "apple", {"a.py": b"x"})
    (metadata / "RECORD").write_bytes(b"\xff\xfe\x00,")

    assert [(finding.path, finding.problem) for finding in audit(metadata).findings] == [("RECORD", Problem.ALTERED)]


def test_an_uninstalled_distribution_is_missing(site: Path) -> None:
    site.mkdir()

    assert audit(site / "gone-1.0.dist-info").missing == 1


def test_counts_go_on_where_findings_end(site: Path) -> None:
    lines = "".join(f"gone{number}.py,{digest(b'x')},1\n" for number in range(MAX_FINDINGS + 5))

    found = audit(install(site, "apple", {}, record=lines))

    assert found.missing == MAX_FINDINGS + 5
    assert len(found.findings) == MAX_FINDINGS


def test_empty_lines_of_a_record_are_skipped() -> None:
    assert [entry.path for entry in read_record("a.py,,\n\n,sha256=x,1\nb.py\n")] == ["a.py", "b.py"]


def test_distributions_are_found_once_and_in_the_order_of_their_names(site: Path, tmp_path: Path) -> None:
    install(site, "pear", {})
    install(site, "Apple", {}, version="2.5")
    (tmp_path / "link").symlink_to(site)

    found = discover([str(site), str(tmp_path / "link"), str(tmp_path / "not there")])

    assert [(item.name, item.version) for item in found] == [("Apple", "2.5"), ("pear", "1.0")]


def test_two_leftovers_of_one_distribution_are_two(site: Path) -> None:
    install(site, "apple", {}, version="1.0")
    install(site, "apple", {}, version="1.1")

    assert [item.version for item in discover([str(site)])] == ["1.0", "1.1"]


def test_broken_metadata_takes_name_and_version_from_the_directory(site: Path) -> None:
    (site / "apple-3.1.dist-info").mkdir(parents=True)

    assert [(item.name, item.version) for item in discover([str(site)])] == [("apple", "3.1")]


def test_the_environment_of_this_test_is_found() -> None:
    assert {"django", "pytest"} <= {item.name.lower() for item in discover(sys.path)}
