"""What can go wrong between us and Redis.

StoreError
  StoreLost      Redis did not answer, or not in time; what was asked for may or may not have happened
  ShardsDiffer   Redis holds the data of a gateway with another number of shards
"""


class StoreError(Exception):
    """Redis could not be used."""


class StoreLost(StoreError):
    """Redis did not answer, or not in time; what was asked for may or may not have happened."""


class ShardsDiffer(StoreError):
    """Redis holds the data of a gateway with another number of shards."""
