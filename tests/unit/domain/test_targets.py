"""Where a webhook may go: only to the public internet, however somebody spells another place."""

from __future__ import annotations

import ipaddress

import pytest

from flask_encore.domain.targets import Target, TargetRefused, checked_address, is_public, parse

#: Places inside, and the ways to spell them.
INSIDE = [
    "https://127.0.0.1/",
    "https://127.0.0.2/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x7f.1/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0177.0.0.01/",
    "https://127.0.0.1./",
    "https://127.000.000.001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://00/",
    "https://0x/",
    "https://10.0.0.1/",
    "https://10.1/",
    "https://172.16.0.1/",
    "https://172.31.255.254/",
    "https://192.168.1.1/",
    "https://192.168.257/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://168.63.129.16/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://198.18.0.1/",
    "https://203.0.113.5/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://256.256.256.256/",
    "https://1.2.3.4.5/",
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:93.184.216.34]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::10.0.0.1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2001:db8::1]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[100::1]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://intranet/",
    "https://①②⑦.0.0.1/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://ⓛocalhost/",
]

#: What two readers of a URL could read differently, or what does not belong in it.
UNREADABLE = [
    "",
    " ",
    "hooks.example.com/a",
    "//hooks.example.com/a",
    "http://hooks.example.com/a",
    "HTTP://hooks.example.com/a",
    "ftp://hooks.example.com/a",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "javascript:alert(1)",
    "https:///a",
    "https://",
    "https://user@hooks.example.com/",
    "https://user:pass@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com:443@127.0.0.1/",
    "https://127.0.0.1#@hooks.example.com/",
    "https://hooks.example.com#a",
    "https://hooks.example.com/#",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/\r\nHost: inside",
    "https://hooks.exa\tmple.com/",
    "https://hooks.example.com/\x00",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:http/",
    "https://-hooks.example.com/",
    "https://hooks..example.com/",
    "https://hooks.example.com%2f@127.0.0.1/",
    "https://hooks.example.com%00/",
    "https://[::1/",
    "https://hooks.éxample.com/",
    "https://" + "a" * 64 + ".com/",
    "https://hooks.example.com/" + "a" * 2_000,
]


@pytest.mark.parametrize("allow_loopback", [False, True], ids=["live", "test mode"])
@pytest.mark.parametrize("url", [*INSIDE, *UNREADABLE])
def test_a_place_inside_is_refused_however_it_is_spelled(url: str, allow_loopback: bool) -> None:
    if allow_loopback and url.lower() in {"https://127.0.0.1/", "https://[::1]/", "https://localhost/"}:
        return
    with pytest.raises(TargetRefused):
        parse(url, allow_loopback=allow_loopback)


@pytest.mark.parametrize("url", [None, 7, b"https://hooks.example.com/", ["https://hooks.example.com/"]])
def test_what_is_no_text_is_refused(url: object) -> None:
    with pytest.raises(TargetRefused):
        parse(url, allow_loopback=False)


def test_a_public_url_is_taken_apart() -> None:
    assert parse("https://Hooks.Example.com:8443/in/%20?key=1&b=2", allow_loopback=False) == Target(
        host="hooks.example.com", port=8443, path="/in/%20?key=1&b=2", is_plain=False, is_local=False
    )


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://hooks.example.com", "hooks.example.com"),
        ("https://hooks.example.com:443/", "hooks.example.com"),
        ("https://hooks.example.com:80/", "hooks.example.com:80"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("https://93.184.216.34/", "93.184.216.34"),
        ("https://[2606:2800:220:1::1]:8443/", "[2606:2800:220:1::1]:8443"),
    ],
)
def test_the_host_header_names_the_port_where_it_is_not_the_usual_one(url: str, header: str) -> None:
    assert parse(url, allow_loopback=False).host_header == header


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_may_be_spoken_to_in_test_mode_only(scheme: str, host: str) -> None:
    url = f"{scheme}://{host}:5000/hook"
    target = parse(url, allow_loopback=True)

    assert (target.is_local, target.is_plain, target.port) == (True, scheme == "http", 5000)
    with pytest.raises(TargetRefused, match="not sent to this machine"):
        parse(url, allow_loopback=False)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:2800:220:1::1", "64:ff9b::808:808"]
)
def test_a_public_address_is_public(address: str) -> None:
    assert checked_address(address) == address


@pytest.mark.parametrize(
    "address", ["64:ff9b::10.0.0.1", "::ffff:8.8.8.8", "2002:808:808::1", "192.88.99.1", "fe80::1%1"]
)
def test_an_address_that_hides_another_one_is_not(address: str) -> None:
    with pytest.raises(TargetRefused, match="not an address of the public internet"):
        checked_address(address)


def test_no_address_that_python_calls_private_is_public() -> None:
    # The first address of every fourth /16 network.
    samples = [ipaddress.IPv4Address((block << 18) + 1) for block in range(2**14)]
    public = [each for each in samples if is_public(each)]

    assert [str(each) for each in public if each.is_private or each.is_multicast] == []
    # Away are 0/8, 10/8, 127/8 (64 each), 100.64/10 (16), 172.16/12 (4), 192.0, 192.168 (1 each) and 224/3 (2,048).
    assert len(public) == 2**14 - 3 * 64 - 16 - 4 - 2 - 2_048
