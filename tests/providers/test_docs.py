"""docs/providers.md is about what is configured."""

from tests.providers.matrix import MODEL_LIST, ROOT

DOCS = (ROOT / "docs" / "providers.md").read_text()


def test_every_model_and_every_variable_is_in_the_matrix() -> None:
    """A model that is added without its row is found here."""
    models = {entry["model_name"] for entry in MODEL_LIST}
    values = {str(value) for entry in MODEL_LIST for value in entry["litellm_params"].values()}
    variables = {value.removeprefix("os.environ/") for value in values if value.startswith("os.environ/")}
    adapters = {entry["litellm_params"]["model"].partition("/")[0] + "/" for entry in MODEL_LIST}

    assert [] == [name for name in sorted(models | variables | adapters) if f"`{name}`" not in DOCS]
