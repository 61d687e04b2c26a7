"""One self-contained HTML page from sections of text, tables and figures.

Plotly's script is written into it once, compressed, since it is most of the file; the browser
unpacks it (DecompressionStream, in every browser since 2023). Figures are drawn as they come into
sight, in the colours of the reader's light or dark scheme.
"""

import base64
import gzip
import json
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass
class Page:
    """What is written top to bottom.

    Attributes:
        title: Of the browser's tab.
        parts: HTML, in order.
        figures: Plotly's JSON of each figure, in order.
    """

    title: str
    parts: list[str] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def paragraphs(self, *texts: str, kind: str = "") -> None:
        """Plain text, one paragraph each; ``kind`` is a CSS class."""
        attribute = f' class="{kind}"' if kind else ""
        self.parts += [f"<p{attribute}>{escape(text)}</p>" for text in texts]

    def code(self, text: str, *, summary: str | None = None) -> None:
        """Text as it stands; folded away behind ``summary`` if there is one."""
        block = f"<pre>{escape(text)}</pre>"
        if summary is not None:
            block = f"<details><summary>{escape(summary)}</summary>{block}</details>"
        self.parts.append(block)

    def table(
        self, header: list[str], rows: list[list[str]], *, summary: str | None = None
    ) -> None:
        """A table of plain text; folded away behind ``summary`` if there is one."""
        head = "".join(f"<th>{escape(name)}</th>" for name in header)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        block = (
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )
        if summary is not None:
            block = f"<details><summary>{escape(summary)}</summary>{block}</details>"
        self.parts.append(block)

    def figure(self, figure: "go.Figure") -> None:
        """A figure of `sweeps.figures`, with its title above and its caption below."""
        content = json.loads(str(figure.to_json()))
        layout = content["layout"]
        title, caption = layout.pop("title")["text"], layout.pop("meta")["caption"]
        for name in ("template", "width"):
            layout.pop(name, None)
        layout["autosize"] = True
        layout["margin"] = {**layout.get("margin", {}), "t": layout["margin"]["t"] - 15}
        number = len(self.figures)
        self.figures.append({"data": content["data"], "layout": layout})
        self.parts.append(
            f'<figure><h3>{escape(title)}</h3><div class="plot" id="figure{number}" role="img" '
            f'aria-label="{escape(title)}" style="height:{layout["height"]}px"></div>'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def html(self) -> str:
        """The whole file."""
        here = files("sweeps.page")
        # "</script" would end the element, "<!--" would hide its end.
        figures = json.dumps(self.figures, separators=(",", ":")).replace("<", "\\u003c")
        return (
            (here / "page.html")
            .read_text()
            .format(
                title=escape(self.title),
                style=(here / "page.css").read_text(),
                body="\n".join(self.parts),
                figures=figures,
                plotly=_packed_plotly() if self.figures else "",
                script=(here / "page.js").read_text(),
            )
        )


def _packed_plotly() -> str:
    script = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(script, 9, mtime=0)).decode()
