"""Compiles conditions at load and evaluates them per request. The only file that knows the CEL runtime.

CEL checks types at load. Two of its rules are relaxed here, because YAML does not tell kinds of numbers apart: whole numbers and
fractions may be compared with each other (CEL's runtime does that exactly) and mixed in arithmetic (implemented here).
At run time CEL returns errors as values; each counts as false.

A `Conditions` belongs to one snapshot. A reload makes a new one in the compile thread and shares nothing with the old one.
"""

import json
import logging
import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Final

from cel_expr_python import cel
from cel_expr_python.ext.ext_strings import ExtStrings

from gateway.core.chat import ChatRequest
from gateway.dsl.errors import ConditionError, error_at
from gateway.dsl.expand import Expanded, expand
from gateway.dsl.explain import explain, type_name
from gateway.dsl.names import invalid_name_reason
from gateway.dsl.variables import VARIABLES, Facts, text

log = logging.getLogger(__name__)

Read = Callable[[Facts], object]

RESULTS_KEPT: Final = 1000  # of one condition; clients choose the values that it reads, so their number is unbounded

__all__ = ["Condition", "ConditionError", "Conditions", "Scope", "check_condition", "check_lets"]


def check_lets(lets: Mapping[str, str]) -> list[tuple[str, ConditionError]]:
    """Return every error of the named conditions, in their order. An error of the name itself is at 1:1."""
    return list(Conditions(lets).let_errors)


def check_condition(source: str, lets: Mapping[str, str]) -> None:
    """Raise ConditionError if `source` is invalid. An invalid let that `source` uses is not reported here.

    To check many conditions make one `Conditions` and call its `check`.
    """
    Conditions(lets).check(source)


class Scope:
    """The values of one request for all conditions of one `Conditions`. A value is read only when a condition needs it."""

    __slots__ = ("_activation", "_conditions", "facts")

    def __init__(self, conditions: "Conditions", facts: Facts) -> None:
        self._conditions = conditions
        self.facts = facts
        self._activation: cel.Activation | None = None

    @property
    def activation(self) -> cel.Activation:
        """The values in CEL's form, built once."""
        if self._activation is None:
            self._activation = self._conditions.activate(self.facts)
        return self._activation


class Condition:
    """One compiled condition. `errors` counts the evaluations that failed.

    Results are cached by the values that the condition reads, since most requests have the same few values.
    """

    __slots__ = ("_program", "_reads", "_results", "errors", "source")

    def __init__(self, source: str, program: cel.Expression, reads: Sequence[Read]) -> None:
        self.source = source
        self.errors = 0
        self._program = program
        self._reads = reads
        self._results: dict[tuple[object, ...], bool] = {}

    def holds(self, scope: Scope) -> bool:
        """Whether the condition is true for this request. An error counts as false; it is counted, and logged the first time."""
        facts = scope.facts
        values = tuple([read(facts) for read in self._reads])
        cached = self._results.get(values)
        if cached is not None:
            return cached
        result = self._program.eval(scope.activation).value()
        if result is True or result is False:
            if len(self._results) >= RESULTS_KEPT:
                self._results.clear()
            self._results[values] = result
            return result
        self.errors += 1
        if self.errors == 1:
            # The reason may quote a client's text: only the kind of error is logged.
            reason = str(result).partition(":")[0]
            log.warning("condition failed and counts as false", extra={"condition": self.source, "reason": reason})
        return False


class Conditions:
    """The conditions of one configuration. They share the lets and the values that they read of a request.

    `let_errors` holds the errors of the lets. With any of these, conditions can be checked but not compiled.
    """

    def __init__(self, lets: Mapping[str, str]) -> None:
        self._env = _environment()
        self._variables: dict[str, None] = {}  # names in the order of their first use
        self._headers: set[str] = set()
        self._labels: set[str] = set()
        self._compiled: list[Condition] = []
        self._lets: dict[str, Expanded] = {}
        errors = []
        for place, (name, source) in enumerate(lets.items()):
            try:
                if invalid := invalid_name_reason(name):
                    raise ConditionError(invalid)
                self._lets[name] = expand("true", {})  # stands in for an invalid let
                self._lets[name] = self._let(source, tuple(lets)[place:])
            except ConditionError as error:
                errors.append((name, error))
        self.let_errors: tuple[tuple[str, ConditionError], ...] = tuple(errors)

    @property
    def errors(self) -> int:
        """How many evaluations failed, over all conditions."""
        return sum(condition.errors for condition in self._compiled)

    def check(self, source: str) -> None:
        """Raise ConditionError if `source` is invalid, its lets aside."""
        self._program(expand(source, self._lets))

    def compile(self, source: str) -> Condition:
        """Compile `source`. Raises ConditionError if it or any let is invalid."""
        for name, error in self.let_errors:
            raise ConditionError(f'let "{name}": {error.message}')
        expanded = expand(source, self._lets)
        condition = Condition(source, self._program(expanded), _reads(expanded))
        self._variables.update(dict.fromkeys(sorted(expanded.variables)))
        self._headers |= expanded.headers
        self._labels |= expanded.labels
        self._compiled.append(condition)
        return condition

    def scope(
        self, request: ChatRequest, headers: Mapping[str, str], tenant: str, labels: Mapping[str, str], wall_s: float
    ) -> Scope:
        """Return the scope of one request. `headers` is case-insensitive or has lower-case names."""
        return Scope(self, Facts(request, headers, tenant, labels, wall_s))

    def activate(self, facts: Facts) -> cel.Activation:
        """Return the values that any of the conditions reads, in CEL's form."""
        values: dict[str, object] = {}
        for name in self._variables:
            if (read := VARIABLES[name].read) is not None:
                values[name] = read(facts)
        if self._headers:
            values["headers"] = {name: text(facts.headers.get(name, "")) for name in self._headers}
        if self._labels:
            values["labels"] = {name: text(facts.labels.get(name, "")) for name in self._labels}
        return self._env.Activation(values)

    def seen(self, source: str, facts: Facts) -> list[tuple[str, str]]:
        """Return the values of one request that a condition reads, its lets included, as they are written in a condition."""
        expanded = expand(source, self._lets)
        values: list[tuple[str, object]] = [
            (name, read(facts)) for name in sorted(expanded.variables) if (read := VARIABLES[name].read) is not None
        ]
        values += [(f'headers["{name}"]', text(facts.headers.get(name, ""))) for name in sorted(expanded.headers)]
        values += [(f'labels["{name}"]', text(facts.labels.get(name, ""))) for name in sorted(expanded.labels)]
        return [(name, json.dumps(value, ensure_ascii=False)) for name, value in values]

    def _let(self, source: str, later: tuple[str, ...]) -> Expanded:
        above = {name: let for name, let in self._lets.items() if name not in later}
        expanded = expand(source, above, later)
        self._program(expanded)
        return expanded

    def _program(self, expanded: Expanded) -> cel.Expression:
        for pattern in expanded.patterns:
            reason = self._env.compile(f'"".matches({pattern.literal})').eval(data={}).value()
            if not isinstance(reason, bool):
                raise error_at(expanded.source, pattern.offset, _pattern_error(str(reason)))
        try:
            program = self._env.compile(expanded.text)
        except RuntimeError as error:
            raise explain(str(error), expanded) from None
        result = program.return_type()
        if result != cel.Type.BOOL:
            kind = type_name(result.name().lower())
            raise ConditionError(f"the condition must be true or false, and this is {kind}: compare it with something")
        return program


