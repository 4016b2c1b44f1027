"""Names with `*`, which stands for any text, also none."""


def fits(pattern: str, name: str) -> bool:
    """Whether `pattern` spells `name`. Where `name` is a pattern itself: whether all that it spells is spelt by `pattern`.

    No letter of a pattern is a star, so a star in `name` can only be taken by a star.
    """
    at, read, star, retry = 0, 0, -1, 0
    while read < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, retry = at, read
            at += 1
        elif at < len(pattern) and pattern[at] == name[read]:
            at, read = at + 1, read + 1
        elif star >= 0:  # let the last star take one more
            retry += 1
            at, read = star + 1, retry
        else:
            return False
    return pattern[at:].strip("*") == ""


def meet(one: str, other: str) -> bool:
    """Whether some name fits both patterns."""
    if "*" not in one or "*" not in other:
        return fits(one, other) or fits(other, one)
    # reachable: how many signs of `other` can have been read when the signs of `one` so far spell the same text
    reachable = _past_stars({0}, other)
    for sign in one:
        if not reachable:
            return False
        if sign == "*":
            reachable = set(range(min(reachable), len(other) + 1))
            continue
        inside = {j for j in reachable if other[j : j + 1] == "*"}
        behind = {j + 1 for j in reachable if other[j : j + 1] == sign}
        reachable = _past_stars(inside | behind, other)
    return len(other) in reachable


def _past_stars(reachable: set[int], other: str) -> set[int]:
    spread = set(reachable)
    for j in sorted(reachable):
        while other[j : j + 1] == "*":
            j += 1
            spread.add(j)
    return spread
