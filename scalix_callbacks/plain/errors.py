"""`error_handler`: what went wrong, as the gateway would tell it."""

from collections.abc import Mapping
from typing import Any

from scalix_callbacks.core.errors import ErrorCategory, GatewayError, render
from scalix_callbacks.core.record import Outcome
from scalix_callbacks.ledger.account_rules import check_account_id
from scalix_callbacks.plain.calls import call_record
from scalix_callbacks.plain.workplace import Workplace


class ErrorHandler:
    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def handle_error(
        self, user_id: str, model: str, error: object, metadata: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Counts a failed call for its account, model and category, and says what to tell the user.

        Args:
            error: an exception of LiteLLM, of OpenAI or of anyone, or the name of a category.
            metadata: see `call_record`.

        Returns:
            `{"error": …}` as the gateway answers; nothing of the provider's text is in it.

        Raises:
            ValueError: an argument cannot be what it should be.
            DatabaseError: the database fails.
        """
        check_account_id(user_id)
        told = _told(error)
        at, tier = self._workplace.now, self._workplace.tier_of(user_id).name
        record = call_record(
            *(user_id, model, metadata),
            at=at,
            tier=tier,
            outcome=Outcome.ERROR,
            category=told.category,
            is_request=False,
        )
        self._workplace.keep(record)
        return {"error": render(told, record.request_id)}


def _told(error: object) -> GatewayError:
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, BaseException):
        # Seconds to import: only who has an error to tell waits for it.
        from scalix_callbacks.proxy.errors import to_gateway_error

        return to_gateway_error(error)
    named = [category for category in ErrorCategory if category == error]
    return GatewayError(named[0] if named else ErrorCategory.INTERNAL)
