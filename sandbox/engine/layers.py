"""The layers around a child process, and the floors below which no query is started.

A layer is one mechanism of the kernel; ``found.available`` says which of them this machine gives.  A floor
is a promise: each is met by sets of layers that refuse every probe of ``tests/escape``, except ``process``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Layer(StrEnum):
    """One mechanism that holds a child, whatever the others do."""

    LIMITS = "limits"
    USER = "user"
    NAMESPACES = "namespaces"
    FILTER = "filter"
    LANDLOCK = "landlock"


class Floor(StrEnum):
    """The least confinement under which queries are started; each includes those after it."""

    BOX = "box"
    KERNEL = "kernel"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class About:
    """What a layer does, and what to do where it is missing; English and Chinese."""

    en: str
    zh: str
    cure_en: str = ""
    cure_zh: str = ""


ABOUT: Final[dict[Layer, About]] = {
    Layer.LIMITS: About(
        "address space, file size, descriptors, processor time, wall clock",
        "地址空间、文件大小、描述符、处理器时间与墙钟",
    ),
    Layer.USER: About(
        "a user id that nothing else has, no capabilities",
        "独占的用户号，无任何特权",
        "needs root and bubblewrap; a gateway that is not root lends its workers its own user",
        "需以 root 运行并安装 bubblewrap；非 root 网关的进程沿用其用户",
    ),
    Layer.NAMESPACES: About(
        "files, processes, network, IPC and host name of its own (bubblewrap)",
        "独立的文件、进程、网络、IPC 与主机名空间（bubblewrap）",
        "install bubblewrap (apt-get install bubblewrap); in a container allow namespaces; where AppArmor "
        "restricts user namespaces, allow them for bwrap",
        "安装 bubblewrap（apt-get install bubblewrap）；容器需允许命名空间；"
        "AppArmor 限制用户命名空间时请为 bwrap 放行",
    ),
    Layer.FILTER: About(
        "an allow list of system calls (seccomp)",
        "系统调用白名单（seccomp）",
        "install libseccomp (apt-get install libseccomp2)",
        "安装 libseccomp（apt-get install libseccomp2）",
    ),
    Layer.LANDLOCK: About(
        "its own files only, by the kernel's path rules (Landlock)",
        "内核路径规则限定可见文件（Landlock）",
        "needs Linux 5.13 or later with landlock among the boot option lsm=",
        "需 Linux 5.13 及以上，且启动参数 lsm= 含 landlock",
    ),
}


def level(layers: Collection[Layer]) -> Floor:
    """The highest floor that these layers meet.

    Files outside are held by namespaces or by Landlock; system calls, network among them, by the filter.
    """
    if Layer.FILTER not in layers:
        return Floor.PROCESS
    if Layer.NAMESPACES in layers:
        return Floor.BOX
    return Floor.KERNEL if Layer.LANDLOCK in layers else Floor.PROCESS


def meets(layers: Collection[Layer], floor: Floor) -> bool:
    """Whether queries may be started."""
    order = list(Floor)
    return order.index(level(layers)) <= order.index(floor)
