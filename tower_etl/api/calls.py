"""Calls of an endpoint: names and parameters go in, items come out."""

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
_NO_SEGMENTS = frozenset({"", ".", ".."})  # in a path they mean another one, however quoted


@dataclass(frozen=True)
class Calls:
    """Calls endpoints of one platform. Every method may raise `ApiError`.

    Attributes:
        http_client: Carries the calls.
        negotiation: Leaves out of calls what the server does not support.
        findings: Told of odd elements.
    """

    http_client: JsonHttpClient
    negotiation: Negotiation = field(default_factory=lambda: Negotiation(Compatibility()))
    findings: Findings = field(default_factory=Findings)

    def get(self, endpoint: Endpoint, params: Params | None = None, **names: object) -> Item:
        """The answer to a call, as it is.

        Raises:
            ServerError: A name would make the path that of another endpoint.
        """
        if _NO_SEGMENTS.intersection(map(str, names.values())):
            msg = f"GET {endpoint.path}: the server gave out an id that cannot be asked for."
            raise ServerError(msg)
        segments = {name: quote(str(value), safe="") for name, value in names.items()}
        return self.http_client.get(endpoint.path.format(**segments), params)

    def get_object(self, endpoint: Endpoint, policy: RetryPolicy | None = None) -> Item:
        """The object that the answer holds."""
        found = self.http_client.get(endpoint.path, policy=policy).get(endpoint.records_key)
        if isinstance(found, dict):
            return found
        raise malformed_response(endpoint, "object")

    def describe(self, endpoint: Endpoint, params: Params, **names: object) -> Item:
        """Return the answer to a call with those attributes of its endpoint that the server knows.

        Raises:
            BadRequestError: The server refuses the call without any attribute, too.
        """
        answer, _ = self.ask(endpoint, RequestForm(endpoint.attributes), params, **names)
        return answer

    def get_list(
        self, endpoint: Endpoint, params: Params | None = None, **names: object
    ) -> list[Item]:
        """Return the objects in the list that the answer holds; report what else is in it."""
        elements = extract_records(endpoint, self.get(endpoint, params, **names))
        objects: list[Item] = [element for element in elements if isinstance(element, dict)]
        if len(objects) < len(elements):
            advice = "Report it to the administrator of the server."
            finding = Finding(f"GET {endpoint.path}", _NO_OBJECTS, advice)
            self.findings.add(finding, count=len(elements) - len(objects))
        return objects

    def get_page(self, endpoint: Endpoint, offset: int, params: Params, **names: object) -> Page:
        """Return a page of a list, as large as the server allows."""
        wanted = RequestForm(endpoint.attributes, MAX_PAGE)
        answer, form = self.ask(endpoint, wanted, params | {"offset": offset}, **names)
        has_more = answer.get("hasMore")
        return Page(
            extract_records(endpoint, answer),
            extract_count(answer.get(endpoint.total_key)),
            has_more if isinstance(has_more, bool) else None,
            extract_count(answer.get(endpoint.approximate_total_key)),
            form.size,
        )

    def paged(self, endpoint: Endpoint, most: int, params: Params, **names: object) -> FetchPage:
        """Return what gives the page at an offset; a list without end is left after `most`."""
        name = f"GET {endpoint.path}"
        return limit_items(most, lambda at: self.get_page(endpoint, at, params, **names), name)

    def ask(
        self, endpoint: Endpoint, wanted: RequestForm, params: Params, **names: object
    ) -> tuple[Item, RequestForm]:
        """Return the answer to a call in the fullest form that the server accepts, and that form.

        Raises:
            BadRequestError: The server refuses the call in every form.
        """

        def send(form: RequestForm) -> Item:
            return self.get(endpoint, params | form.params, **names)

        return self.negotiation.send(endpoint, wanted, send)


def _workspace_params(workspace_id: int | None) -> Params:
    """API fact 13: without `workspaceId` a call speaks of the personal workspace."""
    return {} if workspace_id is None else {"workspaceId": workspace_id}
