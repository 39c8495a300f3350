"""A laboratory of disposable hosts: real services on a private network, told as a story."""

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
    "Process",
    "Result",
    "Server",
    "Service",
    "Terminal",
    "User",
    "available",
    "end",
    "kept",
    "sweep",
]
