"""Where an address leads, as a browser reads it; and what is no link, as it could be read in two ways."""

from __future__ import annotations

import string
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_client.gui.exchange_link import MOST_NAMED, Link, as_link
from twinhull_policy.exchange import SCHEMES, URL_BYTES

LEADS = {
    "https://example.com": "example.com",
    "HTTPS://Example.COM/Path": "example.com",
    "http://example.com:8080/a?b=c#d": "example.com",
    "https://example.com.": "example.com.",
    "https://a_b.example/": "a_b.example",
    "https://bank.example@evil.example/login": "evil.example",
    "https://bank.example%2F@evil.example/": "evil.example",
    "https://a@b@evil.example/": "evil.example",
    "https://evil.example?@bank.example/": "evil.example",
    "https://evil.example#@bank.example/": "evil.example",
    "https://192.0.2.1/": "192.0.2.1",
    "https://[2001:DB8:0:0::1]:8443/": "[2001:db8::1]",
    "https://xn--80ak6aa92e.com/": "xn--80ak6aa92e.com",
    "https://\u0430\u0440\u0440\u04cf\u0435.com/": "xn--80ak6aa92e.com",
    "https://bücher.example/straße": "xn--bcher-kva.example",
    "https://evil\u3002example/": "evil.example",
}
NOT_LINKS = {
    "no scheme": "example.com",
    "another scheme": "javascript:alert(1)",
    "a file": "file:///etc/passwd",
    "a text with one in it": "see https://example.com",
    "two lines": "https://example.com\nhttps://other.example",
    "a blank": "https://exam ple.com/",
    "a tab that browsers drop": "https://exa\tmple.com/",
    "a backslash that browsers take for a slash": "https://evil.example\\@bank.example/",
    "no slashes, which browsers add": "https:evil.example/",
    "one slash": "https:/evil.example/",
    "three slashes": "https:///evil.example/",
    "no host": "https://",
    "nothing but a user": "https://user@/",
    "an encoded host, which browsers decode": "https://ev%69l.example/",
    "a number as address": "https://2130706433/",
    "a hexadecimal address": "https://0x7f.1/",
    "an octal address": "https://0177.0.0.1/",
    "a short address": "https://127.1/",
    "an address with a zone": "https://[fe80::1%25eth0]/",
    "no such address": "https://[2001:db8::zz]/",
    "a port that is none": "https://example.com:99999/",
    "an empty part": "https://example..com/",
    "a part too long": f"https://{'a' * 64}.example/",
    "a damaged code": "https://xn--\u00e9.example/",
    "a code of nothing": "https://xn--.example/",
    "turned around": "https://example.com/\u202egpj.exe",
    "a zero-width letter": "https://exam\u200bple.com/",
    "a quotation mark": 'https://example.com/"onmouseover=',
    "too long": "https://example.com/" + "a" * URL_BYTES,
    "too long once encoded": "https://example.com/" + "ü" * (URL_BYTES // 4),
}


@pytest.mark.parametrize("text", list(LEADS))
def test_where_it_leads(text: str) -> None:
    link = as_link(text)
    assert link is not None
    assert link.host == LEADS[text]
    assert link.content.isascii() and len(link.content) <= URL_BYTES
    again = as_link(link.content)
    assert again is not None and (again.host, again.content) == (link.host, link.content)


@pytest.mark.parametrize("why", list(NOT_LINKS))
def test_no_link(why: str) -> None:
    assert as_link(NOT_LINKS[why]) is None


def test_what_is_told_of_a_host_in_disguise() -> None:
    cyrillic = _link("https://\u0430\u0440\u0440\u04cf\u0435.com/")
    assert (cyrillic.host, cyrillic.reads, cyrillic.mixed) == (
        "xn--80ak6aa92e.com",
        "\u0430\u0440\u0440\u04cf\u0435.com",
        False,
    )
    assert "CYRILLIC SMALL LETTER A" in cyrillic.letters
    assert _link("https://p\u0430ypal.com/").mixed
    assert not _link("https://bücher.example/").mixed
    assert not _link("https://\u306b\u307b\u3093\u65e5\u672c.example/").mixed
    assert (
        len(_link("https://\u0430\u0431\u0432\u0433\u0434\u0435\u0436\u0437.example/").letters) == MOST_NAMED
    )
    assert _link("https://bank.example@evil.example/").disguised
    assert _link("https://example.com:8443/").port == 8443
    plain = _link("http://example.com/a")
    assert plain == Link("http://example.com/a", "http", "example.com", "example.com")


def _link(text: str) -> Link:
    link = as_link(text)
    assert link is not None
    return link


@given(
    st.text(
        alphabet=string.ascii_letters + string.digits + "-._~:/?#[]@!$&'()*+,;=%\\ \t\u0430é\u3002\u202e",
        max_size=60,
    )
)
def test_whatever_a_guest_says_is_read_alike_when_it_crosses(rest: str) -> None:
    """The host that is shown is the one in what crosses, which has nothing that browsers forgive."""
    link = as_link("https://" + rest)
    if link is None:
        return
    assert all("!" <= each <= "~" for each in link.content) and "\\" not in link.content
    parts = urlsplit(link.content)
    assert parts.scheme in SCHEMES
    assert (parts.hostname or "") == link.host.strip("[]")
    assert as_link(link.content) is not None
