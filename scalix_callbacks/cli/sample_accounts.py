"""The accounts that the README's examples speak of; the demo has them."""

from contextlib import suppress

from scalix_callbacks.ledger.accounts import AccountExists, Accounts

SAMPLE_ACCOUNTS = (("free_user_123", "free"), ("pro_user_456", "pro"), ("scalix_pro_user_456", "pro"))


def make_sample_accounts(accounts: Accounts) -> None:
    """Makes those that are not there; one that is keeps its tier."""
    for account_id, tier in SAMPLE_ACCOUNTS:
        if accounts.find_account(account_id) is None:
            with suppress(AccountExists):
                accounts.create_account(account_id, tier)
