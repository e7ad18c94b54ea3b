"""Handlers that are made of others: the router."""

from ._convert import Converter as Converter
from ._router import Router as Router
from ._routes import Route as Route
