"""Whether LiteLLM really calls us: tried out in a process of its own, on nothing of the user's."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from scalix_callbacks.cli.child_environment import litellm_environment
from scalix_callbacks.cli.doctor.finding import INSTALL, Finding, broken, ok, told, unknown, warning
from scalix_callbacks.cli.doctor.probe_report import Mode, ProbeReport, from_text
from scalix_callbacks.cli.doctor.subject import Subject
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.model_list import CALLBACK, CUSTOM_AUTH

LIMIT_S = 110.0
_PROBE = "scalix_callbacks.cli.doctor.hook_probe"
_PROJECT = Path(__file__).parents[3]
_REINSTALL = f"Install the locked versions again: {INSTALL}"

_NOT_FOR_A_TRIAL = (
    "CONFIG_FILE_PATH",
    "WORKER_CONFIG",
    "LITELLM_WORKER_STARTUP_HOOKS",
    "LITELLM_CONFIG_BUCKET_NAME",
    "PROMETHEUS_MULTIPROC_DIR",
    "SCALIX_DEMO_URL",
    "DEBUG_MODE",
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_PASSWORD",
)
"""What would lead LiteLLM to other files, or to servers and files of the running gateway."""


def examine(subject: Subject, folder: Path, redis_url: str | None) -> Iterator[Finding]:
    """Tries LiteLLM both ways.

    Args:
        folder: an empty one, for all that the trial writes.
        redis_url: of a Redis that nobody uses; None: do without.
    """
    if subject.settings is None:
        yield unknown("hooks")
        return
    reports = probe(subject.values, subject.settings, folder, redis_url)
    yield from of_pack(reports[Mode.PACK])
    yield of_plain(reports[Mode.PLAIN])


def probe(
    values: Mapping[str, str],
    settings: Settings,
    folder: Path,
    redis_url: str | None,
    *,
    command: tuple[str, ...] = (sys.executable, "-P", "-m", _PROBE),
) -> dict[Mode, ProbeReport]:
    """Runs the probes, both at once, each for as long as `LIMIT_S`."""
    with ExitStack() as stack:
        running = {}
        for mode in Mode:
            own = folder / mode
            own.mkdir()
            process = subprocess.Popen(
                [*command, mode, str(own / "report.json")],
                env=trial_environment(values, settings, mode, own, redis_url),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # LiteLLM's words may hold addresses
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            running[mode] = (process, own / "report.json")
        return {mode: _result(process, place) for mode, (process, place) in running.items()}


def trial_environment(
    values: Mapping[str, str], settings: Settings, mode: Mode, folder: Path, redis_url: str | None
) -> dict[str, str]:
    """The environment of a LiteLLM that may be called without a trace."""
    environment = litellm_environment(values)
    for name in _NOT_FOR_A_TRIAL:
        environment.pop(name, None)
    loopback = ",".join(
        filter(None, (environment.get("NO_PROXY") or environment.get("no_proxy"), "127.0.0.1"))
    )
    key = None if settings.is_demo else settings.environment.master_key  # the trial itself is no demo
    environment |= {
        "LITELLM_MASTER_KEY": key or f"sk-{secrets.token_urlsafe(32)}",
        "SCALIX_DATA_DIR": str(folder / "data"),
        "SCALIX_DATABASE_URL": f"sqlite:///{folder / 'data' / 'scalix.db'}",
        "LITELLM_LOG_FILE": str(folder / "litellm.log"),
        "LITELLM_LOG": "ERROR",
        # Else the demo provider would be looked for behind the proxy of the user's network.
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_PROJECT), environment.get("PYTHONPATH")))),
    }
    if redis_url is not None:
        environment["REDIS_URL"] = redis_url
    if mode is Mode.PACK:
        environment["CONFIG_FILE_PATH"] = str(settings.config_path)
    else:
        # As `litellm --config` hands it to its workers.
        environment["WORKER_CONFIG"] = str(settings.config_path)
    return environment


def of_pack(report: ProbeReport) -> Iterator[Finding]:
    """Each hook, as our launcher serves them."""
    if report.failure is not None:
        yield told("hooks", RuntimeError(report.failure))
        return
    for problem in report.problems:
        yield broken("hooks", f"Not registered: {problem}.", _REINSTALL)
    for name, calls in report.hooks.items():
        if calls:
            yield ok(f"hook {name}", f"LiteLLM called it ({', '.join(calls)}).")
        else:
            yield broken(
                f"hook {name}",
                f"LiteLLM called it in none of: {', '.join(report.calls) or 'no call'}.",
                _REINSTALL,
            )
    for name, call in report.calls.items():
        if not call.is_as_expected:
            answer = "no answer" if call.status is None else f"HTTP {call.status}"
            yield broken("calls", f"A trial {name} was not answered as it should be ({answer}).", _REINSTALL)
    for name in report.dropped:
        yield broken(
            "deployments",
            f"LiteLLM dropped a deployment of {name}: it is not valid for it.",
            "Correct its litellm_params and model_info.",
        )
    if not report.dropped:
        yield ok("deployments", "LiteLLM took all that have credentials.")


def of_plain(report: ProbeReport) -> Finding:
    """Whether `litellm --config` alone would serve with the pack, too."""
    name = "litellm --config"
    advice = (
        "Start with scripts/start_scalix_litellm.py; or see that the YAML names"
        f" litellm_settings.callbacks: [{CALLBACK}] and general_settings.custom_auth: {CUSTOM_AUTH}."
    )
    if report.failure is not None:
        return warning(name, f"Alone it would not start: {report.failure}", advice)
    if report.problems:
        return warning(
            name, f"Alone it would serve without all of the pack: {'; '.join(report.problems)}.", advice
        )
    if uncalled := [hook for hook, calls in report.hooks.items() if not calls]:
        return warning(name, f"Alone it would not call {', '.join(uncalled)}.", advice)
    return ok(name, "Alone, it would call all hooks, too.")


def _result(process: subprocess.Popen[bytes], place: Path) -> ProbeReport:
    try:
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        return ProbeReport(
            failure=f"LiteLLM did not finish within {LIMIT_S:.0f} s. Try again on a machine less busy."
        )
    try:
        return from_text(place.read_text())
    except (OSError, ValueError, TypeError, KeyError):
        return ProbeReport(failure=f"The trial ended without a report (exit code {process.returncode}).")
