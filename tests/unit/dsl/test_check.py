"""What is refused at load, in which words and at which place: a table from source to exact text."""

import pytest

from gateway.dsl.compile import ConditionError, Conditions, check_condition, check_lets

COMPARE = "cannot compare these: the left is"
DEEP = "the condition is nested too deep, its lets included, or has too many + - * / in a row: 32 levels are the most"

REFUSED = [
    # names
    ('request.modle == "a"', '1:1: unknown variable "request.modle"; did you mean request.model?'),
    ('model == "a"', '1:1: unknown variable "model"; did you mean request.model?'),
    ("true &&\n  tools > 1", '2:3: unknown variable "tools"; did you mean request.tools?'),
    ("request.has_temprature", '1:1: unknown variable "request.has_temprature"; did you mean request.has_temperature?'),
    ("tenant == 'a' and true", '1:15: unknown word "and": write &&'),
    ("request.stream == True", '1:19: unknown word "True": write true'),
    ("request.model.foo == 1", '1:15: nothing here has a part called "foo"'),
    ("tier == simple", '1:1: "tier" is known only after classification: a condition cannot use it'),
    ("simple", '1:1: "simple" is a tier, which is known only after classification: a condition cannot use it'),
    ("now", '1:1: "now" has no value of its own: read one of now.hour, now.weekday'),
    # types
    ("request.model > 3", f'1:15: ">" {COMPARE} a string, the right is a whole number'),
    ("request.stream == 1", f'1:16: "==" {COMPARE} true or false, the right is a whole number'),
    ("'0.5' < request.temperature", f'1:7: "<" {COMPARE} a string, the right is a decimal number'),
    ("1 <= request.tokens <= 3", f'1:21: "<=" {COMPARE} true or false, the right is a whole number'),
    ("null == tenant", f'1:6: "==" {COMPARE} null, the right is a string'),
    ("[1] == [1]", f'1:5: "==" {COMPARE} a list of whole numbers, the right is a list of whole numbers'),
    ("tenant && true", '1:8: "&&" needs true or false on both sides: the left is a string, the right is true or false'),
    ("tenant + 'a' == 'b'", '1:8: "+" needs numbers on both sides: the left is a string, the right is a string'),
    (
        "request.temperature % 2 == 0",
        '1:21: "%" needs whole numbers on both sides: the left is a decimal number, the right is a whole number',
    ),
    ("!tenant", '1:1: "!" needs true or false behind it, not a string'),
    ("-tenant == 3", '1:1: "-" needs a number behind it, not a string'),
    (
        "tenant in [1]",
        '1:8: "in" needs a value and a list of such values: the left is a string, the right is a list of whole numbers',
    ),
    ("tenant[0] == 'a'", "1:7: a string has no parts to read with a whole number"),
    (
        "(request.stream ? 1 : 2.5) > 2",
        '1:17: "? :" needs true or false, then two values of one type: it has true or false, a whole number, a decimal number',
    ),
    ("request.model", "1:1: the condition must be true or false, and this is a string: compare it with something"),
    (
        "tenant.size()",
        "1:1: the condition must be true or false, and this is a whole number: compare it with something",
    ),
    ("tenant.split(',')", "1:1: the condition must be true or false, and this is a list: compare it with something"),
    # functions
    ("tenant.startWith('a')", '1:8: unknown function "startWith"; did you mean startsWith?'),
    ("foo(tenant)", '1:1: unknown function "foo"; known are double, int, size, string'),
    (
        "tenant.startsWith(3)",
        '1:18: startsWith() does not take a string and a whole number, as in: request.model.startsWith("gpt-")',
    ),
    ("tenant.startsWith()", '1:18: startsWith() takes other arguments, as in: request.model.startsWith("gpt-")'),
    ("contains(tenant, 'a')", '1:1: contains() is a method of its value: headers["user-agent"].contains("python")'),
    ("tenant.replace('a', 'b') == ''", '1:8: unknown function "replace"; known are'),
    ("dyn(tenant) == 3", '1:1: unknown function "dyn"; known are'),
    (
        "has(headers.team)",
        '1:1: has() is not needed: every variable has a value; use request.has_… or compare with ""',
    ),
    ("tenant.matches('(')", "1:16: this is not an RE2 expression: missing ): ("),
    ("tenant.matches('(a{1000}){1000}')", "1:16: this is not an RE2 expression: invalid repetition size: {1000}"),
    ("tenant.matches(request.model)", "1:8: the expression of matches() must be a literal: headers"),
    ("['a'].exists(x, ['b'].all(y, y == x))", "1:23: all() cannot stand inside exists(), all() or exists_one()"),
    (
        "['a'].exists(x, 'b' in x.split(','))",
        "1:26: split() cannot stand inside exists(), all() or exists_one()",
    ),
    ("['a'].exists(tenant, true)", '1:14: "tenant" is the name of a variable: choose another'),
    ("['a'].exists(x)", "1:7: exists() takes a name for the element and a condition: ["),
    ("tenant.exists(x, x == 'a')", "1:1: only a list can be iterated over, and this is a string"),
    # headers and labels
    (
        'headers[tenant] == ""',
        '1:1: headers are read one by one, by a literal name: headers["team"] or headers.team',
    ),
    ("size(labels) > 1", "1:6: labels are read one by one, by a literal name: labels"),
    (
        "'a' in headers",
        '1:8: "in headers" does not work: to ask whether one is there, compare it with "": headers["team"] != ""',
    ),
    ('headers["a b"] == ""', '1:9: "a b" cannot be the name of a header'),
    ('headers["\\x41"] == ""', "1:9: the name of a header is written plainly, without escapes"),
    (
        'headers.authorization == "Bearer x"',
        '1:9: the header "authorization" holds the client\'s key, which conditions do not see: use tenant or labels',
    ),
    ('headers["X-Api-Key"] == "x"', '1:9: the header "x-api-key" holds the client\'s key'),
    # syntax
    ("", "1:1: the condition is empty: leave it out if it is always to hold"),
    ("  // nothing", "1:1: the condition is empty: leave it out if it is always to hold"),
    ("tenant = 'a'", '1:8: unexpected "=": write "==" to compare'),
    ("tenant == 'a' & true", '1:15: unexpected "&": write "&&" for and'),
    ("tenant == 'a' | true", '1:15: unexpected "|": write "||" for or'),
    ("request.tokens > 10k", '1:18: unexpected "k" behind 10: numbers in conditions have no units (10k is 10000)'),
    ("request.tokens > 1u", '1:18: unexpected "u" behind 1: numbers in conditions have no units'),
    ("request.tokens > 99999999999999999999", "1:18: this number is too large"),
    ("request.tokens >", "1:17: the condition ends too early"),
    ("request.tokens >  // really\n ", "1:28: the condition ends too early"),
    ("(tenant == 'a'", "1:15: missing ')'"),
    ("tenant == 'a')", "1:14: unexpected )"),
    ("tenant == 'abc", "1:11: a string that begins here has no closing quotation mark"),
    (
        r"tenant.matches('\d')",
        r'1:17: unknown escape \d: write r"…" for a string in which a backslash is a backslash',
    ),
    ("tenant == b'a'", "1:11: unexpected b before a quotation mark: strings are written '…'"),
    ("tenant == {}", '1:11: unexpected "{": conditions have no maps'),
    (". tenant == 'a'", '1:1: unexpected "." before tenant'),
    ("tenant == 'a' ; true", '1:15: unexpected ";"'),
    ("'🙂é' == tenant && x", '1:19: unknown variable "x"; known are'),
    # bounds
    ("(" * 40 + "true" + ")" * 40, f"1:1: {DEEP}"),
    ("1" + " + 1" * 50 + " > 1", f"1:1: {DEEP}"),
    ("true || " * 600 + "true", "1:1: the condition is too long: 4804 characters of at most 4096"),
]


