"""Finds what can be mutated: walks the headers' syntax tree as libclang sees it.

libclang tells the extent of each expression, in templates, too; which operator it is, the tokens
tell. Only what is evaluated when the program runs is mutated.
"""

from clang import cindex

from mutation.mutant import BINARY, CALLS, COMPARISONS, STATEMENT, Mutant, Site, neighbours
from mutation.source import Source

K = cindex.CursorKind
CONCEPTS = 153, 154, 604  # concept<T>, requires {}, concept: the binding of clang 16 has no name for these
for number in CONCEPTS:
    try:
        K.from_id(number)
    except ValueError:
        K(number)

FUNCTIONS = {K.CXX_METHOD, K.FUNCTION_DECL, K.CONSTRUCTOR, K.DESTRUCTOR, K.CONVERSION_FUNCTION,
             K.FUNCTION_TEMPLATE}  # fmt: skip
SCOPES = {K.NAMESPACE, K.CLASS_DECL, K.STRUCT_DECL, K.UNION_DECL, K.CLASS_TEMPLATE,
          K.CLASS_TEMPLATE_PARTIAL_SPECIALIZATION, K.FRIEND_DECL, K.LINKAGE_SPEC}  # fmt: skip
NOT_EVALUATED = {K.STATIC_ASSERT, K.CXX_TYPEID_EXPR, K.CXX_UNARY_EXPR, K.ENUM_DECL, K.TYPE_ALIAS_DECL,
                 K.TYPEDEF_DECL, K.DECL_REF_EXPR, K.CASE_STMT, K.TYPE_REF, K.TEMPLATE_REF,
                 K.CXX_THROW_EXPR, *map(K.from_id, CONCEPTS)}  # fmt: skip
WRAPPERS = {K.UNEXPOSED_EXPR}


