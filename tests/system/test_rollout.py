"""A feature on its way through a real gateway: told to the app, and taken back when a provider fails."""

from typing import Any

from tests.system.asking import ask, at_once, user
from tests.system.gateway_process import GatewayProcess, wait_until

R = "/scalix/admin/rollout"


def flags(gateway: GatewayProcess, key: str) -> dict[str, bool]:
    """As the app reads them."""
    with gateway.client(key) as client:
        found: dict[str, bool] = client.get("/v1/user").json()["flags"]
    return found


def step(gateway: GatewayProcess, method: str, path: str, body: Any = None) -> dict[str, Any]:
    with gateway.client() as operator:
        answer = operator.request(method, R + path, **({} if body is None else {"json": body}))
    assert 200 == answer.status_code, answer.text
    told: dict[str, Any] = answer.json()
    return told


def rollbacks(gateway: GatewayProcess) -> float:
    with gateway.client() as operator:
        text = operator.get("/metrics").text
    return sum(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith("scalix_rollbacks_total")
    )


def rolled_back(gateway: GatewayProcess, flag: str) -> dict[str, Any] | None:
    """What is told of it, once whichever worker is asked knows."""
    rows = [row for row in step(gateway, "GET", "")["flags"] if row["flag"] == flag]
    return next((row for row in rows if row["state"] == "rolled_back"), None)


def all_workers(gateway: GatewayProcess, key: str, is_on: bool) -> None:
    """Within five seconds every worker says so: asked again and again, on connections of their own."""
    wait_until(lambda: all(flags(gateway, key)["trial"] is is_on for _ in range(6)), 30)


def test_a_flag_comes_by_percentage_and_goes_when_the_provider_fails(gateway: GatewayProcess) -> None:
    """From every user but the one the operator migrated; it stays off until it is resumed."""
    _, key = user(gateway)
    chosen, chosen_key = user(gateway)
    before = rollbacks(gateway)
    assert {False} == set(flags(gateway, key).values())
    step(gateway, "PUT", "/trial", {"percent": 100})
    step(gateway, "POST", f"/trial/users/{chosen}/migrate")
    all_workers(gateway, key, True)

    def has_failed() -> bool:
        answers = at_once(gateway, key, [ask(model="free-refused")] * 3)
        assert all(answer.status_code >= 500 for answer in answers)
        return not flags(gateway, key)["trial"]

    wait_until(has_failed, 60)
    all_workers(gateway, key, False)
    row = wait_until(lambda: rolled_back(gateway, "trial"), 30)
    with gateway.client() as operator:
        log = operator.get("/scalix/admin/audit").json()["entries"]
    taken_back = next(entry for entry in log if entry["action"] == "rollout.rollback")

    assert ("rolled_back", "error_rate", 100.0) == (
        row["state"],
        row["reason"]["trigger"],
        row["reason"]["error_percent"],
    )
    assert ("system", "trial") == (taken_back["actor"], taken_back["details"]["flag"])
    assert before + 1 == rollbacks(gateway)
    assert flags(gateway, chosen_key)["trial"]
    step(gateway, "POST", "/trial/kill")
    all_workers(gateway, chosen_key, False)
    assert ("running", 0) == tuple(
        step(gateway, "POST", "/trial/resume")[name] for name in ("state", "percent")
    )
