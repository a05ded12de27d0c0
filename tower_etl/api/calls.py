"""Calls of an endpoint: from path names and query parameters to items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from tower_etl.api.compatibility import Compatibility, Negotiation, RequestForm
from tower_etl.api.endpoints import MAX_PAGE
from tower_etl.api.pagination import Page, limit_items
from tower_etl.api.records import (
    Finding,
    Findings,
    extract_count,
    extract_records,
    malformed_response,
)
from tower_etl.errors import ServerError

if TYPE_CHECKING:
    from tower_etl.api.endpoints import Endpoint
    from tower_etl.api.pagination import FetchPage, Item
    from tower_etl.http import JsonHttpClient, RetryPolicy

Params = dict[str, str | int]

_NO_OBJECTS = "{} element(s) that are no objects were left out"
# These segments change the path of a URL, even if they are percent-encoded.
_NO_SEGMENTS = frozenset({"", ".", ".."})


@dataclass(frozen=True)
class Calls:
    """Calls to the endpoints of one platform. Every method may raise `ApiError`.

    Attributes:
        http_client: HTTP client that sends the requests.
        negotiation: Reduces requests to what the server supports.
        findings: Receives a finding for each unexpected element.
    """

    http_client: JsonHttpClient
    negotiation: Negotiation = field(default_factory=lambda: Negotiation(Compatibility()))
    findings: Findings = field(default_factory=Findings)

    def get(self, endpoint: Endpoint, params: Params | None = None, **names: object) -> Item:
        """Return the unchanged response of an endpoint.

        Args:
            endpoint: Endpoint to call.
            params: Query parameters.
            names: Values of the placeholders in the endpoint's path.

        Raises:
            ServerError: A value would turn the path into that of another endpoint.
        """
        if _NO_SEGMENTS.intersection(map(str, names.values())):
            msg = f"GET {endpoint.path}: the server returned an id that cannot be part of a path."
            raise ServerError(msg)
        segments = {name: quote(str(value), safe="") for name, value in names.items()}
        return self.http_client.get(endpoint.path.format(**segments), params)

    def get_object(self, endpoint: Endpoint, policy: RetryPolicy | None = None) -> Item:
        """Return the object in the response of an endpoint."""
        found = self.http_client.get(endpoint.path, policy=policy).get(endpoint.records_key)
        if isinstance(found, dict):
            return found
        raise malformed_response(endpoint, "object")

    def describe(self, endpoint: Endpoint, params: Params, **names: object) -> Item:
        """Return the response with those attributes of the endpoint that the server supports.

        Raises:
            BadRequestError: The server also rejects the call without any attribute.
        """
        response, _ = self.ask(endpoint, RequestForm(endpoint.attributes), params, **names)
        return response

    def get_list(
        self, endpoint: Endpoint, params: Params | None = None, **names: object
    ) -> list[Item]:
        """Return the objects in the list of a response; report elements of other types."""
        elements = extract_records(endpoint, self.get(endpoint, params, **names))
        objects: list[Item] = [element for element in elements if isinstance(element, dict)]
        if len(objects) < len(elements):
            advice = "Report it to the administrator of the server."
            finding = Finding(f"GET {endpoint.path}", _NO_OBJECTS, advice)
            self.findings.add(finding, count=len(elements) - len(objects))
        return objects

    def get_page(self, endpoint: Endpoint, offset: int, params: Params, **names: object) -> Page:
        """Return a page of a list, as large as the server allows."""
        full_form = RequestForm(endpoint.attributes, MAX_PAGE)
        response, form = self.ask(endpoint, full_form, params | {"offset": offset}, **names)
        has_more = response.get("hasMore")
        return Page(
            extract_records(endpoint, response),
            extract_count(response.get(endpoint.total_key)),
            has_more if isinstance(has_more, bool) else None,
            extract_count(response.get(endpoint.approximate_total_key)),
            form.size,
        )

    def paged(self, endpoint: Endpoint, most: int, params: Params, **names: object) -> FetchPage:
        """Return a function that fetches the page at an offset, up to `most` items in all."""
        name = f"GET {endpoint.path}"
        return limit_items(
            most, lambda offset: self.get_page(endpoint, offset, params, **names), name
        )

    def ask(
        self, endpoint: Endpoint, full_form: RequestForm, params: Params, **names: object
    ) -> tuple[Item, RequestForm]:
        """Return the response to the fullest form of a call that the server accepts, and that form.

        Raises:
            BadRequestError: The server rejects the call in every form.
        """

        def send(form: RequestForm) -> Item:
            return self.get(endpoint, params | form.params, **names)

        return self.negotiation.send(endpoint, full_form, send)
