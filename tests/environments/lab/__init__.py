"""A laboratory of disposable hosts: real services on a private network, told as a story."""

from .debian import NotGiven, System, unpack
from .host import Host, User
from .lab import Lab, available, end, kept, sweep
from .laptop import Laptop
from .names import Names
from .parts import LabError
from .process import Process, Result
from .server import Server
from .service import Service
from .terminal import Terminal

__all__ = [
    "Host",
    "Lab",
    "LabError",
    "Laptop",
    "Names",
    "NotGiven",
    "Process",
    "Result",
    "Server",
    "Service",
    "System",
    "Terminal",
    "User",
    "available",
    "end",
    "kept",
    "sweep",
    "unpack",
]