@pytest.mark.parametrize(("source", "error"), REFUSED, ids=[source[:30] for source, _ in REFUSED])
def test_refused_with_place_and_cure(source: str, error: str) -> None:
    with pytest.raises(ConditionError) as caught:
        check_condition(source, {})
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize(
    "source",
    [
        'request.model == "request.modle && headers"',  # names inside strings are text
        'request.model == "it\'s" // tier, model, ( and "',
        r'tenant.matches(r"^\d+$")',
        'tenant == """a "quoted" name"""',
        "tenant == '\\x41\\u00e9\\n\\101'",
        "request . tokens\n> 3",
        "!!request.stream && -request.tokens < -(5)",
        "request.tokens > 0x10",
        "(request.stream ? 1 : 2) > 1",
        " || ".join(["tenant == 'a'"] * 200),
        "(" * 20 + "true" + ")" * 20,
    ],
)
def test_accepted(source: str) -> None:
    check_condition(source, {})


def test_error_about_a_let_that_is_fine_stands_in_the_condition() -> None:
    with pytest.raises(ConditionError) as caught:
        check_condition("big &&\n tenant == 3", {"big": "request.tokens > 3 && request.tools > 0"})
    assert (caught.value.line, caught.value.column) == (2, 9)


def test_broken_let_is_reported_once_and_not_at_its_uses() -> None:
    lets = {"big": "request.tokns > 3", "agentic": "big || request.tools > 0"}
    assert [(name, str(error)) for name, error in check_lets(lets)] == [
        ("big", '1:1: unknown variable "request.tokns"; did you mean request.tokens?')
    ]
    check_condition("big && agentic", lets)
    with pytest.raises(ConditionError, match="the left is a string"):
        check_condition("big && tenant == 3", lets)


