"""Finding the app, and telling what it is."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import traceback
from importlib import import_module
from typing import Any

from ._unable import Unable

# By how many arguments it needs.
_INTERFACES = {1: "handler", 3: "asgi"}


def load(options: argparse.Namespace) -> Any:
    """Return the handler that the command line names.

    Raises:
        Unable: There is none.
    """
    app = _find(options)
    if options.factory:
        app = _of_program(app)
    if not callable(app):
        raise Unable(f"{options.app} is {app!r}, which is no handler and no ASGI app")
    interface = options.interface
    if interface == "auto":
        interface = told_apart(app, options.app)
    return app if interface == "handler" else _from_asgi(app, options)


def _find(options: argparse.Namespace) -> Any:
    name, colon, path = options.app.partition(":")
    if not (name and colon and path) or name.startswith("."):
        raise Unable(f"{options.app!r} names no app. Write it as module:app")
    sys.path.insert(0, os.path.abspath(options.app_dir))
    found = _import(name)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Unable(f"{name!r} has no {path!r}: {part!r} is not there") from None
    return found


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _shown(error) from None
        raise Unable(
            f"there is no module {error.name!r} in {sys.path[0]} or elsewhere on the "
            "path"
        ) from None
    except (Exception, SystemExit) as error:
        raise _shown(error) from None


def _of_program(fn: Any) -> Any:
    try:
        return fn()
    except (Exception, SystemExit) as error:
        raise _shown(error) from None


def _shown(error: BaseException) -> Unable:
    """Show the program's own error with its traceback, from its own code on."""
    ours = error.__traceback__
    while ours is not None and _is_ours(ours.tb_frame.f_code.co_filename):
        ours = ours.tb_next
    traceback.print_exception(type(error), error, ours)
    return Unable(f"the program failed before it began: {type(error).__name__}")


def _is_ours(file: str) -> bool:
    importing = "<frozen importlib", import_module.__code__.co_filename
    return file == __file__ or file.startswith(importing)


def told_apart(app: Any, name: str) -> str:
    """Return what an app is, a handler or of ASGI, by the arguments that it takes."""
    needed = _arguments(app)
    if needed is not None and needed in _INTERFACES:
        return _INTERFACES[needed]
    if needed == 0:
        raise Unable(f"{name} takes no request. If it makes the app, write --factory")
    raise Unable(
        f"{name} may be a handler, which takes a request, or an ASGI app, which takes "
        "scope, receive and send. Write --interface handler, or --interface asgi"
    )


def _arguments(app: Any) -> int | None:
    """Return how many arguments it has to be given; None if that cannot be said."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return None
    needed = [each.kind for each in parameters if each.default is each.empty]
    if inspect.Parameter.VAR_POSITIONAL in needed:
        return None
    if inspect.Parameter.KEYWORD_ONLY in needed:
        return None
    return len([kind for kind in needed if kind is not inspect.Parameter.VAR_KEYWORD])


def _from_asgi(app: Any, options: argparse.Namespace) -> Any:
    from csp.net.http.asgi import from_asgi

    return from_asgi(
        app, root_path=options.root_path, has_lifespan=options.lifespan == "auto"
    )
