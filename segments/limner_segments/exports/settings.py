"""The settings of exports in limner.yaml, `exports:`: whom every export leaves out, and the destinations by name.

Floor 1 keeps the mapping as it is written; here it becomes typed. Imports floor 1 and the fields beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from limner_profile.definitions import SECRET, Definition, validate
from limner_profile.errors import DefinitionError, Issue, did_you_mean, unknown_name
from limner_profile.sources import FieldType
from limner_profile.workspace import Workspace
from limner_segments.exports.fields import GoogleFields, MetaFields, field_issues

DestinationKind = Literal["csv", "jsonl", "parquet", "google", "meta", "webhook"]
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# Where a field belongs to one family of destinations only.
_OF_FILES = ("path",)
_OF_WEBHOOKS = ("url", "secret_env", "batch", "timeout", "attempts")


def check_share(share: float) -> float:
    """The share itself where it may be one of a hold-out; raises ValueError otherwise."""
    if not 0 < share < 1:
        raise ValueError(f"a share lies above 0 and below 1, not {share:g} | write ten per cent as 0.1")
    return share


Share = Annotated[float, AfterValidator(check_share)]


class Cap(Definition):
    """How often a user may be contacted: so many times within so many local days, the day of the export among them."""

    days: int = Field(ge=1, le=3650)
    """How many local days are looked at, today included."""
    contacts: int = Field(default=1, ge=1)
    """How many contacts within these days are allowed."""


class HoldOut(Definition):
    """A share of the users kept out on purpose, drawn by the salted hash of the id."""

    share: Share
    """The share, above 0 and below 1. A share that grows keeps whom it held out before."""
    salt: str = Field(default="limner", min_length=1)
    """The salt: another salt draws other users."""


class Destination(Definition):
    """Where an export goes, as what, and what holds for it beyond what holds for every export."""

    as_: DestinationKind = Field(alias="as")
    """csv, jsonl, parquet, google or meta for a file, webhook for a URL."""
    path: str = ""
    """The file, from the workspace's folder. `{segment}` stands for the segment's name, `{export}` for the export's id."""
    url: str = ""
    """Where a webhook's batches are sent: http or https."""
    secret_env: str = ""
    """The environment variable that holds the secret by which a webhook's batches are signed; the secret itself never stands here."""
    batch: int = Field(default=1000, ge=1, le=100_000)
    """How many users one batch of a webhook holds."""
    timeout: float = Field(default=30, gt=0, le=600)
    """How many seconds a webhook may take for one answer."""
    attempts: int = Field(default=6, ge=1, le=20)
    """How often a webhook's batch is tried before the run stops; the next run goes on with it."""
    columns: tuple[str, ...] = ()
    """The tags that are exported beside user_id; by default those that the condition uses."""
    consent: str = ""
    """The boolean tag that says who agrees to this destination, beside the consent that every export asks for."""
    suppression: tuple[str, ...] = ()
    """Files in `lists/` of users whom this destination leaves out, beside those that every export leaves out."""
    cap: Cap | None = None
    """The frequency cap of this destination instead of that of all exports; contacts at every destination count."""
    holdout: HoldOut | None = None
    """The hold-out of this destination instead of that of all exports."""
    changes: bool = False
    """Whether only who joined and left since the last export is sent, without --changes being given."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        return check_url(url) if url else url

    @field_validator("secret_env")
    @classmethod
    def _check_variable(cls, name: str) -> str:
        # The text is not repeated: it may be the secret itself.
        if name and not _VARIABLE.match(name):
            raise PydanticCustomError(
                SECRET, "this is not the name of an environment variable | such as LIMNER_CRM_SECRET"
            )
        return name

    @field_validator("suppression")
    @classmethod
    def _check_lists(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return check_list_names(names)

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if any(ord(letter) < 32 for letter in path):
            raise ValueError("the path holds a control character | such as exports/agency/{segment}.csv")
        without = path.replace("{segment}", "").replace("{export}", "")
        if "{" in without or "}" in without:
            raise ValueError(f"{path!r} has another placeholder | only {{segment}} and {{export}} stand for something")
        return path

    @model_validator(mode="after")
    def _check_fields(self) -> Destination:
        webhook = self.as_ == "webhook"
        names = _OF_FILES if webhook else _OF_WEBHOOKS
        if self.as_ in ("google", "meta"):
            names = (*names, "columns")  # those of a platform are its own
        foreign = [name for name in names if name in self.model_fields_set]
        if foreign:
            raise ValueError(f"a destination as {self.as_} has no {foreign[0]!r} | remove that line")
        lacking = [name for name in ("url", "secret_env") if webhook and not getattr(self, name)]
        if lacking:
            raise ValueError(f"a webhook needs {lacking[0]!r} | add a line '{lacking[0]}: …'")
        return self


class ExportSettings(Definition):
    """What limner.yaml says of exports: rules that every export obeys, and destinations."""

    suppression: tuple[str, ...] = ()
    """Files in `lists/` of users whom every export leaves out: one id a line, or a CSV with the column user_id."""
    consent: str = ""
    """The boolean tag that says who agrees; where it is not true, unknown included, a user is left out."""
    cap: Cap | None = None
    """The frequency cap, from the ledger of exports."""
    holdout: HoldOut | None = None
    """A share of every audience that is kept out; --holdout and --salt are stronger."""
    google: GoogleFields | None = None
    """Which tags fill the fields of Google Customer Match."""
    meta: MetaFields | None = None
    """Which tags fill the fields of Meta Custom Audiences."""
    destinations: dict[str, Destination] = Field(default_factory=dict)
    """Where exports go, by name: `limner segments export --to NAME`."""

    @field_validator("suppression")
    @classmethod
    def _check_lists(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return check_list_names(names)

    @field_validator("destinations")
    @classmethod
    def _check_names(cls, destinations: dict[str, Destination]) -> dict[str, Destination]:
        for name in destinations:
            if not name.isidentifier():
                raise ValueError(f"{name!r} cannot be the name of a destination | letters, digits and underscores")
        return destinations

    def destination(self, name: str) -> Destination:
        """The destination called `name`; raises UnknownNameError with the nearest."""
        if name not in self.destinations:
            raise unknown_name("destination", name, self.destinations, "limner.yaml")
        return self.destinations[name]


def check_url(url: str) -> str:
    """The URL itself where it is one of http or https with a host and without a password; raises ValueError otherwise.

    No message repeats it: a URL may hold a password or a key.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise PydanticCustomError(SECRET, "this is not a URL | such as https://crm.example.com/audiences") from None
    if parts.username or parts.password:
        raise PydanticCustomError(
            SECRET, "the URL holds a user or a password | batches are signed by secret_env instead"
        )
    if parts.scheme not in ("http", "https"):
        raise PydanticCustomError(SECRET, "the URL of a webhook begins with http:// or https://")
    if not host or any(letter.isspace() or ord(letter) < 32 for letter in url):
        raise PydanticCustomError(SECRET, "the URL names no host | such as https://crm.example.com/audiences")
    try:
        host.encode("idna")
    except UnicodeError:
        raise PydanticCustomError(
            SECRET, "the URL names a host that cannot be | such as https://crm.example.com/audiences"
        ) from None
    return url


