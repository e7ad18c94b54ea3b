"""HTTP/1.1 as bytes and events: no event loop, no sockets, no clock."""

from ._events import CLOSED as CLOSED
from ._events import HTTP_1_0 as HTTP_1_0
from ._events import HTTP_1_1 as HTTP_1_1
from ._events import NEED_DATA as NEED_DATA
from ._events import End as End
from ._events import Event as Event
from ._events import Head as Head
from ._events import Limits as Limits
from ._events import Refused as Refused
from ._events import Version as Version
from ._parser import Parser as Parser
from ._response import Framing as Framing
from ._response import Outgoing as Outgoing
from ._response import WrongLength as WrongLength
from ._response import chunk as chunk
from ._response import frame as frame
from ._response import http_date as http_date
from ._response import informational as informational
from ._response import last_chunk as last_chunk
from ._response import whole_response as whole_response
