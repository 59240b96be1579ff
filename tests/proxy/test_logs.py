"""No secret, prompt or provider's word gets into a log line, whoever writes it and however."""

import io
import json
import logging
import re
from collections.abc import Iterator

import litellm
import pytest
from litellm._logging import (
    JsonFormatter,
    verbose_logger,
    verbose_proxy_logger,
    verbose_proxy_stdout_logger,
    verbose_router_logger,
)

from scalix_callbacks.core.redact import Redactor
from scalix_callbacks.proxy.logs import LITELLM_LOGGERS, WITHHELD, LineFormatter, SafeRecords, install
from tests.litellm_clients import close_clients

SECRET = "s3cret-value-of-the-operator"
PROMPT = "PROMPT: my diary of last summer"
PROVIDER = "PROVIDER: your request was: my diary"
CANARIES = (SECRET, PROMPT, PROVIDER, "diary", "sk-abcdefghijklmnop")
LOGGERS = (verbose_logger, verbose_proxy_logger, verbose_router_logger, verbose_proxy_stdout_logger)
OTHERS = ("", "scalix", "scalix_callbacks", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "httpx")

every_litellm_logger = pytest.mark.parametrize("logger", LOGGERS, ids=lambda logger: logger.name)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leaves the process's logging as it was."""
    factory = logging.getLogRecordFactory()
    loggers = [logging.getLogger(name) for name in (*LITELLM_LOGGERS, *OTHERS)]
    states = [(lg, lg.level, lg.propagate, lg.handlers[:], lg.filters[:]) for lg in loggers]
    forms = [(handler, handler.formatter) for lg in loggers for handler in lg.handlers]
    suppressed = litellm.suppress_debug_info
    yield
    logging.setLogRecordFactory(factory)
    litellm.suppress_debug_info = suppressed
    for logger, level, propagate, handlers, filters in states:
        logger.setLevel(level)
        logger.propagate, logger.handlers[:], logger.filters[:] = propagate, handlers, filters
    for handler, form in forms:
        handler.setFormatter(form)


def start(*, level: str = "INFO", is_debug: bool = False) -> None:
    install(Redactor([SECRET]), level=level, is_debug=is_debug)


def listen(logger: logging.Logger, formatter: logging.Formatter | None = None) -> io.StringIO:
    """What a handler added afterwards, with a formatter of its own, writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter or logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    return out


def provider_error() -> Exception:
    """As LiteLLM raises it: the provider's words in it and in its cause."""
    try:
        try:
            raise ValueError(PROVIDER)
        except ValueError as cause:
            raise litellm.BadRequestError(f"{PROVIDER} {PROMPT}", "gpt-4", "openai") from cause
    except litellm.BadRequestError as error:
        return error


@every_litellm_logger
def test_a_template_stays_and_its_arguments_go(logger: logging.Logger) -> None:
    """The operator sees what happened, not what was said."""
    start()
    out = listen(logger)

    logger.error("Error occurred while trying to do fallbacks - %s, status %d, 100%%", PROMPT, 500)

    assert "ERROR Error occurred while trying to do fallbacks - <str>, status <int>, 100%\n" == out.getvalue()


@every_litellm_logger
def test_an_exception_stays_as_classes_and_places(logger: logging.Logger) -> None:
    """Where it was raised and what caused it, without the texts that quote bodies."""
    start()
    out = listen(logger)
    try:
        raise provider_error()
    except litellm.BadRequestError as error:
        logger.exception("%s - while calling", error)

    shown = out.getvalue()
    assert shown.startswith("ERROR <BadRequestError> - while calling\nlitellm.exceptions.BadRequestError: ")
    assert "test_logs.py:" in shown
    assert re.search(r"\d provider_error < test_logs.py:\d+ test_an_exception_stays", shown)
    assert "\n  caused by builtins.ValueError: test_logs.py:" in shown
    assert [] == [canary for canary in CANARIES if canary in shown]


