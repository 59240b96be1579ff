"""One call on its way through the gateway: what every later step may ask about it."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from scalix_callbacks.core.auto import Choice
from scalix_callbacks.core.caching import CachePlan
from scalix_callbacks.core.caller import Caller
from scalix_callbacks.core.claims import NOBODY, Sender
from scalix_callbacks.core.context.request import EngineRequest
from scalix_callbacks.core.errors import ErrorCategory, GatewayError
from scalix_callbacks.core.figures import Figure
from scalix_callbacks.core.limits import Admitted, Ask, Settled
from scalix_callbacks.core.pricing import Rates
from scalix_callbacks.core.routes import Endpoint
from scalix_callbacks.core.simulation import Simulation
from scalix_callbacks.core.trace import Step, Trace
from scalix_callbacks.core.upgrade import UpgradePrompt


@dataclass(slots=True)
class Try:
    """One time a provider was asked.

    Attributes:
        deployment_id: LiteLLM's of whom; None: nobody really was.
        names: of the model: `model`, its public one, and `deployment`, that at its provider.
        category: what it failed with; None: it has not, or not yet.
    """

    deployment_id: str | None
    names: Mapping[str, str]
    category: ErrorCategory | None = None


@dataclass(slots=True)
class Call:
    """Filled step by step; `caller` is None until the request is authenticated.

    Attributes:
        request_id: ours, in the `x-scalix-request-id` of the answer. Never the client's.
        started_at_s: Unix time of its arrival.
        asked_model: as the client wrote it, unchecked: for counting by `Catalogue.label` alone.
        model: the one that is to answer; for auto mode the one that was chosen.
        choice: how it was chosen; None: the request names it.
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
        cache_control: its header of that name.
        cache: how its answer may come from the cache, and go there; None: not at all.
        failure: how LiteLLM's call ended, in our terms; None: it did not fail, or not yet.
        engine: what it asks of the engine; None: nothing.
        tries: each time a provider was asked for it.
        counted: ids of LiteLLM's deployments against which a failure of it was counted.
        trace: what happened to it; None: nobody keeps that.
        sender: what its program says of itself.
        record: of its end, in JSON values, once it was settled.
        simulated: how its providers are to fail; in development alone.
        work_began_s: since when we work on it, by a clock that only grows; waiting for its body left out.
    """

    request_id: str
    client_request_id: str | None = None
    started_at_s: float = 0.0
    caller: Caller | None = None
    endpoint: Endpoint | None = None
    asked_model: str | None = None
    model: str | None = None
    choice: Choice | None = None
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
    cache_control: str | None = None
    cache: CachePlan | None = None
    failure: GatewayError | None = None
    engine: EngineRequest | None = None
    work_began_s: float = 0.0
    tries: list[Try] = field(default_factory=list)
    counted: set[str] = field(default_factory=set)
    trace: Trace | None = None
    sender: Sender = NOBODY
    record: Mapping[str, Any] | None = None
    simulated: Simulation | None = None

    @property
    def model_requested(self) -> str:
        """As the client named it: a model, or an auto mode."""
        return self.choice.requested if self.choice is not None else self.model or ""

    @property
    def first_token_s(self) -> float | None:
        """From its arrival to the first piece of the answer; None: there was none yet."""
        if self.first_token_at_s is None:
            return None
        return max(self.first_token_at_s - self.started_at_s, 0.0)

    def note(self, step: Step, about: Mapping[str, Any] | None = None) -> None:
        """For its trace, where that is kept; names and numbers alone."""
        if self.trace is not None:
            self.trace.note(step, about)


CALL_IN_SCOPE = "scalix.call"
"""Where the edge leaves the authenticated Call in the ASGI scope. No request can write there."""

CURRENT_CALL: ContextVar[Call | None] = ContextVar("scalix_call", default=None)
"""The call this task works for; None outside of one."""


def current_request_id() -> str | None:
    call = CURRENT_CALL.get()
    return call.request_id if call else None
