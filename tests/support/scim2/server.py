"""A SCIM server made of scim2-server, with storage in memory.

Every first path segment is a world of its own, so that a test begins with an empty server. Prints its port, and ends when
its standard input does. With the argument `cursor`, lists are paged by cursor.
"""

import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from scim2_models import ScimProvider, ServiceProviderConfig
from scim2_server.applications.wsgi import TenantDispatcher
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BearerTokenApplication
from scim2_server.testserver.cli import ThreadingWSGIServer
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

BY_CURSOR = {
    "cursor": True,
    "index": False,
    "defaultPaginationMethod": "cursor",
    "defaultPageSize": 10,
    "maxPageSize": 10,
    "cursorTimeout": 3600,
}


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *_):
        """Nobody reads it."""


def main():
    token = os.environ["LOCKSTEP_SCIM_TOKEN"]
    config = load_default_service_provider_config()
    if "cursor" in sys.argv[1:]:
        config = ServiceProviderConfig.model_validate({**config.model_dump(), "pagination": BY_CURSOR})
    provider = ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=config
    )
    service = ScimService(provider, secret=token)

    def world(_name):
        return BearerTokenApplication(InMemoryStorage(), provider, service=service, bearer_tokens=[token])

    server = make_server(
        "127.0.0.1", 0, TenantDispatcher(world), server_class=ThreadingWSGIServer, handler_class=Quiet
    )
    print(f"port {server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