def test_misspelt_let_is_recognised() -> None:
    with pytest.raises(ConditionError) as caught:
        check_condition("agnetic", {"agentic": "request.tools > 0"})
    assert caught.value.message == 'unknown variable "agnetic"; did you mean agentic?'


ABOVE = "is not defined above this one: a let can only use those above it"


@pytest.mark.parametrize(
    ("lets", "errors"),
    [
        ({"a": "b", "b": "a"}, [("a", f'1:1: the let "b" {ABOVE}')]),
        ({"a": "true || a"}, [("a", f'1:9: the let "a" {ABOVE}')]),
        ({"request": "true"}, [("request", '1:1: "request" is the name of a variable: choose another')]),
        ({"complex": "true"}, [("complex", '1:1: "complex" is the name of a variable: choose another')]),
        ({"size": "true"}, [("size", '1:1: "size" is the name of a function: choose another')]),
        ({"in": "true"}, [("in", '1:1: "in" is a reserved word: choose another')]),
        ({"while": "true"}, [("while", '1:1: "while" is a reserved word: choose another')]),
        ({"x-y": "true"}, [("x-y", '1:1: "x-y" cannot be a name in a condition: use letters, digits and "_", not')]),
        ({"a": "true) || (true"}, [("a", "1:5: unexpected )")]),
        ({"cap": "1000"}, [("cap", "1:1: the condition must be true or false, and this is a whole number")]),
        ({"a": "tenant == 'x' // )", "b": "a && true"}, []),
    ],
)
def test_lets_are_checked_in_order(lets: dict[str, str], errors: list[tuple[str, str]]) -> None:
    found = [(name, str(error)) for name, error in check_lets(lets)]
    assert [name for name, _ in found] == [name for name, _ in errors]
    assert all(text.startswith(start) for (_, text), (_, start) in zip(found, errors, strict=True))


def test_lets_that_double_each_other_are_bounded() -> None:
    lets = {"l0": "request.tokens > 3"} | {f"l{i}": f"l{i - 1} || l{i - 1}" for i in range(1, 60)}
    errors = check_lets(lets)
    assert "too long with its lets inserted" in errors[0][1].message


def test_macro_in_a_let_cannot_go_into_another_macro() -> None:
    lets = {"listed": "['a'].exists(x, x == tenant)"}
    with pytest.raises(ConditionError) as caught:
        check_condition("['b'].all(y, listed)", lets)
    assert caught.value.message.startswith('"listed" iterates over a list itself')
    check_condition("['b'].all(y, y != tenant) && listed", lets)


def test_compile_refuses_while_any_let_is_broken() -> None:
    conditions = Conditions({"big": "request.tokns > 3"})
    conditions.check("big")
    with pytest.raises(ConditionError, match='let "big": unknown variable'):
        conditions.compile("true")
