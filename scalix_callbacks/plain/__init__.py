"""The pack in a plain script: usage, costs, limits and errors without a proxy around it (spec G6).

`from scalix_callbacks import usage_tracker, cost_calculator, rate_limiter, error_handler` works on the
settings of the process: its environment, `scalix_config.env` and `.env` in the working directory.
"""

from scalix_callbacks.plain.costs import CostCalculator
from scalix_callbacks.plain.errors import ErrorHandler
from scalix_callbacks.plain.limits import RateLimiter
from scalix_callbacks.plain.usage import UsageTracker
from scalix_callbacks.plain.workplace import Workplace

_workplace = Workplace()
usage_tracker = UsageTracker(_workplace)
cost_calculator = CostCalculator(_workplace)
rate_limiter = RateLimiter(_workplace)
error_handler = ErrorHandler(_workplace)
