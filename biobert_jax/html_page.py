"""What our HTML pages share: they need nothing from outside, and read in light, dark and print."""

import re
from html import escape as escape_html

# HTML cannot hold NUL, UTF-8 no lone surrogate; other control characters are kept, but frowned
# upon. What replaces them keeps offsets as they are.
_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")
_UNSHOWABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")

_CSS = """
:root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --text: #1c2127;
  --muted: #5a6472; --line: #dde1e7; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14171b; --card: #1c2025; --text: #e3e6ea; --muted: #9ba5b1;
    --line: #323840; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    sans-serif; }
header, main { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.25rem; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { margin: 2.25rem 0 .25rem; font-size: 1.2rem; }
.subtitle { margin: .35rem 0 0; font-size: 1.05rem; color: var(--muted); }
@media print {
  body { background: none; font-size: 10.5pt; }
}
"""


def escape(text: str, *, exact: bool = False) -> str:
    """Text for an element or an attribute in quotes.

    Args:
      exact: keeps every character that can be kept: of text that is given back as it came.
    """
    replaced = (_IMPOSSIBLE if exact else _UNSHOWABLE).sub("\ufffd", text)
    # A parser takes a bare carriage return for a line feed.
    return escape_html(replaced).replace("\r", "&#13;")


def page(title: str, *, css: str, header: str, main: str, script: str = "") -> str:
    """A whole page, to be written as UTF-8.

    Args:
      title: as text.
      css: rules after the common ones.
      header: HTML below the title's heading, still in `<header>`.
      main: HTML from `<main>` on, with what stands between the two.
      script: JavaScript.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}{css}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(title)}</h1>\n{header}</header>\n{main}"
        + (f"<script>{script}</script>\n" if script else "")
        + "</body>\n</html>\n"
    )
