"""The machine that a benchmark runs on, in words."""

import os
import platform


def describe():
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {_processor()}"


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [line.split(":", 1)[1].strip() for line in info if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
