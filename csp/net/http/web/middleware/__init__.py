"""Functions from a handler to a handler around it."""

from ._apache_logged import apache_logged as apache_logged
from ._logged import logged as logged
