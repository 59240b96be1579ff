"""The address of a Redis Cluster or of Sentinels, as an operator writes it."""

import pytest

from scalix_callbacks.core.redis_address import MAX_NODES, Node, cluster_address, sentinel_address


@pytest.mark.parametrize("url", ["redis://a,b", "rediss://a", "unix:///r.sock", "a:1", ""])
def test_other_addresses_name_no_cluster(url: str) -> None:
    """They are left to whoever reads those."""
    assert cluster_address(url) is None
    assert sentinel_address(url) is None


def test_each_node_has_the_login_and_the_options() -> None:
    """What is written once holds for all of them; 6379 is the usual port."""
    address = cluster_address(
        "rediss+cluster://me:p%40ss@one:7000, two,[::1]:7001,two:6379/0?ssl_ca_certs=/c"
    )

    assert address is not None
    assert (Node("one", 7000), Node("two", 6379), Node("::1", 7001)) == address.nodes
    assert [
        "rediss://me:p%40ss@one:7000/0?ssl_ca_certs=/c",
        "rediss://me:p%40ss@two:6379/0?ssl_ca_certs=/c",
        "rediss://me:p%40ss@[::1]:7001/0?ssl_ca_certs=/c",
    ] == [address.url_of(node) for node in address.nodes]


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        (",".join(f"h{i}" for i in range(MAX_NODES + 1)), "names more than 64 nodes"),
        ("[::1", "its hosts are none"),
        ("a:99999", "a host or port of it is none"),
        ("a/1", "database 0 alone"),
        ("a#b", "database 0 alone"),
    ],
)
def test_what_is_no_address_is_told_without_it(places: str, sentence: str) -> None:
    """It may hold a password."""
    with pytest.raises(ValueError, match=sentence) as error:
        cluster_address(f"redis+cluster://me:hidden@{places}")

    assert "hidden" not in str(error.value)


def test_sentinels_have_a_name_for_the_master() -> None:
    """The login and the options are those of the master; 26379 is a Sentinel's usual port."""
    address = sentinel_address("redis+sentinel://:secret@one,two:7/main?protocol=2")

    assert address is not None
    assert (Node("one", 26379), Node("two", 7)) == address.nodes
    assert "main" == address.service
    assert "redis://:secret@three:6379/0?protocol=2" == address.url_of(Node("three", 6379))


@pytest.mark.parametrize("places", ["a", "a/", "a/b/c", "/name", "a:x/name", "[::1/name", "a/b#c"])
def test_what_names_no_sentinels_is_told(places: str) -> None:
    """With an example that holds nothing of it."""
    with pytest.raises(ValueError, match=r"Write e\.g\. rediss\+sentinel://host-1:26379"):
        sentinel_address(f"rediss+sentinel://{places}")
