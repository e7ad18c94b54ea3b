"""Handlers that are made of others, and of typed functions."""

from ._chain import chain as chain
from ._context import with_context as with_context
from ._convert import Converter as Converter
from ._first import conditional as conditional
from ._first import first as first
from ._marshaled import Marshaled as Marshaled
from ._marshaled import marshaled as marshaled
from ._openapi import openapi as openapi
from ._openapi import openapi_handler as openapi_handler
from ._problems import errors_as as errors_as
from ._problems import mapped as mapped
from ._reply import Context as Context
from ._reply import Header as Header
from ._reply import Param as Param
from ._reply import Reply as Reply
from ._router import Router as Router
from ._routes import Route as Route
from ._wrapped import Handler as Handler
from ._wrapped import Middleware as Middleware
from .middleware import apache_logged as apache_logged
from .middleware import logged as logged
