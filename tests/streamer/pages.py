"""What a node serves over HTTP, asked for as monitoring does."""

import http.client

from prometheus_client.parser import text_string_to_metric_families

from streamer.reading import Reading


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Return the status and the body of a page on this machine."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request(method, path)
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


def scrape(port: int) -> Reading:
    """Return all metrics, read by the client library's own parser."""
    status, text = get(port, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return Reading([sample for family in families for sample in family.samples])
