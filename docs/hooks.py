"""MkDocs hooks: pages of the documentation site that do not lie in `docs/`, and those that are made when it is built.

The Markdown files of the repository keep their paths, so that the links among them hold. What else they link to becomes
a page with the file in it. Reference pages are what commands say with `--help`, and the docstrings of a package.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from pygments.lexers import find_lexer_class_for_filename

from exatrkx.__main__ import ALL, COMMANDS

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("models_src", "client", "deploy", "perf")
LINK: Final = re.compile(r"\]\((?!\w+:)([^)\s#]+)")
"""A link to another file, up to its anchor."""

UNSEARCHED: Final = "---\nsearch:\n  exclude: true\n---\n\n"


@event_priority(100)  # before mkdocs-jupyter, which looks for notebooks among the files
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site: pages and pictures of the repository, sources that pages link to, and the reference."""
    listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    tracked = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    paths = {path for path in tracked if path.endswith((".md", ".ipynb", ".png", ".svg", ".css"))}
    linked = {target(path, link) for path in paths if path.endswith(".md") for link in LINK.findall(text_of(path))}
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    for path in sorted(paths):
        files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
    made = {f"{path}.md": source_page(path) for path in linked & set(tracked) - paths}
    made |= {"reference/commands.md": commands_page()}
    for package in re.findall(r"reference/(exatrkx[\w.]*)\.md", str(config.nav)):
        made[f"reference/{package}.md"] = package_page(package)
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - by name
    """The page's text, in which links to sources lead to their pages."""

    def to_page(link: re.Match[str]) -> str:
        path = target(page.file.src_uri, link[1])
        known = files.get_file_from_path(path) is None and files.get_file_from_path(f"{path}.md")
        return f"{link[0]}.md" if known else link[0]

    return LINK.sub(to_page, markdown)


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def target(page: str, link: str) -> str:
    """The file that a link in a page leads to, as a path from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def source_page(path: str) -> str:
    """A page with a source file, coloured."""
    lexer = find_lexer_class_for_filename(path)
    return f"{UNSEARCHED}# {path}\n\n`````{lexer.aliases[0] if lexer else 'text'}\n{text_of(path)}\n`````\n"


def commands_page() -> str:
    """What every command says with `--help`."""
    page = "# Commands\n\nWhat `exatrkx COMMAND --help` says.\n"
    for name, (_, purpose) in COMMANDS.items():
        command = (sys.executable, "-m", ALL, *name.split(), "--help")
        said = subprocess.run(command, env=os.environ | {"COLUMNS": "100"}, capture_output=True, text=True, check=True)
        page += f"\n## {ALL} {name}\n\n{purpose[0].upper()}{purpose[1:]}.\n\n```text\n{said.stdout}```\n"
    return page


def package_page(package: str) -> str:
    """Docstrings of the package and of each of its modules, but for the commands."""
    folders = (ROOT / place / package.replace(".", "/") for place in PACKAGES)
    folder = next(folder for folder in folders if folder.is_dir())
    modules = [f"{package}.{path.stem}" for path in sorted(folder.glob("[!_]*.py"))]
    one = "\n\n::: {}\n    options: {{members: {}}}\n"
    return f"# {package}\n" + one.format(package, "false") + "".join(f"\n\n::: {module}\n" for module in modules)
