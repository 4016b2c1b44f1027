"""Changed files are noticed, whichever way they change."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.tasks import Tasks
from gateway.runtime.file_watch import FileWatch


class Seen:
    def __init__(self) -> None:
        self.tasks = Tasks()
        self.count = 0
        self._news = asyncio.Event()
        self.watch = FileWatch(self.tasks, self._note)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.count < count:
                self._news.clear()
                await self._news.wait()

    def _note(self) -> None:
        self.count += 1
        self._news.set()


@pytest.fixture
async def seen() -> AsyncIterator[Seen]:
    one = Seen()
    yield one
    one.watch.follow(())
    await one.tasks.close()


async def test_beginning_to_watch_counts_as_a_change(seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("")
    seen.watch.follow([file])
    await seen.until(1)


@pytest.mark.parametrize("way", ["written", "replaced", "removed"])
async def test_a_changed_file_is_noticed(seen: Seen, tmp_path: Path, way: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("old")
    seen.watch.follow([file])
    await seen.until(1)
    match way:
        case "written":
            file.write_text("new")
        case "replaced":
            (tmp_path / "fresh").write_text("new")
            (tmp_path / "fresh").replace(file)
        case "removed":
            file.unlink()
    await seen.until(2)


async def test_other_files_beside_it_are_not_noticed(seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("old")
    seen.watch.follow([file])
    await seen.until(1)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(seen.until(2), 0.3)
    file.write_text("new")
    await seen.until(2)


async def test_the_target_of_a_link_is_watched_too(seen: Seen, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "real.yaml").write_text("old")
    (tmp_path / "gateway.yaml").symlink_to("far/real.yaml")
    seen.watch.follow([tmp_path / "gateway.yaml"])
    await seen.until(1)
    (tmp_path / "far" / "real.yaml").write_text("new")
    await seen.until(2)


async def test_following_nothing_ends_the_watch(seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("old")
    seen.watch.follow([file])
    await seen.until(1)
    seen.watch.follow(())
    await seen.tasks.close()
    file.write_text("new")
    assert seen.count == 1