WAYS = {
    "f-string": lambda logger: logger.warning(f"Got this answer: {PROMPT}"),
    "f-string, value first": lambda logger: logger.warning(f"{PROMPT} was refused"),
    "concatenation": lambda logger: logger.error("Got: " + str(provider_error())),
    "only a value": lambda logger: logger.error(str(provider_error())),
    "the exception itself": lambda logger: logger.error(provider_error()),
    "a mapping": lambda logger: logger.error({"messages": [PROMPT]}),
    "a value in the template": lambda logger: logger.error(f"{PROMPT} %s", PROVIDER),
    "named arguments": lambda logger: logger.error("got %(body)s", {"body": PROMPT}),
    "too few arguments": lambda logger: logger.error("got %s and %s", PROMPT),
    "too many arguments": lambda logger: logger.error("got %s", PROMPT, PROVIDER),
    "wrong arguments": lambda logger: logger.error("got %d", PROMPT),
    "stack": lambda logger: logger.error("got %s", PROMPT, stack_info=True),
    "a key in a constant": lambda logger: logger.error("key sk-abcdefghijklmnop"),
    "exc_info": lambda logger: logger.error("failed", exc_info=provider_error()),
    "print_verbose": lambda logger: litellm.print_verbose(PROMPT),
}


@every_litellm_logger
@pytest.mark.parametrize("way", WAYS)
def test_no_value_gets_out_however_it_is_logged(logger: logging.Logger, way: str) -> None:
    """Every way of logging that LiteLLM's source has, and the wrong ones."""
    start()
    out = listen(logger)
    out_json = listen(logger, JsonFormatter())

    WAYS[way](logger)

    shown = out.getvalue() + out_json.getvalue()
    assert [] == [canary for canary in CANARIES if canary in shown]


def test_the_constant_part_of_a_formatted_text_stays() -> None:
    """What stands before the first value in the source is no secret."""
    start()
    out = listen(verbose_logger)

    WAYS["f-string"](verbose_logger)
    WAYS["only a value"](verbose_logger)

    assert [f"WARNING Got this answer: {WITHHELD}", f"ERROR {WITHHELD}"] == out.getvalue().splitlines()


@every_litellm_logger
def test_litellm_is_silent_below_warning(logger: logging.Logger) -> None:
    """Also after it has set its own levels anew, as it does when it starts."""
    start(level="DEBUG")
    out = listen(logger)
    logger.setLevel(logging.DEBUG)

    logger.info("a")
    logger.debug("b")
    logger.warning("heard")

    assert "WARNING heard\n" == out.getvalue()


@every_litellm_logger
def test_debug_mode_shows_more_lines_and_no_bodies(logger: logging.Logger) -> None:
    """A developer sees what LiteLLM does; prompts, answers and keys stay out of the log even then."""
    start(is_debug=True)
    out = listen(logger)

    logger.debug("sent %s with %s", PROMPT, SECRET)
    logger.error("failed", exc_info=provider_error())

    shown = out.getvalue()
    assert "DEBUG sent <str> with <str>\n" in shown
    assert [] == [canary for canary in (PROMPT, PROVIDER, SECRET) if canary in shown]


@pytest.mark.parametrize("name", ["asyncio", "root", "httpx", "some.library"])
def test_a_stranger_is_taken_to_quote_bodies(name: str) -> None:
    """asyncio writes the exception of a forgotten task into its message, for one."""
    start()
    logger = logging.getLogger(name)
    out = listen(logger)

    logger.error(f"Task exception was never retrieved\n{provider_error()!r}")
    logger.error("failed", exc_info=provider_error())

    assert "Task exception was never retrieved" in out.getvalue()
    assert [] == [canary for canary in CANARIES if canary in out.getvalue()]
    logger.handlers.clear()


@pytest.mark.parametrize("name", ["scalix.calls", "scalix_callbacks.app"])
def test_our_own_lines_keep_their_text_without_secrets(name: str) -> None:
    """What we write we have thought about; secrets are masked all the same, in tracebacks, too."""
    start()
    logger = logging.getLogger(name)
    out = listen(logger)
    try:
        raise RuntimeError(f"with {SECRET}")
    except RuntimeError:
        logger.exception("reserved %s tokens with %s", 5, SECRET)

    shown = out.getvalue()
    assert shown.startswith("ERROR reserved 5 tokens with [redacted]\nTraceback (most recent call last):\n")
    assert "RuntimeError: with [redacted]" in shown
    assert SECRET not in shown
    logger.handlers.clear()


