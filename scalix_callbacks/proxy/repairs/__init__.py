"""What of LiteLLM is mended from outside, each with the version it was seen in; never on disk.

correlation         a crash when a client hangs up
unused_hooks        hooks for limits of LiteLLM's own keys, of which there are none here
success_log         what LiteLLM prepares after each call for loggers, where nobody logs
zero_cost           its search, after each call of a model without a price, for the reason
answer_cost         its cost of a call, for a header that users do not see
deployment_usage    its search, after each call, for limits of a deployment that has none
stream_models       how its models of a chunk set what they do not declare
response_ids        its look at each chunk of each stream for ids of another API

`tests/proxy/test_repairs.py` tells when one can go.
"""

from scalix_callbacks.proxy.repairs import (
    answer_cost,
    correlation,
    deployment_usage,
    response_ids,
    stream_models,
    success_log,
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
    response_ids,
    stream_models,
)


def install() -> None:
    """Before LiteLLM starts up. Done again, it changes nothing more."""
    for repair in REPAIRS:
        repair.install()
