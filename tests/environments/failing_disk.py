"""A disk that fails: a FUSE file system that shows FOLDER at POINT, read-only, and fails when told to.

Run as root: failing_disk.py FOLDER POINT ORDERS [OPTIONS]. A line of the file ORDERS is a request that fails,
a path and an error number: `OPENDIR /cmartin 5`. Without the option allow_other, only user 1000 may enter,
not even root.
"""

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path

FORGET, RELEASE, RELEASEDIR, INIT, INTERRUPT, BATCH_FORGET = 2, 18, 29, 26, 36, 42
NAMES = {1: "LOOKUP", 3: "GETATTR", 5: "READLINK", 14: "OPEN", 15: "READ", 27: "OPENDIR", 28: "READDIR"}
HEADER = struct.Struct("<IIQQIIII")


class Disk:
    """What the kernel asks for, by linux/fuse.h."""

    def __init__(self, folder: str, orders: str) -> None:
        self.folder, self.orders, self.paths = folder, Path(orders), ["", "/"]  # node 1 is the top

    def answer(self, opcode: int, node: int, body: bytes) -> bytes:
        """Return the body of the answer; raises OSError."""
        name, path = NAMES.get(opcode, ""), self.paths[node]
        if name == "LOOKUP":
            path = str(Path(path, os.fsdecode(body.rstrip(b"\0"))))
        for order in self.orders.read_text().splitlines():
            if order.rpartition(" ")[0] == f"{name} {path}":
                raise OSError(int(order.rpartition(" ")[2]), "")
        if not name:
            raise OSError(errno.ENOSYS, "")
        answer: bytes = getattr(self, name.lower())(path, body)
        return answer

    def attributes(self, path: str) -> bytes:
        s = os.lstat(self.folder + path)
        times = (int(s.st_atime), int(s.st_mtime), int(s.st_ctime))
        numbers = (0, 0, 0, s.st_mode, s.st_nlink, s.st_uid, s.st_gid, 0, 4096, 0)
        return struct.pack("<6Q10I", s.st_ino, s.st_size, s.st_blocks, *times, *numbers)

    def lookup(self, path: str, _: bytes) -> bytes:
        attributes = self.attributes(path)
        if path not in self.paths:
            self.paths.append(path)
        return struct.pack("<QQQQII", self.paths.index(path), 0, 0, 0, 0, 0) + attributes

    def getattr(self, path: str, _: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self.attributes(path)

    def readlink(self, path: str, _: bytes) -> bytes:
        return bytes(Path(self.folder + path).readlink())

    def open(self, _: str, __: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0)

    opendir = open

    def read(self, path: str, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return Path(self.folder + path).read_bytes()[offset : offset + size]

    def readdir(self, path: str, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        out = b""
        for number, entry in enumerate(sorted(os.scandir(self.folder + path), key=lambda e: e.name), 1):
            name = os.fsencode(entry.name)
            kind = entry.stat(follow_symlinks=False).st_mode >> 12
            item = struct.pack("<QQII", entry.inode(), number, len(name), kind) + name
            item += bytes(-len(item) % 8)
            if number > offset and len(out) + len(item) <= size:
                out += item
        return out


def main() -> None:
    """Mount the disk, and serve it until it is unmounted."""
    folder, point, orders, *options = sys.argv[1:]
    device = os.open("/dev/fuse", os.O_RDWR)
    text = ",".join([f"fd={device},rootmode=40000,user_id=1000,group_id=1000", *options])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"disk", os.fsencode(point), b"fuse", 0, text.encode()):
        sys.exit(os.strerror(ctypes.get_errno()))
    disk = Disk(folder, orders)
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError:
            return  # unmounted
        _, opcode, unique, node, *_ = HEADER.unpack_from(request)
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            continue
        body, error = b"", 0
        if opcode == INIT:
            body = struct.pack("<IIIIHHIIHH8I", 7, 31, 0, 0, 0, 0, 65536, 1, 0, 0, *[0] * 8)
        elif opcode not in (RELEASE, RELEASEDIR):
            try:
                body = disk.answer(opcode, node, request[HEADER.size :])
            except OSError as failure:
                error = -(failure.errno or errno.EIO)
        os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)


if __name__ == "__main__":
    main()
