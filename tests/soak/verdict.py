"""Whether clients, provider, ledger and counters of a fault run agree, and what does not."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.soak.callers import UNREADABLE, Seen
from tests.soak.plan import Kind

NANO = Decimal("0.000000001")

PRICES: dict[str, dict[str, str]] = {
    "free-gemini-flash": {"input_usd_per_1k": "0", "output_usd_per_1k": "0"},
    "gpt-4.1": {"input_usd_per_1k": "0.0021337", "output_usd_per_1k": "0.0080009"},
    "claude-3-opus": {
        "input_usd_per_1k": "0.005",
        "output_usd_per_1k": "0.025",
        "usd_per_request": "0.000000007",
    },
    "gpt-4": {"input_usd_per_1k": "0.03", "output_usd_per_1k": "0.06"},
    "gpt-5": {"input_usd_per_1k": "0.00125", "output_usd_per_1k": "0.01"},
}
"""What users pay; the odd digits find what rounds too early."""
COSTS: dict[str, tuple[str, str]] = {
    "free-gemini-flash": ("0.0000003", "0.0000025"),
    "gpt-4.1": ("0.0000017", "0.0000063"),
    "claude-3-opus": ("0.000005", "0.000025"),
    "gpt-4": ("0.00003", "0.00006"),
    "gpt-5": ("0.00000125", "0.00001"),
}
"""What the provider charges for a token of input and of output."""

EXPECTED: dict[Kind, tuple[str, int, str | None]] = {
    Kind.WHOLE: ("ok", 1, None),
    Kind.STREAM: ("ok", 1, None),
    Kind.UNREPORTED: ("ok", 1, None),
    Kind.LEFT_EARLY: ("aborted", 1, None),
    Kind.LEFT: ("aborted", 1, None),
    Kind.FAILED: ("error", 0, "PROVIDER_ERROR"),
    Kind.FAILED_LATE: ("error", 0, "PROVIDER_ERROR"),
    Kind.RETRIED_INSIDE: ("ok", 1, None),
    Kind.FELL_BACK: ("ok", 1, None),
    Kind.TIMED_OUT: ("error", 0, "PROVIDER_TIMEOUT"),
}
"""Outcome, requests counted and category of a call that nothing befell; `Kind.RETRIED` has more records."""

NEVER_THE_CLIENTS = frozenset(
    {"INTERNAL", "INVALID_API_KEY", "RATE_LIMIT_EXCEEDED", "BUDGET_EXCEEDED", UNREADABLE}
)
"""What no client may be told in such a run, whatever befalls the gateway."""

NOTICED_WITHIN_S = 2.0
"""How long after a client left its call may be open still: what befalls the gateway then befalls the call."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known after a run.

    Attributes:
        users: names, in the order of their numbers.
        billed: the provider's tally.
        standing: of each user: `requests`, `tokens` and `spend`, as the app is told them.
        rolled_up: of each user, the sums of `/scalix/admin/usage`.
        troubles: from when to when something befell the gateway, on the clock of `Seen.began`.
    """

    users: Sequence[str]
    seen: Sequence[Seen]
    records: Sequence[Mapping[str, Any]]
    billed: Sequence[Mapping[str, Any]]
    standing: Mapping[str, Mapping[str, Any]]
    rolled_up: Mapping[str, Mapping[str, Any]]
    troubles: Sequence[tuple[float, float]]


def complaints(evidence: Evidence) -> list[str]:
    """What is wrong, a sentence each; nothing is left out, however much it is."""
    by_id = defaultdict(list)
    for record in evidence.records:
        by_id[record["client_request_id"]].append(record)
    billed = defaultdict(list)
    for call in evidence.billed:
        billed[call["tag"]].append(call)
    said: list[str] = []
    said += _strangers(evidence, by_id)
    attempts = defaultdict(list)
    for seen in evidence.seen:
        attempts[seen.call.tag].append(seen)
    for tag, of_request in attempts.items():
        kept = [record for seen in of_request for record in by_id[seen.request_id]]
        if billed[tag] and not kept:
            said.append(f"{tag}: the provider was called {len(billed[tag])} times, the ledger knows nothing")
        if sum(record["requests_counted"] for record in kept) > 1:
            said.append(f"{tag}: one request counted {len(kept)} times")
        # What befell one attempt may leave its failures to the next.
        is_disturbed = any(
            seen.began < until and since < seen.ended + (NOTICED_WITHIN_S if seen.has_left else 0)
            for seen in of_request
            for since, until in evidence.troubles
        )
        for seen in of_request:
            said += [f"{seen.request_id}: {text}" for text in _of_attempt(seen, by_id[seen.request_id])]
            if seen.is_whole:
                said += [f"{tag}: {text}" for text in _against_tally(seen, billed[tag])]
            if not is_disturbed:
                told = _undisturbed(seen, by_id[seen.request_id], is_billed=bool(billed[tag]))
                said += [f"{seen.request_id}: undisturbed, but {text}" for text in told]
    for record in evidence.records:
        said += [f"{record['client_request_id']}: {text}" for text in _of_record(record)]
    said += _sums(evidence)
    return said


def _strangers(evidence: Evidence, by_id: Mapping[str | None, Sequence[Mapping[str, Any]]]) -> Iterable[str]:
    known = {seen.request_id for seen in evidence.seen}
    for name, kept in by_id.items():
        if name not in known:
            yield f"{name}: a record of a call that nobody made"
        elif len(kept) > 1:
            yield f"{name}: {len(kept)} records of one call"
    for call_id, times in Counter(record["call_id"] for record in evidence.records).items():
        if times > 1:
            yield f"{call_id}: {times} records under one call_id"


def _of_attempt(seen: Seen, kept: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """What holds whatever befell the call."""
    if seen.code in NEVER_THE_CLIENTS:
        yield f"its client was told {seen.code}"
    if seen.status == 200 and not kept:
        yield "an answer had begun, and there is no record"
    if not seen.is_whole or not kept:
        return
    (record,) = kept[:1]
    assert seen.usage is not None
    told = (seen.usage["prompt_tokens"], seen.usage["completion_tokens"], seen.cost_usd)
    is_kept = (record["prompt_tokens"], record["completion_tokens"], _short(record["price_usd"]))
    if (*told[:2], _short(told[2])) != is_kept or record["outcome"] != "ok":
        yield f"its client was told {told}, the record says {is_kept} and {record['outcome']}"


def _against_tally(seen: Seen, billed: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """A finished call is known to its provider, to the token."""
    assert seen.usage is not None
    finished = [call for call in billed if call["outcome"] == "ok"]
    if not finished:
        yield "answered, and the provider never finished"
    elif seen.call.kind is not Kind.UNREPORTED:
        told = (seen.usage["prompt_tokens"], seen.usage["completion_tokens"])
        sent = (finished[-1]["prompt_tokens"], finished[-1]["completion_tokens"])
        if told != sent:
            yield f"its client was told {told} tokens, the provider billed {sent}"


def _undisturbed(seen: Seen, kept: Sequence[Mapping[str, Any]], *, is_billed: bool) -> Iterable[str]:
    """What a call is charged that nothing befell: docs/billing.md, line by line."""
    if seen.has_left and not kept and not is_billed:
        return  # its client did not even wait until it was admitted
    if len(kept) != 1:
        yield f"it has {len(kept)} records; status {seen.status} {seen.code} {seen.error}"
        return
    record = kept[0]
    if seen.call.kind is Kind.RETRIED:
        expected: tuple[str, int, str | None] = (
            ("ok", 1, None) if seen.attempt > 1 else ("error", 0, "PROVIDER_ERROR")
        )
        told = (record["outcome"], 0 if seen.attempt == 1 else 1, record["error_category"])
    else:
        expected = EXPECTED[seen.call.kind]
        if seen.call.kind is Kind.FAILED_LATE and seen.call.is_cut:
            expected = ("error", 0, "NETWORK_ERROR" if seen.call.is_stream else "PROVIDER_ERROR")
        told = (record["outcome"], record["requests_counted"], record["error_category"])
    came_whole = record["completion_tokens"] == seen.call.tokens
    if seen.call.kind is Kind.LEFT and told == ("ok", 1, None) and came_whole:
        return  # all of it was on its way before its client was seen to be gone
    if told != expected:
        yield f"{told} instead of {expected}; status {seen.status} {seen.code} {seen.error}"
    if seen.call.kind in (Kind.LEFT, Kind.FAILED_LATE):
        received = record["completion_tokens"]
        if received is None and not seen.contents:
            return  # a connection that is reset takes with it what the gateway has not read yet
        if received is None or not 0 < received <= seen.call.tokens + 4:
            yield f"{received} tokens of {seen.call.tokens} are charged, {seen.call.at_chunk} were sent"
    if seen.call.kind is Kind.LEFT_EARLY and record["completion_tokens"] not in (0, None):
        yield f"{record['completion_tokens']} tokens are charged, and none was sent"


def _of_record(record: Mapping[str, Any]) -> Iterable[str]:
    """What every record must say of itself."""
    prompt, completion = record["prompt_tokens"], record["completion_tokens"]
    outcome, price = record["outcome"], Decimal(record["price_usd"] or 0)
    model = record["model_used"] or record["model_requested"]
    expected = Decimal(0) if prompt is None else _price(model, prompt, completion or 0)
    if price != expected:
        yield f"{outcome}: costs {price} for {prompt} and {completion} of {model}, not {expected}"
    if outcome == "abandoned" and (completion is not None or record["requests_counted"]):
        yield "abandoned, but with a completion or a request that counts"
    if outcome in ("ok", "aborted") and not prompt:
        yield f"{outcome} without a prompt"
    if record["provider_cost_usd"] is not None:
        of_input, of_output = COSTS[model]
        cost = prompt * Decimal(of_input) + completion * Decimal(of_output)
        if Decimal(record["provider_cost_usd"]) != cost.quantize(NANO, ROUND_HALF_UP):
            yield f"costs its operator {record['provider_cost_usd']}, not {cost}"
    elif outcome == "ok":
        yield "answered, and it is not known what it costs its operator"


def _sums(evidence: Evidence) -> Iterable[str]:
    """Counters and roll-ups of each user against its records."""
    for user in evidence.users:
        kept = [record for record in evidence.records if record["user_id"] == user]
        expected = {
            "requests": sum(record["requests_counted"] for record in kept),
            "tokens": sum((r["prompt_tokens"] or 0) + (r["completion_tokens"] or 0) for r in kept),
            "spend": _short(sum((Decimal(r["price_usd"] or 0) for r in kept), Decimal(0))),
        }
        for name, told in (("counters", evidence.standing[user]), ("roll-ups", evidence.rolled_up[user])):
            exact = {**told, "spend": _short(told["spend"])}
            if exact != expected:
                yield f"{user}: the {name} say {exact}, the ledger {expected}"


def _price(model: str, prompt: int, completion: int) -> Decimal:
    price = PRICES[model]
    exact = (
        prompt * Decimal(price["input_usd_per_1k"]) + completion * Decimal(price["output_usd_per_1k"])
    ) / 1000
    if prompt or completion:
        exact += Decimal(price.get("usd_per_request", "0"))
    return exact.quantize(NANO, ROUND_HALF_UP)


def _short(amount: object) -> str:
    return f"{Decimal(str(amount or 0)).quantize(NANO):f}"
