"""The program in an analyst's box: JupyterLab with one kernel; no terminals, no extensions to add.

Whoever is here has a kernel, and with it every right that this process has: what protects others is the box.
What is set below keeps the notebook usable and its surface small.  Settings come from this file alone; what
is in the home is not read as any (the home is the analyst's to write).
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from sandbox.engine import child
from sandbox.notebooks import places

_SETTINGS: Final = f"{places.SCRATCH}/jupyter"

_TITLE: Final = {"zh": "数据沙箱 (Python)", "en": "Data Sandbox (Python)"}
_LOCALE: Final = {"zh": "zh_CN", "en": "default"}
_OFF: Final = (
    "@jupyterlab/apputils-extension:announcements",
    "@jupyterlab/extensionmanager-extension",
    "@jupyterlab/terminal-extension",
    "@jupyterlab/lsp-extension",
    "@jupyterlab/fileeditor-extension:language-server",
    "@jupyterlab/notebook-extension:language-server",
)
"""Parts of JupyterLab that ask for news, add code, or need what is not here."""


def main() -> None:
    """Take the orders, then serve until the gateway ends or nothing was asked for long."""
    channel = child.connect()
    orders = channel.receive(1 << 16).header
    os.environ.clear()
    os.environ.update(environment(orders["lang"], orders["paths"], orders["shares"]))
    sys.path[:0] = [path for path in orders["paths"] if path not in sys.path]
    os.chdir(places.HOME)
    _write_settings(orders["lang"])
    application: Any = import_module("jupyterlab.labapp").LabApp
    application.initialize_server(argv=[], config=_config(orders)).start()


def environment(lang: str, paths: list[str], shares: list[str]) -> dict[str, str]:
    """All that the server and its kernels find in theirs."""
    return {
        "HOME": places.HOME,
        "USER": "analyst",
        "LOGNAME": "analyst",
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TMPDIR": places.SCRATCH,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "JUPYTER_NO_CONFIG": "1",
        "JUPYTER_PLATFORM_DIRS": "0",
        "JUPYTER_CONFIG_DIR": f"{_SETTINGS}/config",
        "JUPYTER_DATA_DIR": f"{_SETTINGS}/data",
        "JUPYTER_RUNTIME_DIR": f"{_SETTINGS}/run",
        "JUPYTER_PATH": os.pathsep.join(shares),
        "JUPYTERLAB_DIR": f"{shares[0]}/lab",
        "IPYTHONDIR": f"{places.HOME}/.ipython",
        "MPLCONFIGDIR": f"{places.SCRATCH}/matplotlib",
        "SANDBOX_GATEWAY_SOCKET": places.GATEWAY,
        "SANDBOX_LANG": lang,
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
    }


def _write_settings(lang: str) -> None:
    """What JupyterLab reads from files only."""
    settings = Path(f"{_SETTINGS}/app")
    settings.mkdir(parents=True)
    (settings / "page_config.json").write_text(json.dumps({"disabledExtensions": dict.fromkeys(_OFF, True)}))
    language = {"@jupyterlab/translation-extension:plugin": {"locale": _LOCALE[lang]}}
    (settings / "overrides.json").write_text(json.dumps(language))


def _config(orders: dict[str, Any]) -> Any:
    """Everything that is set; the rest is Jupyter's default."""
    config = import_module("traitlets.config").Config()
    config.ServerApp.update(
        ip="localhost",
        sock=places.SERVER,
        sock_mode="0600",
        root_dir=places.HOME,
        open_browser=False,
        allow_remote_access=True,  # the gateway knows by which names it is called
        terminals_enabled=False,
        shutdown_no_activity_timeout=orders["idle_s"],
        max_body_size=places.LARGEST_BODY,
        max_buffer_size=places.LARGEST_BODY,
        kernel_spec_manager_class=_only_kernel(orders["lang"]),
        websocket_ping_interval=30_000,
        quit_button=False,
        log_level="ERROR",
    )
    # Who speaks through the socket is the gateway, which knows who is behind it: there is nothing to sign
    # in to.
    config.IdentityProvider.token = config.ServerApp.token = ""
    config.PasswordIdentityProvider.hashed_password = ""
    config.KernelManager.transport = "ipc"
    config.MappingKernelManager.update(
        default_kernel_name=places.KERNEL,
        cull_idle_timeout=orders["idle_s"],
        cull_interval=60,
        cull_connected=False,
    )
    config.ContentsManager.allow_hidden = False
    config.FileContentsManager.delete_to_trash = False
    config.LabApp.update(
        extension_manager="readonly",
        check_for_updates_class="jupyterlab.handlers.announcements.NeverCheckForUpdate",
        news_url=None,
        app_settings_dir=f"{_SETTINGS}/app",
        user_settings_dir=f"{places.HOME}/.lab/settings",
        workspaces_dir=f"{places.HOME}/.lab/workspaces",
    )
    return config


def _only_kernel(lang: str) -> type:
    """A manager that knows one kernel.

    Jupyter's own finds ``python3`` whatever is allowed; this one has no other to give.
    """
    specs, web = import_module("jupyter_client.kernelspec"), import_module("tornado.web")
    shown = {
        "argv": [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--IPKernelApp.extra_extensions=sandbox_client",
        ],
        "display_name": _TITLE[lang],
        "language": "python",
        "metadata": {"debugger": False},
    }

    class OnlyKernel(specs.KernelSpecManager):  # type: ignore[name-defined, misc]
        def find_kernel_specs(self) -> dict[str, str]:
            return {places.KERNEL: f"{_SETTINGS}/kernel"}

        def get_kernel_spec(self, kernel_name: str) -> Any:
            if kernel_name != places.KERNEL:
                raise web.HTTPError(404, "there is one kernel here")  # what else is raised is told as a 500
            return specs.KernelSpec(resource_dir=f"{_SETTINGS}/kernel", **shown)

        def get_all_specs(self) -> dict[str, Any]:
            return {places.KERNEL: {"resource_dir": f"{_SETTINGS}/kernel", "spec": dict(shown, env={})}}

        def install_kernel_spec(self, *_: Any, **__: Any) -> str:
            raise PermissionError("kernels are not installed here")

        def remove_kernel_spec(self, name: str) -> str:
            raise PermissionError("kernels are not removed here")

    return OnlyKernel
