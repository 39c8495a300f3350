"""A laboratory of disposable hosts: real services on a private network, told as a story."""

from .host import Host, User
from .lab import Lab, available, sweep
from .laptop import Laptop
from .parts import LabError
from .process import Process, Result
from .terminal import Terminal

__all__ = ["Host", "Lab", "LabError", "Laptop", "Process", "Result", "Terminal", "User", "available", "sweep"]
