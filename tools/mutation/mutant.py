"""What a mutant is, and what may become of an operator or a number."""

import dataclasses
import re

# A comparison gets a neighbouring bound and its opposite.
BINARY = {
    "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
    "==": ("!=",), "!=": ("==",), "&&": ("||",), "||": ("&&",),
    "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("/",),
    "&": ("|",), "|": ("&",), "<<": (">>",), ">>": ("<<",),
    "+=": ("-=",), "-=": ("+=",), "|=": ("&=",), "&=": ("|=",),
}  # fmt: skip
COMPARISONS = {"<", "<=", ">", ">=", "==", "!="}
CALLS = {"std::min": "std::max", "std::max": "std::min",
         "std::cmp_less": "std::cmp_less_equal", "std::cmp_less_equal": "std::cmp_less"}  # fmt: skip

STATEMENT = "{};"  # the wrap of a site whose one mutant leaves it out

NUMBER = re.compile(r"(0[xX][0-9a-fA-F']+|[0-9']+)([uUlLzZ]*)$")


def neighbours(literal):
    """What may stand for an integer: one more and one less, but nothing below zero."""
    match = NUMBER.match(literal)
    if not match:
        return []
    value = int(match[1].replace("'", ""), 0)
    return [f"{new}{match[2]}" for new in ([1] if value == 0 else [value + 1, value - 1])]


@dataclasses.dataclass
class Mutant:
    file: str  # as it is included
    function: str
    line: int
    before: str
    after: str
    code: str = dataclasses.field(repr=False)  # what is compiled in its place
    number: int = 0
    ordinal: int = 1

    @property
    def room(self):
        return self.file.split("/")[1]

    @property
    def id(self):
        again = f" #{self.ordinal}" if self.ordinal > 1 else ""
        short = self.file.split("/", 1)[1]
        return f"{short} | {self.function} | {self.before} => {self.after or 'nothing'}{again}"


@dataclasses.dataclass
class Site:
    """A piece of text and the mutants that stand in for it."""

    start: int
    end: int
    wrap: str  # how the original is written beside them: "({})", or STATEMENT
    mutants: list
