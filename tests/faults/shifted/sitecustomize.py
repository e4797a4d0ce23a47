"""With this file's folder on PYTHONPATH, a process's clock is off by PARLEY_TEST_CLOCK seconds."""

import ctypes
import datetime
import gc
import os
import time

OFF = float(os.environ["PARLEY_TEST_CLOCK"])
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime
_now = _datetime.__dict__["now"]


def now(cls, tz=None):  # type: ignore[no-untyped-def]
    """As `datetime.now`."""
    return _now.__get__(None, cls)(tz) + datetime.timedelta(seconds=OFF)


def utcnow(cls):  # type: ignore[no-untyped-def]
    """As `datetime.utcnow`."""
    return now(cls, datetime.UTC).replace(tzinfo=None)


time.time = lambda: _time() + OFF
time.time_ns = lambda: _time_ns() + int(OFF * 1e9)
# A subclass in its place would be another class to whoever derives from it or asks for instances.
_attributes = gc.get_referents(_datetime.__dict__)[0]
_attributes["now"], _attributes["utcnow"] = classmethod(now), classmethod(utcnow)
ctypes.pythonapi.PyType_Modified(ctypes.py_object(_datetime))
