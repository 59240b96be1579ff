"""One call on its way through the gateway: what every later step may ask about it."""

from contextvars import ContextVar
from dataclasses import dataclass, field

from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.errors import GatewayError
from scalix_callbacks.core.figures import Figure
from scalix_callbacks.core.limits import Admitted, Ask, Settled
from scalix_callbacks.core.pricing import Rates
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.upgrade import UpgradePrompt


@dataclass(slots=True)
class Call:
    """Filled step by step; `caller` is None until the request is authenticated.

    Attributes:
        request_id: ours, in the `x-scalix-request-id` of the answer. Never the client's.
        started_at_s: Unix time of its arrival.
        rates: what its model costs the user, by the price of its arrival; None: there is no price.
        price_nano_usd: what its user pays; None: it has not ended, or there is no price.
        ask, admission: what was asked of the limits and what they gave; None: not admitted (yet).
        local_ask: this worker's share of `ask`, where the store was lost and the tier goes on without it.
        is_ending: set by the first who settles it; whoever comes later leaves it alone.
        settled: how it ended; None while it is open or when the store could not be asked.
        first_token_at_s: when the first piece of the answer came from the provider.
        figures, figures_at_s: what its answer tells of the limits, and when that held (the store's clock).
        prompt: the upgrade prompt its answer carries.
        headers: what else its answer carries beside the request id.
        is_at_edge: it came through our edge, which dresses the answer.
        failure: how LiteLLM's call ended, in our terms; None: it did not fail, or not yet.
    """

    request_id: str
    client_request_id: str | None = None
    started_at_s: float = 0.0
    caller: Caller | None = None
    endpoint: Endpoint | None = None
    model: str | None = None
    is_stream: bool = False
    rates: Rates | None = None
    price_nano_usd: int | None = None
    ask: Ask | None = None
    admission: Admitted | None = None
    local_ask: Ask | None = None
    is_ending: bool = False
    settled: Settled | None = None
    first_token_at_s: float | None = None
    figures: tuple[Figure, ...] = ()
    figures_at_s: float = 0.0
    prompt: UpgradePrompt | None = None
    headers: dict[str, str] = field(default_factory=dict)
    is_at_edge: bool = False
    failure: GatewayError | None = None


CALL_IN_SCOPE = "scalix.call"
"""Where the edge leaves the authenticated Call in the ASGI scope. No request can write there."""

CURRENT_CALL: ContextVar[Call | None] = ContextVar("scalix_call", default=None)
"""The call this task works for; None outside of one."""


def current_request_id() -> str | None:
    call = CURRENT_CALL.get()
    return call.request_id if call else None
