"""The text of a header as tokens: what an expression looks like, whatever its layout."""

import bisect
import re

TOKEN = re.compile(
    r"""
    (?P<skip>  //[^\n]* | /\*.*?\*/ | ^[ \t]*\#(?:[^\n\\]|\\.)*? $ )
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)+'
    | [A-Za-z_]\w*
    | \.?\d(?:[eEpP][+-]|'(?=\w)|[\w.])*
    | <=> | <<= | >>= | ->\* | \.\.\. | :: | -> | \+\+ | -- | << | >> | <= | >= | == | != | && | \|\|
    | [-+*/%&|^]=
    | \S
    """,
    re.X | re.S | re.M,
)


class Source:
    """A file as text and tokens; positions are offsets, and all text is ASCII."""

    def __init__(self, path):
        self.path = path
        self.text = path.read_text(encoding="ascii")
        self.tokens = [(m.start(), m.end()) for m in TOKEN.finditer(self.text) if m["skip"] is None]
        self._starts = [start for start, _ in self.tokens]
        self._ends = [end for _, end in self.tokens]

    def between(self, start, end):
        """The tokens from start to end as (start, end, text)."""
        first = bisect.bisect_left(self._starts, start)
        last = bisect.bisect_right(self._ends, end)
        return [(s, e, self.text[s:e]) for s, e in self.tokens[first:last]]

    def before(self, start):
        """The text of the token before a position."""
        at = bisect.bisect_left(self._starts, start) - 1
        return self.text[slice(*self.tokens[at])] if at >= 0 else ""

    def normal(self, start, end, swaps=()):
        """The text on one line, without comments; swaps: [(start, end, new text)] of tokens."""
        swaps = {s: new for s, _, new in swaps}
        parts, previous = [], None
        for s, e, text in self.between(start, end):
            if previous is not None and s > previous[0] and previous[1] not in "([" and text not in ")]":
                parts.append(" ")
            parts.append(swaps.get(s, text))
            previous = (e, text)
        return "".join(parts)

    def line(self, position):
        return self.text.count("\n", 0, position) + 1
