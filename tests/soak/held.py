# SPDX-License-Identifier: BSD-2-Clause
"""The counters that a child leaves behind: the server's own library maps them while the child lives, for varnishstat knows only
children that live. Where it has mapped them they stay as they were in the end."""

import contextlib
import ctypes
from collections.abc import Callable
from pathlib import Path


class Point(ctypes.Structure):
    """The beginning of a VSC_point."""

    _fields_ = (("value", ctypes.POINTER(ctypes.c_uint64)), ("name", ctypes.c_char_p))


Each = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Point))
Handle = ctypes.c_void_p
SIGNATURES = {
    "VSM_New": (Handle,),
    "VSM_Arg": (ctypes.c_int, Handle, ctypes.c_char, ctypes.c_char_p),
    "VSM_Attach": (ctypes.c_int, Handle, ctypes.c_int),
    "VSM_Destroy": (None, ctypes.POINTER(Handle)),
    "VSC_New": (Handle,),
    "VSC_Iter": (ctypes.c_int, Handle, Handle, Each, ctypes.c_void_p),
    "VSC_Destroy": (None, ctypes.POINTER(Handle), Handle),
}


def library() -> ctypes.CDLL:
    """libvarnishapi, or what it is called in Vinyl Cache."""
    for name in ("libvarnishapi.so", "libvinylapi.so"):
        with contextlib.suppress(OSError):
            found = ctypes.CDLL(name)
            for function, (result, *arguments) in SIGNATURES.items():
                getattr(found, function).restype, getattr(found, function).argtypes = result, arguments
            return found
    raise RuntimeError("there is neither libvarnishapi.so nor libvinylapi.so")


def hold(folder: Path, wanted: Callable[[str], bool]) -> Callable[[], dict[str, int]]:
    """Maps the counters whose names are wanted, of the varnishd that works in that folder; the result reads them, once, whenever
    it is called."""
    api = library()
    memory, counters = Handle(api.VSM_New()), Handle(api.VSC_New())
    if api.VSM_Arg(memory, b"n", str(folder).encode()) <= 0 or api.VSM_Attach(memory, -1) != 0:
        raise RuntimeError(f"no varnishd works in {folder}")
    held: dict[str, ctypes._Pointer[ctypes.c_uint64]] = {}

    def take(_: object, point: "ctypes._Pointer[Point]") -> int:
        if point and wanted(name := point.contents.name.decode()):
            # A pointer of its own: the point is the library's.
            held[name] = ctypes.cast(ctypes.addressof(point.contents.value.contents), ctypes.POINTER(ctypes.c_uint64))
        return 0

    api.VSC_Iter(counters, memory, Each(take), None)

    def read() -> dict[str, int]:
        values = {name: value.contents.value for name, value in held.items()}
        held.clear()
        api.VSC_Destroy(ctypes.byref(counters), memory)
        api.VSM_Destroy(ctypes.byref(memory))
        return values

    return read
