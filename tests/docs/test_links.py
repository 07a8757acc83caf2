"""No link of the documentation leads nowhere."""

from __future__ import annotations

import pytest

from tests.docs.pages import Page, community_pages, pages

ALL_PAGES = [*pages(), *community_pages()]


@pytest.mark.parametrize("page", ALL_PAGES, ids=[page.name for page in ALL_PAGES])
def test_every_link_has_a_target(page: Page) -> None:
    broken = []
    for link in page.links():
        path, _, anchor = link.partition("#")
        target = Page((page.path.parent / path).resolve()) if path else page
        if not target.path.exists() or (anchor and anchor not in target.anchors()):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = next(page for page in pages() if page.name == "docs/index.md")
    linked = {(index.path.parent / link.partition("#")[0]).resolve() for link in index.links()}
    assert {page.name for page in pages() if page.path not in linked} == {"docs/index.md"}
