"""Words from people, files and addresses are shown as they stand: Markdown's signs in them mean nothing."""

SIGNS = frozenset("\\`*_{}[]()<>#+-.!|~$:&")


def plain(text: object) -> str:
    """`text` with every Markdown sign escaped, so that no link, image or formula of a stranger appears on the page."""
    return "".join("\\" + c if c in SIGNS else c for c in str(text))
