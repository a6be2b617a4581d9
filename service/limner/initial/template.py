"""Templates: ready workspaces for a business, shipped as YAML with small example data. Imports PyYAML and errors only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import yaml

from limner_profile.errors import unknown_name

TEMPLATES: Mapping[str, str] = {
    "app": "an app with content: activity, preference, lifecycle, first payments",
    "retail": "a shop: orders, baskets, RFM, buying again",
    "game": "a game: play, levels, top-ups, payer groups",
    "finance": "a bank or broker: flows, products, value bands",
    "membership": "a membership or club: visits, benefits, renewals",
}
DEFINITION_FOLDERS = ("tags", "segments", "scenarios")


@dataclass(frozen=True)
class Template:
    """A template: its configuration, its definition files and its example data, each by its path in the workspace."""

    name: str
    config: str
    definitions: Mapping[str, str]
    data: Mapping[str, str]

    @property
    def title(self) -> str:
        """The title of its workspace."""
        return str(yaml.safe_load(self.config)["title"])


def read_template(name: str) -> Template:
    """The template called `name`; raises UnknownNameError with the nearest name."""
    if name not in TEMPLATES:
        raise unknown_name("template", name, TEMPLATES, "--template")
    folder = resources.files("limner") / "initial" / "templates" / name
    definitions = {path: text for part in DEFINITION_FOLDERS for path, text in _texts(folder / part, part, ".yaml")}
    data = dict(_texts(folder / "data", "data", ".csv"))
    return Template(name, (folder / "limner.yaml").read_text(encoding="utf-8"), definitions, data)


def _texts(folder: Traversable, shown: str, ending: str) -> list[tuple[str, str]]:
    files = sorted((file for file in folder.iterdir() if file.name.endswith(ending)), key=lambda file: file.name)
    return [(f"{shown}/{file.name}", file.read_text(encoding="utf-8")) for file in files]