def ascii_url(url: str) -> str:
    """A checked URL as it goes over the wire: the host in Punycode, other letters beyond ASCII as per cent codes.

    >>> ascii_url("https://例子.cn:8443/受众?a=%20é")
    'https://xn--fsqu00a.cn:8443/%E5%8F%97%E4%BC%97?a=%20%C3%A9'
    """
    if url.isascii():
        return url
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode("ascii")
    netloc = f"[{host}]" if ":" in host else host
    if parts.port is not None:
        netloc = f"{netloc}:{parts.port}"
    path, query = (quote(part, safe="/%:@!$&'()*+,;=?~") for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, netloc, path, query, ""))


# Sixteen letters and digits or more, with both among them.
_KEY = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_=.~%-]{16,}")


def shown_url(url: str) -> str:
    """The URL without what may be a key: its query, and parts of the path that look like one.

    >>> shown_url("https://crm.example.com:8443/in?key=1"), shown_url("https://hooks.example.com/T02AB/x7Gh20pQz81LmNv4Rt6K")
    ('https://crm.example.com:8443/in', 'https://hooks.example.com/T02AB/x7Gh…')
    """
    parts = urlsplit(url)
    path = "/".join(f"{part[:4]}…" if _KEY.fullmatch(part) else part for part in parts.path.split("/"))
    return f"{parts.scheme}://{parts.netloc}{path}"


