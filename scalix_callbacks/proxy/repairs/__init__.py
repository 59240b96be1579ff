"""What of LiteLLM is mended from outside, each with the version it was seen in; never on disk.

correlation         a crash when a client hangs up
unused_hooks        hooks for limits of LiteLLM's own keys, of which there are none here
success_log         what LiteLLM prepares after each call for loggers, where nobody logs
zero_cost           its search, after each call of a model without a price, for the reason
answer_cost         its cost of a call, for a header that users do not see
deployment_usage    its search, after each call, for limits of a deployment that has none
stream_models       how its models of a chunk set what they do not declare
refused_keys        its retries of credentials that a provider refused
callers_mistakes    its retries of wrong requests, and deployments that rest for all by what one caller asked
response_ids        its look at each chunk of each stream for ids of another API
empty_streams       a stream of garbage that ends as a complete answer, where another model could answer
empty_messages      the same of /v1/messages, where the provider's own words go on with it
empty_responses     the same of /v1/responses
empty_answers       the same of answers that are no streams
counted_failures    its count of failures: of streams against the deployment asked next, or not at all
last_pause          its pause after the last retry, before another model or the error
done_marks          text with [DONE] in it, which it takes for the end of a stream
text_streams        streams of /v1/completions, whose failures came when no other model was tried any more

`tests/proxy/test_repairs.py` tells when one can go.
"""

from scalix_callbacks.proxy.repairs import (
    answer_cost,
    callers_mistakes,
    correlation,
    counted_failures,
    deployment_usage,
    done_marks,
    empty_answers,
    empty_messages,
    empty_responses,
    empty_streams,
    garbage,
    last_pause,
    refused_keys,
    response_ids,
    stream_models,
    success_log,
    text_streams,
    unused_hooks,
    zero_cost,
)

REPAIRS = (
    correlation,
    unused_hooks,
    success_log,
    zero_cost,
    answer_cost,
    deployment_usage,
    garbage,
    refused_keys,
    callers_mistakes,
    response_ids,
    stream_models,
    empty_streams,
    empty_messages,
    empty_responses,
    empty_answers,
    counted_failures,
    last_pause,
    done_marks,
    text_streams,
)


def install() -> None:
    """Before LiteLLM starts up. Done again, it changes nothing more."""
    for repair in REPAIRS:
        repair.install()
