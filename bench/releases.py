"""Consecutive releases of public packages: what a changelog says, and which files really changed."""

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

RELEASES: Mapping[str, Sequence[str]] = {
    "click": ("8.1.2", "8.1.3", "8.1.4", "8.1.7"),
    "httpx": ("0.25.0", "0.25.1", "0.25.2", "0.26.0"),
    "jinja2": ("3.1.1", "3.1.2", "3.1.3", "3.1.4"),
    "marshmallow": ("3.19.0", "3.20.0", "3.20.1", "3.21.0"),
    "sphinx": ("7.2.0", "7.2.1", "7.2.2", "7.2.3"),
    "sqlparse": ("0.4.2", "0.4.3", "0.4.4", "0.5.0"),
    "urllib3": ("2.0.2", "2.0.3", "2.0.4", "2.1.0"),
    "werkzeug": ("2.3.5", "2.3.6", "2.3.7", "3.0.0"),
}
"""Pure Python, with a changelog in the source distribution."""
AT_ONCE = 4
TIMEOUT_S = 180
MAX_FILE_BYTES = 400_000
_CHANGELOGS = re.compile(r"^(CHANGES|CHANGELOG|HISTORY|NEWS)(\.(rst|md|txt))?$", re.I)


@dataclass(frozen=True, slots=True)
class Change:
    """One release after another.

    Attributes:
        request: the changelog's entry.
        files: path → content, of the Python files before the change.
        changed: those of `files` that the release changed or took away.
        changed_before: the changed ones of the releases before, the newest first.
    """

    package: str
    version: str
    request: str
    files: Mapping[str, str]
    changed: frozenset[str]
    changed_before: tuple[frozenset[str], ...]


def changes() -> Iterator[Change]:
    """Downloads what is needed into a folder that goes away; a release that cannot be had is left out."""
    wanted = [(package, version) for package, versions in RELEASES.items() for version in versions]
    with TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(wanted, pool.map(lambda each: _texts(Path(folder), *each), wanted), strict=True))
    for package, versions in RELEASES.items():
        before: tuple[frozenset[str], ...] = ()
        for old, new in pairwise(versions):
            was, now = found[package, old], found[package, new]
            files = {path: text for path, text in was.items() if path.endswith(".py")}
            changed = frozenset(path for path, text in files.items() if now.get(path) != text)
            request = _entry(now, new)
            # The first pair is there to know what changed lately.
            if before and request and changed and now:
                yield Change(package, new, request, files, changed, before)
            before = (changed, *before)


def _texts(folder: Path, package: str, version: str) -> dict[str, str]:
    place = folder / f"{package}-{version}"
    place.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package]
    subprocess.run(
        [*command, "--dest", str(place), f"{package}=={version}"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    texts: dict[str, str] = {}
    for archive in place.glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            for member in tar:
                path = member.name.partition("/")[2]
                is_wanted = path.endswith(".py") or _CHANGELOGS.match(path)
                if not member.isfile() or not is_wanted or not 0 < member.size <= MAX_FILE_BYTES:
                    continue
                if (opened := tar.extractfile(member)) is not None:
                    texts[path] = opened.read().decode("utf-8", "replace")
    if not texts:
        print(f"{package} {version} could not be downloaded; left out", file=sys.stderr)
    return texts


def _entry(texts: Mapping[str, str], version: str) -> str:
    """What the changelog says of a version: from its heading to that of another one."""
    log = next((text for path, text in texts.items() if _CHANGELOGS.match(path)), "")
    lines = log.splitlines()
    heading = re.compile(rf"^\W*(?:version|release)?\W*{re.escape(version)}(?![\d.]*\d)", re.I)
    other = re.compile(r"^\W{0,4}(?:version|release)?\W*\d+\.\d+(\.\d+)?\b", re.I)
    start = next((i for i, line in enumerate(lines) if heading.match(line)), None)
    if start is None:
        return ""
    rest = range(start + 1, len(lines))
    end = next((i for i in rest if other.match(lines[i]) and not heading.match(lines[i])), len(lines))
    return "\n".join(lines[start + 1 : end]).strip()
