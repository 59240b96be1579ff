"""Findings as text, as JSON and as an exit code."""

from collections.abc import Sequence
from typing import Any

from scalix_callbacks.cli.doctor.finding import Finding, Level


def line(finding: Finding) -> str:
    """One line, whatever the finding's texts hold."""
    text = f"{finding.name}: {finding.found}"
    if finding.next_step:
        text += f" Next: {finding.next_step}"
    return f"{finding.level:<8} {' '.join(text.split())}"


def verdict(findings: Sequence[Finding]) -> str:
    """The last line."""
    broken = _names(findings, Level.BROKEN)
    if broken:
        return f"Broken: {', '.join(broken)}. Do what the lines say and run this again."
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    match warnings:
        case 0:
            return "All is well."
        case 1:
            return "It works, with 1 warning."
        case _:
            return f"It works, with {warnings} warnings."


def exit_code(findings: Sequence[Finding]) -> int:
    """1 when something is broken, else 0."""
    return int(bool(_names(findings, Level.BROKEN)))


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "broken": bool(_names(findings, Level.BROKEN)),
        "verdict": verdict(findings),
        "findings": [
            {
                "name": finding.name,
                "level": finding.level,
                "found": finding.found,
                "next_step": finding.next_step,
            }
            for finding in findings
        ],
    }


def _names(findings: Sequence[Finding], level: Level) -> list[str]:
    return list(dict.fromkeys(finding.name for finding in findings if finding.level is level))
