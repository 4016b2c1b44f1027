"""The error of a condition: what is wrong, and where in the source that the user wrote."""


class ConditionError(Exception):
    """A condition is invalid. `line` and `column` count from 1 in the condition's own source."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


def error_at(source: str, offset: int, message: str) -> ConditionError:
    """Return the error for the character at `offset` of `source`; the length of `source` stands for its end."""
    before = source[:offset]
    return ConditionError(message, before.count("\n") + 1, offset - before.rfind("\n"))
