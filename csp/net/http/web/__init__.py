"""Handlers that are made of others, and of typed functions."""

from ._convert import Converter as Converter
from ._marshaled import Marshaled as Marshaled
from ._marshaled import marshaled as marshaled
from ._media import accepts as accepts
from ._openapi import openapi as openapi
from ._openapi import openapi_handler as openapi_handler
from ._reply import Context as Context
from ._reply import Header as Header
from ._reply import Param as Param
from ._reply import Reply as Reply
from ._router import Router as Router
from ._routes import Route as Route