def test_an_access_line_keeps_its_form_without_the_query() -> None:
    """uvicorn's formatter needs the five arguments; a credential in a query is never logged."""
    from uvicorn.logging import AccessFormatter

    start()
    logger = logging.getLogger("uvicorn.access")
    logger.setLevel(logging.INFO)
    out = listen(logger, AccessFormatter("%(request_line)s %(status_code)s", use_colors=False))

    logger.info('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", f"/v1/models?key={SECRET}&a=diary", "1.1", 200)

    assert "GET /v1/models HTTP/1.1 200 OK\n" == out.getvalue()


def test_uvicorns_lines_keep_their_text() -> None:
    """Its messages hold no bodies; exceptions of the application may."""
    start()
    logger = logging.getLogger("uvicorn.error")
    out = listen(logger)

    logger.error("listening on %s with %s", "127.0.0.1", SECRET)
    logger.error("Exception in ASGI application", exc_info=provider_error())

    assert "listening on 127.0.0.1 with [redacted]" in out.getvalue()
    assert [] == [canary for canary in CANARIES if canary in out.getvalue()]


def test_a_text_cannot_begin_a_second_line() -> None:
    """A caller's words in one of our lines cannot look like another line."""
    start()
    logger = logging.getLogger("scalix.calls")
    out = listen(logger)

    logger.warning("user %s", "a\r\n2026-01-01 ERROR forged")

    assert "WARNING user a\\r\\n2026-01-01 ERROR forged\n" == out.getvalue()
    logger.handlers.clear()


def test_the_present_handlers_write_one_form_of_line() -> None:
    """ISO time in UTC, level, logger, message."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    verbose_router_logger.addHandler(handler)
    start()

    verbose_router_logger.warning("cooling down %s", "x")

    assert isinstance(handler.formatter, LineFormatter)
    line = re.fullmatch(r"(\S+) WARNING LiteLLM Router cooling down <str>\n", out.getvalue())
    assert line is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line[1])


def test_the_form_redacts_what_did_not_come_from_the_factory() -> None:
    """Records can be made by hand; the handlers we found still mask them."""
    record = logging.makeLogRecord({"msg": f"with {SECRET}", "levelname": "INFO"})

    assert SECRET not in LineFormatter(Redactor([SECRET])).format(record)


def test_a_formatter_of_litellm_set_later_changes_nothing() -> None:
    """LiteLLM swaps all handlers when it turns to JSON; the records are safe by then."""
    start()
    out = listen(verbose_logger, JsonFormatter())

    verbose_logger.error("failed with %s", PROMPT, exc_info=provider_error())

    assert "failed with <str>" == json.loads(out.getvalue())["message"]
    assert [] == [canary for canary in CANARIES if canary in out.getvalue()]


def test_installing_again_replaces_the_settings() -> None:
    """Workers and tests may do it twice; nothing piles up."""
    start()
    start(is_debug=True)
    start()

    factory = logging.getLogRecordFactory()
    assert isinstance(factory, SafeRecords)
    assert not isinstance(factory.inner, SafeRecords)
    assert 1 == len([f for f in verbose_logger.filters if type(f).__name__ == "_Threshold"])


def test_a_failing_redactor_costs_the_text_and_nothing_else() -> None:
    """A log line never breaks the call it speaks of, and shows nothing unredacted."""

    def broken(text: str) -> str:
        raise ValueError(text)

    logging.setLogRecordFactory(SafeRecords(logging.LogRecord, broken))
    logger = logging.getLogger("scalix.calls")
    out = listen(logger)

    logger.warning("with %s", SECRET)

    assert f"WARNING {WITHHELD}\nValueError\n" == out.getvalue()
    logger.handlers.clear()


@pytest.mark.filterwarnings("ignore:Item.*using the `ReadOnly` qualifier:UserWarning")  # LiteLLM's
async def test_a_real_failing_call_leaves_no_word_of_it() -> None:
    """A router with a fallback, and providers that cannot be reached."""
    start()
    streams = [listen(logger) for logger in LOGGERS]
    params = {"model": "openai/x", "api_key": SECRET, "api_base": "http://diary.invalid/v1"}
    router = litellm.Router(
        model_list=[{"model_name": name, "litellm_params": dict(params)} for name in ("a", "b")],
        fallbacks=[{"a": ["b"]}],
        num_retries=0,
    )
    with pytest.raises(litellm.InternalServerError):
        await router.acompletion(model="a", messages=[{"role": "user", "content": PROMPT}])
    router.discard()
    await close_clients()

    shown = "".join(stream.getvalue() for stream in streams)
    assert "Error occurred while trying to do fallbacks - <str>" in shown
    assert [] == [canary for canary in CANARIES if canary in shown]
