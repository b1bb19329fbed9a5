"""What the figures were taken on: they mean little without."""

import os
import platform
import re
import subprocess


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def text_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def found(pattern, text, default=""):
    match = re.search(pattern, text, re.M)
    return match.group(1) if match else default


def cpu():
    text = text_of("/proc/cpuinfo")
    model = found(r"^model name\s*:\s*(.+)$", text, platform.machine())
    family, number = found(r"^cpu family\s*: (.+)$", text), found(r"^model\s*: (.+)$", text)
    return f"{model} (family {family}, model {number})"


def compiler(build_folder):
    path = found(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", text_of(os.path.join(build_folder, "CMakeCache.txt")), "c++")
    return (output_of(path, "--version").splitlines() or ["unknown"])[0]


def asio_versions():
    boost = found(r'BOOST_LIB_VERSION "(.+)"', text_of("/usr/include/boost/version.hpp")).replace("_", ".")
    number = found(r"#define ASIO_VERSION (\d+)", text_of("/usr/include/asio/version.hpp"))
    versions = {"Boost": boost}
    if number:
        n = int(number)
        versions["Asio"] = f"{n // 100000}.{n // 100 % 1000}.{n % 100}"
    return versions


def peer_versions():
    versions = {}
    for name, package in (("libev", "libev-dev"), ("libuv", "libuv1-dev"), ("libevent", "libevent-dev"),
                          ("tokio", "librust-tokio-dev")):
        versions[name] = output_of("dpkg-query", "-W", "-f", "${Version}", package)
    versions["Go"] = found(r"go(\d\S*)", output_of("go", "version"))
    versions["rustc"] = found(r"rustc (\S+)", output_of("rustc", "--version"))
    return {name: version for name, version in versions.items() if version}


def describe(build_folder):
    here = os.path.dirname(os.path.abspath(__file__))
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "clock_source": text_of("/sys/devices/system/clocksource/clocksource0/current_clocksource").strip(),
        "compiler": compiler(build_folder),
        "flags": "-O2 -DNDEBUG",
        "commit": output_of("git", "-C", here, "describe", "--always", "--dirty"),
        "load_average_at_start": round(os.getloadavg()[0], 2),
        **asio_versions(),
        **peer_versions(),
    }
