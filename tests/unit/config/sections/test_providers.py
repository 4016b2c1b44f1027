"""Several keys and URLs of a provider: what is left out, and what is told of it."""

from gateway.config.spec import ProviderSpec
from tests.unit.config.conftest import ENV, Files, config

MODELS = (
    "models: {m: {provider: local, price: {input: 0, output: 0}}, far: {provider: web, price: {input: 1, output: 2}}}"
)


def loaded(files: Files, settings: str) -> tuple[ProviderSpec, list[str]]:
    """Give the provider `web` with these settings, and the warnings."""
    providers = f"providers: {{local: {{kind: llamacpp}}, web: {{kind: openai, {settings}}}}}"
    found = files.load(config(providers=providers, models=MODELS), ENV)
    return found.spec.providers["web"], [str(one).replace(f"{files.path}:", "") for one in found.warnings]


def test_empty_keys_are_left_out_with_one_warning(files: Files) -> None:
    web, warnings = loaded(files, "keys: ['${EMPTY:-}', '${SOME_KEY}', '${NO_KEY:-}']")
    assert (web.is_on, [key.value for key in web.keys]) == (True, ["a-key"])
    assert warnings == ["2:58: providers.web.keys: 2 of 3 keys left out: empty (${EMPTY}, ${NO_KEY})"]


def test_a_provider_all_of_whose_keys_are_empty_is_off_with_one_warning(files: Files) -> None:
    web, warnings = loaded(files, "keys: ['${EMPTY:-}', '${NO_KEY:-}']")
    assert (web.is_on, web.key, web.keys) == (False, None, ())
    assert warnings == ['2:58: providers.web.keys: provider "web" is off: its keys are empty (${EMPTY}, ${NO_KEY})']


def test_an_empty_key_that_no_variable_stands_for_names_none(files: Files) -> None:
    assert loaded(files, "key: ''")[1] == ['2:63: providers.web.key: provider "web" is off: its key is empty']
    assert loaded(files, "keys: ['', a]")[1][0].endswith("1 of 2 keys left out: empty")


def test_the_same_key_twice_counts_once(files: Files) -> None:
    web, warnings = loaded(files, "keys: ['${SOME_KEY}', '${SECRET}', '${SOME_KEY}']")
    assert [key.value for key in web.keys] == ["a-key", "hush-hush-7"]
    assert warnings == ["2:93: providers.web.keys[2]: the same key as keys[0]; it counts once"]


def test_a_pool_of_which_all_keys_are_empty_is_dead(files: Files) -> None:
    providers = "providers: {local: {kind: llamacpp}, web: {kind: openai, keys: ['${EMPTY:-}']}}"
    (error,) = files.errors(config(providers=providers, models=MODELS, pools="pools: {p: {members: [{model: far}]}}"))
    assert 'no member can answer: provider "web" is off' in error


def test_a_broken_key_among_several_does_not_switch_the_provider_off(files: Files) -> None:
    providers = "providers: {local: {kind: llamacpp}, web: {kind: openai, keys: ['${MISSING}', '${EMPTY:-}']}}"
    (error,) = files.errors(config(providers=providers, models=MODELS, pools="pools: {p: {members: [far]}}"))
    assert error.startswith("2:65: providers.web.keys[0]: ")
    assert "MISSING" in error


def test_a_broken_provider_is_passed_over(files: Files) -> None:
    assert files.errors(config(providers="providers: {local: {kind: llamacpp}, web: 5, sim: {kind: simulator}}")) == [
        '2:43: providers.web: must be a mapping ("key: value" lines) (got "5")'
    ]


def test_a_key_that_stands_where_a_list_is_wanted_is_not_shown(files: Files) -> None:
    providers = "providers: {local: {kind: llamacpp}, web: {kind: openai, keys: swordfish}}"
    (error,) = files.errors(config(providers=providers, models=MODELS))
    assert error == "2:64: providers.web.keys: must be a list"
    (error,) = files.errors(config(tenants="tenants: {a: {keys: swordfish}}"))
    assert error == "5:21: tenants.a.keys: must be a list"