def _reads(expanded: Expanded) -> list[Read]:
    """Return one reader for each value that a condition depends on."""

    def header(name: str) -> Read:
        return lambda facts: text(facts.headers.get(name, ""))

    def label(name: str) -> Read:
        return lambda facts: text(facts.labels.get(name, ""))

    variables = [VARIABLES[name].read for name in sorted(expanded.variables)]
    return [
        *(read for read in variables if read is not None),
        *map(header, sorted(expanded.headers)),
        *map(label, sorted(expanded.labels)),
    ]


def _pattern_error(reason: str) -> str:
    return f"this is not an RE2 expression: {reason.rpartition('expression: ')[2]}"


# Operators and their operand types. They replace those of CEL's standard library, which never mixes kinds of numbers.
# A pair without an `impl` uses the runtime's own function, which compares numbers of any kind exactly.
_NUMBERS = {"int64": cel.Type.INT, "double": cel.Type.DOUBLE}
_COMPARED = {**_NUMBERS, "string": cel.Type.STRING, "bool": cel.Type.BOOL}
_COMPARISONS = {
    "_<_": "less",
    "_<=_": "less_equals",
    "_>_": "greater",
    "_>=_": "greater_equals",
    "_==_": "equals",
    "_!=_": "not_equals",
}
_ARITHMETIC = {
    "_+_": ("add", operator.add),
    "_-_": ("subtract", operator.sub),
    "_*_": ("multiply", operator.mul),
    "_/_": ("divide", operator.truediv),
}
_TYPES = {
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "map": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}


def _environment() -> cel.Env:
    """Return the CEL environment of conditions. Takes 2 ms."""
    replaced = [*_COMPARISONS, *_ARITHMETIC, "@in"]
    config = "stdlib:\n  exclude_functions:\n" + "".join(f'  - name: "{name}"\n' for name in replaced)
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(config),
        variables={name: _TYPES[variable.type] for name, variable in VARIABLES.items() if variable.phase == "match"},
        extensions=[ExtStrings()],
        functions=[*map(_comparison, _COMPARISONS), *map(_arithmetic, _ARITHMETIC), _membership()],
    )


def _comparison(name: str) -> cel.FunctionDecl:
    same = [(kind, kind) for kind in _COMPARED]
    mixed = [(left, right) for left, right in product(_NUMBERS, _NUMBERS) if left != right]
    return cel.FunctionDecl(
        name,
        [
            cel.Overload(f"{_COMPARISONS[name]}_{left}_{right}", cel.Type.BOOL, [_COMPARED[left], _COMPARED[right]])
            for left, right in [*same, *mixed]
        ],
    )


def _arithmetic(name: str) -> cel.FunctionDecl:
    word, function = _ARITHMETIC[name]
    overloads = []
    for left, right in product(_NUMBERS, _NUMBERS):
        parameters = [_NUMBERS[left], _NUMBERS[right]]
        if left == right:
            overloads.append(cel.Overload(f"{word}_{left}", _NUMBERS[left], parameters))
        else:
            overloads.append(cel.Overload(f"{word}_{left}_{right}", cel.Type.DOUBLE, parameters, impl=function))
    return cel.FunctionDecl(name, overloads)


def _membership() -> cel.FunctionDecl:
    pairs = [*product(_NUMBERS, _NUMBERS), ("string", "string"), ("bool", "bool")]
    return cel.FunctionDecl(
        "@in",
        [
            cel.Overload(f"in_{left}_{right}", cel.Type.BOOL, [_COMPARED[left], cel.Type.List(_COMPARED[right])])
            for left, right in pairs
        ],
    )
