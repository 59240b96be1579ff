"""Log lines of a worker without secrets, prompts or providers' words.

LiteLLM's own filters melt a record's arguments into its message before any handler sees it, and its
handlers come and go. So the work is done where every record begins, in the record factory; the
formatter on the present handlers only gives the lines their form and redacts once more.
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from traceback import walk_tb
from types import FrameType, TracebackType
from typing import Any

import litellm
from litellm._logging import ALL_LOGGERS, verbose_proxy_stdout_logger

Redact = Callable[[str], str]

LITELLM_LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", verbose_proxy_stdout_logger.name)
OWN_LOGGERS = ("scalix", "scalix_callbacks")
"""Ours: full text."""
PLAIN_LOGGERS = ("uvicorn", "alembic", "gunicorn")
"""Their messages hold no bodies; the texts of exceptions may. All others are taken to quote bodies."""

MAX_MESSAGE = 4_000
MAX_CAUSES = 6
MAX_FRAMES = 8
WITHHELD = "[message withheld]"

_CALL_DEPTH = 12
_MIN_CONSTANT = 4
_DIRECTIVE = re.compile(r"%(?:\((\w+)\))?[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[hlL]?([diouxXeEfFgGcrsa%])")

_RecordFactory = Callable[..., logging.LogRecord]


def install(redactor: Redact, *, level: str, is_debug: bool) -> None:
    """Makes all log output of this process safe, from now on; calling it again replaces the settings.

    Args:
        redactor: takes the known secrets out of a text.
        level: of our own loggers and, from WARNING on, of LiteLLM's.
        is_debug: LiteLLM's DEBUG lines, too; as all of them without what they are about.
    """
    inner = logging.getLogRecordFactory()
    if isinstance(inner, SafeRecords):
        inner = inner.inner
    logging.setLogRecordFactory(SafeRecords(inner, redactor))
    threshold = logging.DEBUG if is_debug else max(logging.WARNING, logging.getLevelName(level))
    for name in LITELLM_LOGGERS:
        logger = logging.getLogger(name)
        for old in [f for f in logger.filters if isinstance(f, _Threshold)]:
            logger.removeFilter(old)
        logger.addFilter(_Threshold(threshold))
        logger.setLevel(threshold)
    litellm.suppress_debug_info = True
    _give_form(redactor, level)


class SafeRecords:
    """A log record factory that makes each record harmless; whoever handles it later cannot undo that."""

    def __init__(self, inner: _RecordFactory, redact: Redact) -> None:
        self.inner = inner
        self._redact = redact

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self.inner(*args, **kwargs)
        try:
            self._make_safe(record)
        except Exception as error:  # a log line must never break the call it speaks of
            record.msg, record.args, record.exc_info, record.stack_info = WITHHELD, None, None, None
            record.exc_text = type(error).__name__
        return record

    def _make_safe(self, record: logging.LogRecord) -> None:
        is_own = _is_under(record.name, OWN_LOGGERS)
        if _is_under(record.name, ("uvicorn",)):
            # Its formatters want the arguments themselves.
            record.msg = self._clean(str(record.msg))
            record.args = self._clean_args(record)
        elif is_own or _is_under(record.name, PLAIN_LOGGERS):
            record.msg, record.args = self._clean(record.getMessage()), None
        else:
            record.msg, record.args = self._clean(_template(record)), None
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and is_own:
            # Formatters take the cached text instead of formatting the exception again.
            record.exc_text = self._redact(_PLAIN.formatException(record.exc_info))  # type: ignore[arg-type]  # checked just above
        elif error is not None:
            record.exc_text, record.exc_info = self._redact(_outline(error)), None
        if record.stack_info:
            record.stack_info = self._redact(record.stack_info) if is_own else None

    def _clean(self, text: str) -> str:
        # One record is one line: a caller's text must not be able to begin another.
        return self._redact(text)[:MAX_MESSAGE].replace("\r", "\\r").replace("\n", "\\n")

    def _clean_args(self, record: logging.LogRecord) -> Any:
        if not isinstance(record.args, tuple):
            return record.args
        is_access = record.name == "uvicorn.access"
        return tuple(
            self._clean(arg.partition("?")[0] if is_access else arg) if isinstance(arg, str) else arg
            for arg in record.args
        )


class LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z WARNING logger message`."""

    converter = staticmethod(time.gmtime)

    def __init__(self, redact: Redact) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class _Threshold(logging.Filter):
    """Holds a logger at a level even where LiteLLM sets it anew at its own start."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._level


def _give_form(redact: Redact, level: str) -> None:
    own = [logging.getLogger(name) for name in OWN_LOGGERS]
    for logger in own:
        logger.setLevel(level)
        if not logger.hasHandlers():
            logger.addHandler(logging.StreamHandler(sys.stderr))
            logger.propagate = False
    uvicorn = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")]
    for logger in (*own, *ALL_LOGGERS, *uvicorn):
        for handler in logger.handlers:
            handler.setFormatter(LineFormatter(redact))


def _is_under(name: str, loggers: tuple[str, ...]) -> bool:
    return any(name == logger or name.startswith(f"{logger}.") for logger in loggers)


def _template(record: logging.LogRecord) -> str:
    """What the code says, without what it says it about: `%s` becomes the class of its argument.

    Text that does not stand as a constant in the code that logs is left out.
    """
    if not isinstance(record.msg, str):
        return _class_name(record.msg)
    constants = _constants(record)
    if record.msg not in constants:
        start = max((c for c in constants if record.msg.startswith(c)), key=len, default="")
        return f"{start.rstrip()} {WITHHELD}".strip()
    return _named(record.msg, record.args) if record.args else record.msg


def _constants(record: logging.LogRecord) -> frozenset[str]:
    """The texts in the code of the function that logs."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_CALL_DEPTH):
        if frame is None:
            break
        if frame.f_code.co_filename == record.pathname and frame.f_code.co_name == record.funcName:
            return frozenset(
                c for c in frame.f_code.co_consts if isinstance(c, str) and len(c) >= _MIN_CONSTANT
            )
        frame = frame.f_back
    return frozenset()


def _named(template: str, args: Any) -> str:
    values: Iterator[object] = iter(args if isinstance(args, tuple) else (args,))

    def name(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        value = args.get(match[1]) if match[1] and isinstance(args, Mapping) else next(values, None)
        return _class_name(value)

    return _DIRECTIVE.sub(name, template)


def _class_name(value: object) -> str:
    return f"<{type(value).__name__}>"


def _outline(error: BaseException) -> str:
    """Classes and code places of an exception and its causes, without any of their texts."""
    lines: list[str] = []
    current: BaseException | None = error
    while current is not None and len(lines) < MAX_CAUSES:
        places = " < ".join(_places(current.__traceback__))
        lines.append(
            f"{type(current).__module__}.{type(current).__qualname__}" + (f": {places}" if places else "")
        )
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n  caused by ".join(lines)


def _places(traceback: TracebackType | None) -> list[str]:
    """`file:line function`, innermost first."""
    frames = [
        f"{PurePath(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(traceback)
    ]
    return frames[::-1][:MAX_FRAMES]


_PLAIN = logging.Formatter()
