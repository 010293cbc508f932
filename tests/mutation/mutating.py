"""Every small wrong that can be made in a file: what a slip of the hand, or of a review, would leave."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.mutation.assembly import in_assembly
from tests.mutation.easing import span
from tests.mutation.edits import Edit
from tests.mutation.sources import Node, Source, walk

Found = Iterator[tuple[str, Edit]]
"""(operator, edit)"""

_BINARY: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "<": ("comparison", ("<=", ">=")),
    "<=": ("comparison", ("<", ">")),
    ">": ("comparison", (">=", "<=")),
    ">=": ("comparison", (">", "<")),
    "==": ("comparison", ("!=",)),
    "!=": ("comparison", ("==",)),
    "+": ("arithmetic", ("-",)),
    "-": ("arithmetic", ("+",)),
    "*": ("arithmetic", ("/",)),
    "/": ("arithmetic", ("*",)),
    "%": ("arithmetic", ("/",)),
    "&&": ("logic", ("||",)),
    "||": ("logic", ("&&",)),
    "&": ("bits", ("|",)),
    "|": ("bits", ("&",)),
    "^": ("bits", ("|",)),
    "<<": ("shift", (">>",)),
    ">>": ("shift", ("<<",)),
}
_ASSIGNING: Final = {"+=": ("-=", "="), "-=": ("+=", "="), "|=": ("&=", "="), "*=": ("/=",), ">>=": ("<<=",)}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    operator: str
    edit: Edit


def mutants(source: Source, declarations: dict[int, Node]) -> list[Mutant]:
    """All of a file, in the order of their places."""
    found: dict[Edit, str] = {}
    for contract in source.tree["nodes"]:
        for node in walk(contract):
            rule = _RULES.get(node["nodeType"])
            for operator, edit in rule(node, source, declarations) if rule else ():
                if source.text[edit.start : edit.end].decode() != edit.text:
                    found.setdefault(edit, operator)
    found |= {edit: operator for operator, edit in _identifiers(source)}
    ordered = sorted(found, key=lambda edit: (edit.start, edit.end, edit.text))
    return [Mutant(source.name, source.line_of(edit.start), found[edit], edit) for edit in ordered]


def _text(source: Source, node: Node) -> str:
    start, end = span(node)
    return source.text[start:end].decode()


def _whole(node: Node, text: str) -> Edit:
    return Edit(*span(node), text)


def _binary(node: Node, source: Source, _: Any) -> Found:
    left, right = span(node["leftExpression"]), span(node["rightExpression"])
    between = source.text[left[1] : right[0]].decode()
    # A parenthesis may close or open around it; a comment never stands there in these sources.
    at = left[1] + between.index(node["operator"])
    operator, others = _BINARY.get(node["operator"], ("", ()))
    for other in others:
        yield operator, Edit(at, at + len(node["operator"]), other)
    if operator == "logic":
        yield "operand", _whole(node, _text(source, node["leftExpression"]))
        yield "operand", _whole(node, _text(source, node["rightExpression"]))


def _unary(node: Node, source: Source, _: Any) -> Found:
    inner, operator = _text(source, node["subExpression"]), node["operator"]
    if operator in ("++", "--"):
        yield "arithmetic", _whole(node, _text(source, node).replace(operator, {"++": "--", "--": "++"}[operator]))
    elif operator == "!":
        yield "negation", _whole(node, inner)
    elif operator == "~":
        yield "bits", _whole(node, inner)


def _assignment(node: Node, source: Source, _: Any) -> Found:
    left, right = span(node["leftHandSide"]), span(node["rightHandSide"])
    operator = node["operator"]
    at = left[1] + source.text[left[1] : right[0]].decode().index(operator)
    for other in _ASSIGNING.get(operator, ()):
        yield "assignment", Edit(at, at + len(operator), other)


def _literal(node: Node, source: Source, _: Any) -> Found:
    text = _text(source, node)
    if node["kind"] == "bool":
        yield "constant", _whole(node, "false" if text == "true" else "true")
    elif node["kind"] == "number":
        number = re.match(r"\S+", text)
        assert number is not None
        start = span(node)[0]
        for other in (f"({number[0]} + 1)" if number[0] != "0" else "1", "0"):
            if node.get("subdenomination") and "(" in other:
                other = str(int(number[0]) + 1)  # noqa: PLW2901
            yield "constant", Edit(start, start + len(number[0]), other)
    elif node["kind"] == "string":
        yield "constant", Edit(span(node)[1] - 1, span(node)[1], f"x{text[-1]}")


def _condition(node: Node, source: Source, _: Any) -> Found:
    for value in ("true", "false"):
        yield "condition", _whole(node["condition"], value)


def _loop(node: Node, source: Source, _: Any) -> Found:
    if node["condition"]:
        yield "condition", _whole(node["condition"], "false")


def _statement(node: Node, source: Source, _: Any) -> Found:
    start, end = span(node)
    end += source.text[end : end + 1] == b";"
    call = node.get("expression", {})
    guard = call.get("nodeType") == "FunctionCall" and call["expression"].get("name") in ("require", "revert")
    yield "check removed" if guard else "statement removed", Edit(start, end, "{}")


def _return(node: Node, source: Source, _: Any) -> Found:
    value = node.get("expression")
    if not value or value["nodeType"] == "TupleExpression":
        return
    kind = value["typeDescriptions"]["typeString"]
    if kind == "bool":
        for other in (f"!({_text(source, value)})", "true", "false"):
            yield "return", _whole(value, other)
    elif re.match(r"u?int\d|bytes32", kind):
        yield "return", _whole(value, "0")


def _skipping(node: Node, source: Source, _: Any) -> Found:
    yield "flow", _whole(node, {"Continue": "break", "Break": "continue"}[node["nodeType"]])


def _function(node: Node, source: Source, _: Any) -> Found:
    if node["kind"] != "constructor":
        for modifier in node["modifiers"]:
            yield "modifier removed", _whole(modifier, "")


def _member(node: Node, source: Source, declarations: dict[int, Node]) -> Found:
    """Another member of the same struct with the same type, or another value of the enum."""
    declared = declarations.get(node.get("referencedDeclaration") or -1)
    if not declared:
        return
    end = span(node)[1]
    place = Edit(end - len(node["memberName"]), end, "")
    for parent in declarations.values():
        if parent["nodeType"] == "EnumDefinition" and declared in parent["members"]:
            others = [member["name"] for member in parent["members"] if member is not declared]
            yield from (("value", Edit(place.start, place.end, other)) for other in others)
        elif parent["nodeType"] == "StructDefinition" and declared in parent["members"]:
            for other in parent["members"]:
                if other is not declared and _type(other) == _type(declared):
                    yield "member", Edit(place.start, place.end, other["name"])


def _type(node: Node) -> str:
    return str(node["typeDescriptions"]["typeString"])


def _identifiers(source: Source) -> Found:
    """Another parameter or local of the function with the same type. Out of scope it does not compile."""
    for function in walk(source.tree):
        if function["nodeType"] != "FunctionDefinition" or not function.get("body"):
            continue
        owned = {node["id"]: node for node in walk(function) if node["nodeType"] == "VariableDeclaration"}
        for node in walk(function["body"]):
            declared = owned.get(node.get("referencedDeclaration") or -1)
            if node["nodeType"] != "Identifier" or declared is None:
                continue
            for other in owned.values():
                if other is not declared and other["name"] and _type(other) == _type(declared):
                    yield "variable", _whole(node, other["name"])


_RULES: Final[dict[str, Callable[[Node, Source, dict[int, Node]], Found]]] = {
    "BinaryOperation": _binary,
    "UnaryOperation": _unary,
    "Assignment": _assignment,
    "Literal": _literal,
    "IfStatement": _condition,
    "Conditional": _condition,
    "ForStatement": _loop,
    "WhileStatement": _loop,
    "ExpressionStatement": _statement,
    "EmitStatement": _statement,
    "Return": _return,
    "Continue": _skipping,
    "Break": _skipping,
    "FunctionDefinition": _function,
    "MemberAccess": _member,
    "YulFunctionCall": in_assembly,
    "YulLiteral": in_assembly,
    "YulExpressionStatement": in_assembly,
}
