"""The files of a trial: its model first, pictures as images, then all other files."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from api import text
from api.ui.parts.widgets import Text, box, link, table
from api.ui.session import PATH
from searchsvc.domain import Artifact

MODEL = "model.safetensors"
PICTURE = ".png"
MOST_PICTURES = 24


def draw(artifacts: Sequence[Artifact]) -> None:
    """Show files to download; pictures load only once they are in view."""
    if not artifacts:
        Text("p", "No files yet. The weights appear here when the training has finished.", "muted")
        return
    model = next((one for one in artifacts if one.name == MODEL), None)
    if model is not None:
        link(f"Download the model ({_size(model)})", path_of(model), "primary download")
    pictures = [one for one in artifacts if one.name.endswith(PICTURE)]
    if pictures:
        _pictures(pictures)
    rows = [
        (lambda one=one: link(one.name, path_of(one)), _size(one), lambda one=one: _digest(one.sha256))
        for one in artifacts
        if one not in pictures
    ]
    if rows:
        table(("file", "size", "SHA-256"), rows)


def path_of(artifact: Artifact) -> str:
    return f"{PATH}/files/{artifact.trial_id}/{quote(artifact.name)}"


def _pictures(pictures: Sequence[Artifact]) -> None:
    some = f" ({MOST_PICTURES} of {len(pictures)})" if len(pictures) > MOST_PICTURES else ""
    Text("p", f"Detections in images that the detector was not trained on{some}.", "muted small")
    with box("pictures"):
        for picture in pictures[:MOST_PICTURES]:
            with link("", path_of(picture)):
                image = box("", "img")
                image.props.update({"src": f"{path_of(picture)}?shown=true", "alt": picture.name, "loading": "lazy"})
                Text("span", picture.name.removesuffix(PICTURE).removeprefix("boxes-"), "small muted wrap")


def _size(artifact: Artifact) -> str:
    return f"{text.count(artifact.bytes)}B"


def _digest(digest: str) -> None:
    cell = Text("span", digest[:16], "mono")
    cell.props["title"] = digest
