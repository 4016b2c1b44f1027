"""Several files as one."""

from tests.unit.config.conftest import Files, config

HASH = "sha256:" + "ab" * 32


def test_included_files_bring_what_is_defined_by_name(files: Files) -> None:
    (files.path.parent / "sub").mkdir()
    files.write("sub/a.yaml", "include: [b.yaml]\nlet: {a: 'b'}\n")
    files.write(
        "sub/b.yaml", f"let: {{b: 'true'}}\ntenants: {{t: {{keys: ['{HASH}']}}}}\npools: {{p: {{members: [m]}}}}\n"
    )
    loaded = files.load(config(include="include: [sub/a.yaml]", let="let: {c: 'a'}"))
    assert list(loaded.spec.lets) == ["b", "a", "c"]
    assert (list(loaded.spec.tenants), list(loaded.spec.pools)) == (["t"], ["p"])
    assert [path.name for path in loaded.files] == ["gateway.yaml", "a.yaml", "b.yaml"]


def test_errors_of_an_included_file_have_its_place(files: Files) -> None:
    files.write("more.yaml", "pools:\n  p: {members: [mm]}\n")
    errors = files.errors(config(include="include: [more.yaml]"))
    assert errors == ['more.yaml:2:17: pools.p.members[0]: there is no model "mm"; did you mean "m"?']


def test_a_broken_included_file_is_told_beside_the_rest(files: Files) -> None:
    files.write("more.yaml", "pools: [\n")
    errors = files.errors(config(include="include: [more.yaml]", server="server: {watch: 1}"))
    assert errors == [
        '6:17: server.watch: must be true or false, without quotes (got "1")',
        "more.yaml:2:1: a value was expected here",
    ]


def test_a_name_stands_once_over_all_files(files: Files) -> None:
    files.write("more.yaml", "models: {m: {provider: sim, price: {input: 0, output: 0}}}\n")
    errors = files.errors(config(include="include: [more.yaml]"))
    assert errors == ["3:10: models.m: is defined twice; first at more.yaml:1:10"]


def test_files_that_include_each_other_are_refused(files: Files) -> None:
    files.write("a.yaml", "include: [b.yaml]\n")
    files.write("b.yaml", "include: [./a.yaml]\n")
    assert files.errors(config(include="include: [a.yaml]")) == [
        "b.yaml:1:11: include[0]: includes itself: a.yaml → b.yaml → a.yaml"
    ]
    assert files.errors(config(include="include: [gateway.yaml]")) == [
        "5:11: include[0]: includes itself: gateway.yaml → gateway.yaml"
    ]


def test_a_file_included_on_two_ways_counts_once(files: Files) -> None:
    files.write("a.yaml", "include: [c.yaml]\n")
    files.write("b.yaml", "include: [c.yaml]\n")
    files.write("c.yaml", "let: {a: 'true'}\n")
    assert files.errors(config(include="include: [a.yaml, b.yaml]")) == []


def test_sections_that_exist_once_stay_in_the_main_file(files: Files) -> None:
    files.write("more.yaml", "version: 1\nroutes: []\nserver: {}\ncaches: {}\nzzz: 1\n")
    known = "include, providers, models, pools, let, tenants"
    said = f"may not stand in an included file, which may hold {known}; put it into the main file"
    assert files.errors(config(include="include: [more.yaml]")) == [
        f"more.yaml:2:1: routes: {said}",
        f"more.yaml:3:1: server: {said}",
        "more.yaml:4:1: caches: not available yet (the cache of answers); remove it",
        f"more.yaml:5:1: zzz: {said}",
    ]


def test_an_empty_included_file_is_fine_and_a_list_is_not(files: Files) -> None:
    files.write("empty.yaml", "# no tenants yet\n")
    files.write("list.yaml", "- a\n")
    assert files.errors(config(include="include: [empty.yaml]")) == []
    assert files.errors(config(include="include: [list.yaml]")) == [
        'list.yaml:1:1: the file must be a mapping ("key: value" lines)'
    ]


def test_a_secrets_path_is_relative_to_the_file_that_names_it(files: Files) -> None:
    (files.path.parent / "sub").mkdir()
    files.write("sub/p.yaml", "providers: {more: {kind: openai, key: '${file:k}'}}\n")
    files.write("sub/k", "value")
    spec = files.load(config(include="include: [sub/p.yaml]")).spec
    key = spec.providers["more"].key
    assert key is not None
    assert key.value == "value"
