"""What can be typed, and what is said to what cannot."""

import pytest

from scalix_callbacks.cli.launcher import main
from scalix_callbacks.cli.start_options import Action, data_dir_of, parse, read_settings, settings_values
from scalix_callbacks.settings import SettingsError


def test_options_become_settings_by_their_names() -> None:
    """What the command line says wins over the environment, under the setting's own name."""
    options = parse(["--port", "0", "--workers", "3", "--host", "::1", "--data-dir", "d", "--demo"])

    values = settings_values(options, {"LITELLM_PORT": "9", "OTHER": "x"})

    assert Action.START is options.action
    assert options.is_demo
    assert {
        "LITELLM_PORT": "0",
        "LITELLM_MAX_WORKERS": "3",
        "LITELLM_HOST": "::1",
        "SCALIX_DATA_DIR": "d",
        "OTHER": "x",
    } == values


@pytest.mark.parametrize(
    "argv",
    [
        ["--bogus"],
        ["--port"],
        ["--port", ""],
        ["--por", "1"],
        ["--stop", "--status"],
        ["--json"],
        ["--stop", "--demo"],
        ["extra"],
    ],
)
def test_what_is_not_understood_is_told_in_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line on stderr, which names --help."""
    assert 2 == main(argv)

    printed = capsys.readouterr()
    assert "" == printed.out
    assert printed.err.endswith(". See --help.\n")
    assert 1 == len(printed.err.splitlines())


def test_help_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """--help prints every option and exits 0."""
    assert 0 == main(["--help"])

    assert "--data-dir" in capsys.readouterr().out


def test_a_wrong_value_names_the_option_it_was_given_by() -> None:
    """Typed --port: the sentence speaks of --port, not of LITELLM_PORT."""
    options = parse(["--port", "many"])

    with pytest.raises(SettingsError, match=r"^--port: 'many' must be a whole number"):
        read_settings(options, settings_values(options, {}), None)


def test_a_gateway_can_be_found_whatever_else_is_wrong() -> None:
    """--status and --stop need the data directory alone."""
    options = parse(["--stop", "--data-dir", "/srv/gateway", "--port", "nonsense"])

    assert "/srv/gateway" == str(data_dir_of(settings_values(options, {})))
    assert data_dir_of({}).name == ".scalix"