class Finder:
    def __init__(self, source, name):
        self.source = source
        self.name = name
        self.sites = {}
        self.function = ""
        self.counts = {}

    # --- declarations

    def declaration(self, cursor):
        if cursor.kind in FUNCTIONS:
            self.function_body(cursor)
        elif cursor.kind in (K.VAR_DECL, K.FIELD_DECL, K.PARM_DECL):
            self.variable(cursor)
        elif cursor.kind in SCOPES:
            outer = self.function
            if cursor.kind not in (K.NAMESPACE, K.FRIEND_DECL):
                self.function = qualified_name(cursor)
            for child in cursor.get_children():
                self.declaration(child)
            self.function = outer

    def function_body(self, cursor):
        if not self.is_here(cursor):
            return
        outer, self.function = self.function, qualified_name(cursor)
        start = self.extent(cursor)[0]
        consteval = "consteval" in [text for _, _, text in self.source.between(start, cursor.location.offset)]
        initialises = False  # the children since the first member named in a constructor's list
        for child in cursor.get_children() if not consteval else ():
            initialises = initialises or child.kind == K.MEMBER_REF
            if child.kind == K.PARM_DECL:
                self.variable(child)
            elif child.kind == K.COMPOUND_STMT or (initialises and child.kind.is_expression()):
                self.visit(child)
        self.function = outer

    def variable(self, cursor):
        """Only the initialiser, which follows the name; none of a constant expression."""
        name = cursor.location.offset
        start, _ = self.extent(cursor)
        specifiers = {text for _, _, text in self.source.between(start, name)}
        if not self.is_here(cursor) or specifiers & {"constexpr", "constinit"}:
            return
        for child in cursor.get_children():
            if child.extent.start.offset > name and self.source.before(child.extent.start.offset) != "[":
                self.visit(child)

    # --- statements and expressions

    def visit(self, cursor, role=""):
        """role: 'statement' of what stands alone."""
        kind = cursor.kind
        if kind in NOT_EVALUATED or not self.is_here(cursor):
            return
        if kind in FUNCTIONS or kind in SCOPES or kind in (K.VAR_DECL, K.PARM_DECL):
            self.declaration(cursor)
            return
        children = list(cursor.get_children())
        inner = ""
        if kind in WRAPPERS:
            inner = role
        elif kind in (K.COMPOUND_STMT, K.FOR_STMT, K.CXX_FOR_RANGE_STMT, K.WHILE_STMT, K.DO_STMT, K.CXX_CATCH_STMT):
            inner = "statement"
        elif kind == K.IF_STMT:
            self.if_statement(cursor, children)
            return
        elif kind == K.CONDITIONAL_OPERATOR:
            self.condition(children[0])
        elif kind in (K.BINARY_OPERATOR, K.COMPOUND_ASSIGNMENT_OPERATOR):
            self.binary(cursor, children)
        elif kind == K.UNARY_OPERATOR:
            self.unary(cursor, children)
        elif kind == K.CALL_EXPR:
            self.call(cursor, children, role)
            if cursor.spelling.startswith("__builtin_"):
                return  # these take constants
        elif kind == K.INTEGER_LITERAL:
            self.integer(cursor)
        elif kind == K.CXX_BOOL_LITERAL_EXPR:
            self.boolean(cursor)
        elif kind in (K.CXX_STATIC_CAST_EXPR, K.CXX_REINTERPRET_CAST_EXPR):
            children = children[-1:]
        elif kind == K.MEMBER_REF_EXPR:
            # Of `a.f<1>` only `a`.
            children = [c for c in children if c.extent.end.offset < cursor.location.offset]
        for child in children:
            self.visit(child, inner)

    def if_statement(self, cursor, children):
        start, end = self.extent(cursor)
        is_constexpr = self.source.between(start, end)[1][2] == "constexpr"
        declares = any(c.kind in (K.DECL_STMT, K.VAR_DECL) for c in children[:2])
        if not is_constexpr and not declares:
            self.condition(children[0])
        for child in children[1:] if is_constexpr else children:
            self.visit(child, "statement")

    def condition(self, cursor):
        start, end = self.extent(cursor)
        text = self.source.normal(start, end)
        if text in ("true", "false"):
            return
        self.add(start, end, "static_cast<bool>({})", [("true", "true"), ("false", "false")], level=1,
                 shown=lambda code: (f"if ({text})", f"if ({code})"))  # fmt: skip

    def binary(self, cursor, children):
        operands = [c for c in children if c.kind.is_expression()]
        if len(operands) < 2:
            return
        (start, left_end), (right_start, end) = self.extent(operands[0]), self.extent(operands[-1])
        operator = self.source.between(left_end, right_start)
        if len(operator) != 1 or operator[0][2] not in BINARY or self.is_hopeless(operator[0][2], operands):
            return
        left = self.source.normal(start, left_end)
        right = self.source.normal(right_start, end)
        news = BINARY[operator[0][2]]
        if self.is_condition(start, end) and operator[0][2] in COMPARISONS:
            news = news[:-1]  # its opposite says no more than true and false
        at, to, _ = operator[0]
        self.add(start, end, "({})", [(new, f"({left}) {new} ({right})") for new in news],
                 shown=lambda new: (self.source.normal(start, end), self.source.normal(start, end, [(at, to, new)])))  # fmt: skip

    def is_hopeless(self, operator, operands):
        """Tells of operands that would not compile with the other operator."""
        left, right = (o.type.spelling for o in (operands[0], operands[-1]))
        if operator in ("+", "+="):
            return any("char" in t or "string" in t for t in (left, right))
        if operator in ("<<", ">>"):
            return "stream" in left
        if operator == "-":
            return ("time_point" in left and "time_point" in right) or (left.endswith("*") and right.endswith("*"))
        return False

    def is_condition(self, start, end):
        return (start, -end, -1) in self.sites

    def unary(self, cursor, children):
        start, end = self.extent(cursor)
        operand = self.extent(children[0])
        operator = self.source.between(start, end)[0][2]
        text = self.source.normal(start, end)
        if operator in "!-" and not (operator == "!" and self.is_condition(start, end)):
            wrap = "static_cast<bool>({})" if operator == "!" else "({})"
            code = wrap.format(self.source.normal(*operand))
            self.add(start, end, wrap, [(text[1:], code)], shown=lambda new: (text, new))
        elif "++" in text or "--" in text:
            new = text.translate(str.maketrans("+-", "-+"))
            if len(new.strip("+-")) == len(text) - 2:
                self.add(start, end, "({})", [(new, new)], shown=lambda new: (text, new))

    def call(self, cursor, children, role):
        start, end = self.extent(cursor)
        if cursor.spelling.startswith("operator") and len(children) > 1:
            self.binary(cursor, [children[0], children[-1]])
        text = self.source.normal(start, end)
        name = text.split("(")[0]
        if name in CALLS:
            at = self.source.between(start, end)[2]
            new = CALLS[name]
            code = new + text[len(name):]
            self.add(start, end, "({})", [(code, code)], shown=lambda code: (text, code))
        after = self.source.between(end, end + 80)
        is_call = text.endswith(")") and not cursor.spelling.startswith("operator") and "co_await" not in text
        if role == "statement" and is_call and after and after[0][2] == ";":
            self.add(start, end, STATEMENT, [("", "")], level=2, shown=lambda _: (text + ";", ""))  # fmt: skip

    def integer(self, cursor):
        start, end = self.extent(cursor)
        line = self.surroundings(start)
        self.add(start, end, "{}", [(new, new) for new in neighbours(self.source.text[start:end])],
                 shown=lambda new: (line(None), line((start, end, new))))  # fmt: skip

    def boolean(self, cursor):
        start, end = self.extent(cursor)
        new = "false" if self.source.text[start:end] == "true" else "true"
        line = self.surroundings(start)
        self.add(start, end, "{}", [(new, new)], shown=lambda new: (line(None), line((start, end, new))))

    # --- small things

    def surroundings(self, position):
        """A literal is shown with the statement it is in, or a part of it."""
        tokens = self.source.between(0, len(self.source.text))
        at = next(i for i, token in enumerate(tokens) if token[0] == position)

        def ends_line(i):
            brace = tokens[i][2] in "{}" and "\n" in self.source.text[tokens[i][1] : tokens[i + 1][0]]
            return brace or tokens[i][2] == ";"

        first = last = at
        while first > at - 12 and not ends_line(first - 1):
            first -= 1
        while last < at + 8 and not ends_line(last + 1):
            last += 1
        start, end = tokens[first][0], tokens[last][1]
        return lambda swap: self.source.normal(start, end, [swap] if swap else [])

    def add(self, start, end, wrap, changes, shown, level=0):
        key = (start, -end, -level)
        if key in self.sites:
            return
        site = self.sites[key] = Site(start, end, wrap, [])
        for new, code in changes:
            before, after = shown(new)
            mutant = Mutant(self.name, self.function, self.source.line(start), before, after, code)
            mutant.ordinal = self.counts[mutant.id] = self.counts.get(mutant.id, 0) + 1
            site.mutants.append(mutant)

    def is_here(self, cursor):
        extent = cursor.extent
        return (extent.start.file is not None and extent.start.file.name == str(self.source.path)
                and extent.start.offset < extent.end.offset)  # fmt: skip

    def extent(self, cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset


def qualified_name(cursor):
    parts = [cursor.spelling.split("<")[0] if not cursor.spelling.startswith("operator") else cursor.spelling]
    scope = cursor.semantic_parent
    while scope is not None and scope.kind in SCOPES - {K.NAMESPACE, K.LINKAGE_SPEC}:
        parts.append(scope.spelling)
        scope = scope.semantic_parent
    return "::".join(reversed(parts))


def find(include, headers, rooms):
    """Parses all headers at once; gives {header: (Source, [Site])} of those in the rooms."""
    main = "".join(f"#include <{header}>\n" for header in headers)
    unit = cindex.Index.create().parse(
        "all.cpp", args=["-std=c++20", "-pthread", f"-I{include}"], unsaved_files=[("all.cpp", main)]
    )
    for diagnostic in unit.diagnostics:
        if diagnostic.severity >= cindex.Diagnostic.Error:
            raise SystemExit(f"the headers do not parse: {diagnostic}")
    wanted = {str(include / h): h for h in headers if h.split("/")[1] in rooms}
    finders = {name: Finder(Source(include / header), header) for name, header in wanted.items()}
    for cursor in unit.cursor.get_children():
        file = cursor.location.file
        if file is not None and file.name in finders:
            finders[file.name].declaration(cursor)
    found, number = {}, 0
    for finder in finders.values():
        sites = [finder.sites[key] for key in sorted(finder.sites)]
        for site in sites:
            for mutant in site.mutants:
                number += 1
                mutant.number = number
        found[finder.name] = (finder.source, sites)
    return found
