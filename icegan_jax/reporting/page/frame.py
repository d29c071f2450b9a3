"""What every page is set in: one HTML file with everything inside, for phone and screen, light and dark."""

from html import escape

from icegan_jax.reporting.page.look import STYLE
from icegan_jax.reporting.page.script import POLICY, SCRIPT


def framed(title: str, body: str) -> str:
    """A whole page from its title, as plain text, and its body, as HTML."""
    html = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
    return html.encode("utf-8", "replace").decode()  # JSON may hold half of a surrogate pair, which is no text