def check_list_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of list files themselves; raises ValueError for one that leads out of the folder `lists/`."""
    for name in names:
        if not name or name.startswith(("/", "\\", ".")) or ".." in name.replace("\\", "/").split("/"):
            raise ValueError(f"{name!r} is not the name of a file in lists/ | such as unsubscribed.txt")
    return names


def read_export_settings(
    workspace: Workspace, types: Mapping[str, FieldType] | None = None
) -> tuple[ExportSettings | None, list[Issue]]:
    """The settings of exports, and their issues; with the `types` of all tags the tags that they name are checked, too."""
    settings, issues = validate(ExportSettings, workspace.config.exports, workspace.document, ("exports",))
    if settings is None:
        return None, issues
    if types is not None:
        issues += _check_tags(settings, workspace, types)
    issues += _check_files(settings, workspace)
    return settings, issues


def export_settings(workspace: Workspace, types: Mapping[str, FieldType] | None = None) -> ExportSettings:
    """The settings of exports; raises DefinitionError with every issue."""
    settings, issues = read_export_settings(workspace, types)
    if settings is None or issues:
        raise DefinitionError(issues)
    return settings


def _check_tags(settings: ExportSettings, workspace: Workspace, types: Mapping[str, FieldType]) -> list[Issue]:
    consents: list[tuple[tuple[str | int, ...], str]] = [(("exports", "consent"), settings.consent)]
    columns: list[tuple[tuple[str | int, ...], str]] = []
    for name, destination in settings.destinations.items():
        consents.append((("exports", "destinations", name, "consent"), destination.consent))
        columns += [
            (("exports", "destinations", name, "columns", index), tag) for index, tag in enumerate(destination.columns)
        ]
    issues = []
    for place, tag in [*consents, *columns]:
        if tag and tag not in types:
            hint = did_you_mean(tag, types, "name a tag of tags/")
            issues.append(Issue("unknown-tag", workspace.document.where(place), f"unknown tag {tag!r}", hint))
    for platform, fields in (("google", settings.google), ("meta", settings.meta)):
        if fields is not None:
            places = {name: workspace.document.where(("exports", platform, name)) for name in fields.tags()}
            issues += field_issues(fields, places, types)
    for place, tag in consents:
        if tag and types.get(tag, "boolean") != "boolean":
            message = f"consent is a boolean tag, and {tag!r} is a {types[tag]}"
            issues.append(
                Issue("wrong-type", workspace.document.where(place), message, "name a tag that is true or false")
            )
    return issues


def _check_files(settings: ExportSettings, workspace: Workspace) -> list[Issue]:
    """An issue for each list that is not there: an export that obeyed nothing would contact whom it must not."""
    named: list[tuple[tuple[str | int, ...], str]] = [
        (("exports", "suppression", index), name) for index, name in enumerate(settings.suppression)
    ]
    for destination, content in settings.destinations.items():
        place = ("exports", "destinations", destination, "suppression")
        named += [((*place, index), name) for index, name in enumerate(content.suppression)]
    folder = workspace.root / "lists"
    known = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [
        Issue(
            "missing-list",
            workspace.document.where(place),
            f"there is no list 'lists/{name}'",
            did_you_mean(name, known, f"known: {', '.join(known[:8])}" if known else "put the file into lists/"),
        )
        for place, name in named
        if not (folder / name).is_file()
    ]
