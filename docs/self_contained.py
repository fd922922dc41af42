"""MkDocs hook: a site that asks no other host; mermaid, which the theme has from a CDN, comes from npm at the build.

No script, style, font or picture of any page may be another host's: the build fails where one is.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import tarfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.exceptions import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
MERMAID: Final = "mermaid@11.9.0"
INTEGRITY: Final = "sha512-YdPXn9slEwO0omQfQIsW6vS84weVQftIyyTGAZCwM//MGhPzL1+l6vO6bkf0wnP4tHigH1alZ5Ooy3HXI2gOag=="
"""Of its package, as npm's lock files have it."""

SCRIPTS: Final = "assets/javascripts"
FROM_CDN: Final = re.compile(r'"https://[^"/]+/mermaid@[^"]*"')
"""Where the theme's script has it from; the page says in `__md_scope` where the site's root is."""

FETCHED: Final = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
"""What a browser fetches by itself, and where each element says so; of links it depends on what they are for."""

OF_NOTEBOOKS: Final = re.compile(
    r'<script type="module">(?:(?!</script>).)*\bmermaid\b(?:(?!</script>).)*</script>', re.DOTALL
)
"""What nbconvert puts on a page for diagrams of a notebook, which it has from another CDN; the tutorial has none."""

LINKED: Final = {"stylesheet", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "icon", "manifest"}
IN_STYLE: Final = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")
IN_SCRIPT: Final = re.compile(r"""["'`](https?://[^"'`\s]+\.(?:m?js|css|woff2?))["'`]""")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - by name
    """The page without the script for diagrams of notebooks."""
    return OF_NOTEBOOKS.sub("", output)


def on_post_build(config: MkDocsConfig) -> None:
    """Put mermaid into the site, and look through all of it.

    Raises:
        PluginError: mermaid cannot be had or is another, the theme has changed, or a file asks another host.
    """
    site = Path(config.site_dir)
    put_mermaid_into(site)
    asked = [f"{path.relative_to(site)}: {url}" for path in sorted(site.rglob("*")) for url in other_hosts(path)]
    if asked:
        raise PluginError("pages ask other hosts:\n" + "\n".join(asked))


def put_mermaid_into(site: Path) -> None:
    for name, content in mermaid(ROOT / "build" / "docs").items():
        (site / SCRIPTS / name).write_bytes(content)
    changed = 0
    for bundle in (site / SCRIPTS).glob("bundle.*.js"):
        ours = f'new URL("{SCRIPTS}/mermaid.min.js",__md_scope).href'
        text, count = FROM_CDN.subn(ours, bundle.read_text(encoding="utf-8"))
        bundle.write_text(text, encoding="utf-8")
        changed += count
    if changed != 1:
        raise PluginError(f"the theme's script names mermaid's CDN {changed} times, not once")


def mermaid(folder: Path) -> dict[str, bytes]:
    """Its script and its licence, out of the package, which is fetched once."""
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"{MERMAID.replace('@', '-')}.tgz"
    if not package.exists():
        try:
            subprocess.run(
                ["npm", "pack", "--silent", "--pack-destination", str(folder), MERMAID],
                check=True,
                capture_output=True,
                text=True,
            )
        except FileNotFoundError as error:
            raise PluginError(f"{MERMAID} is fetched by npm, which is not installed: Debian's npm") from error
        except subprocess.CalledProcessError as error:
            raise PluginError(f"npm has no {MERMAID}: {error.stderr.strip()[-500:]}") from error
    digest = "sha512-" + base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        package.unlink()
        raise PluginError(f"{MERMAID}: expected {INTEGRITY}, found {digest}")
    with tarfile.open(package) as archive:
        files = {"mermaid.min.js": "package/dist/mermaid.min.js", "mermaid.LICENSE.txt": "package/LICENSE"}
        streams = {name: archive.extractfile(member) for name, member in files.items()}
        return {name: stream.read() for name, stream in streams.items() if stream is not None}


def other_hosts(path: Path) -> Iterator[str]:
    """What a browser that has this file asks another host for."""
    if path.suffix == ".html":
        page = Fetches()
        page.feed(path.read_text(encoding="utf-8"))
        yield from page.found
    elif path.suffix == ".css":
        yield from IN_STYLE.findall(path.read_text(encoding="utf-8"))
    elif path.suffix == ".js":
        yield from IN_SCRIPT.findall(path.read_text(encoding="utf-8"))


class Fetches(HTMLParser):
    """URLs of other hosts that a page has a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        given = {name: value or "" for name, value in attrs}
        url = given.get(FETCHED.get(tag, ""), "")
        if tag == "link" and LINKED & set(given.get("rel", "").split()):
            url = given.get("href", "")
        if re.match(r"(https?:)?//", url):
            self.found.append(url)
        self.found += IN_STYLE.findall(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self._within in {"style", "script"}:
            self.found += (IN_STYLE if self._within == "style" else IN_SCRIPT).findall(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - by name
        self._within = ""
