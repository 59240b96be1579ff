"""1.106.2: whatever JSON a provider sends is an answer, one without a word or with an error in it, too."""

from typing import Any

import litellm
from litellm.exceptions import InternalServerError
from litellm.types.llms.openai import ResponsesAPIResponse
from litellm.types.utils import CallTypes, ModelResponse, TextCompletionResponse

from scalix_callbacks.proxy.whole_reading import is_answer

_ANSWERS = (ModelResponse, TextCompletionResponse, ResponsesAPIResponse)

_original = litellm.utils.async_post_call_success_deployment_hook


def install() -> None:
    """Such an answer is a failure of its provider: the router then tries again, and asks the next model."""
    # Where LiteLLM has the answer of one deployment, and failures still count as that deployment's.
    litellm.utils.async_post_call_success_deployment_hook = async_post_call_success_deployment_hook


async def async_post_call_success_deployment_hook(
    request_data: dict[str, Any], response: Any, call_type: Any
) -> Any:
    is_one = isinstance(response, _ANSWERS) or call_type == CallTypes.anthropic_messages
    if is_one and not is_answer(response):
        about = {
            "message": "The provider's answer held no answer.",
            "model": str(request_data.get("model") or ""),
            "llm_provider": str(request_data.get("custom_llm_provider") or ""),
        }
        failure = InternalServerError(**about)
        await litellm.utils.async_post_call_failure_deployment_hook(request_data, failure, call_type)
        raise failure
    return await _original(request_data, response, call_type)
