"""A sandbox home: the directory in which one gateway keeps everything, and its settings.

    sandbox.toml   settings          policies/    documents          snapshots/   published copies
    store.db       ledger, log       sources/     files to ingest    spill/       workers' overflow
    log/           tiles, checkpoint and signing keys of the audit log
    notebooks/     analysts' own files

Invariants: a home is private to its owner (0700); ``sandbox.toml`` is read whole or refused whole, and an
unknown key is a mistake; nothing outside ``data`` and ``policies`` is written.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from sandbox.errors import Code, Reason, Refusal, refuse

SETTINGS_FILE: Final = "sandbox.toml"
VARIABLE: Final = "SANDBOX_HOME"
FLOOR_VARIABLE: Final = "SANDBOX_WORKER_FLOOR"
FLOORS: Final = ("box", "kernel", "process")
LOGS: Final = ("plain", "json")
SECOND_FACTORS: Final = ("offered", "required")
DEFAULT: Final = Path("var/sandbox")
STORE: Final = "store.db"
_URL: Final = "postgresql://"

EXAMPLE: Final = """\
# Settings of this sandbox home.  Paths are relative to this file.  设置；路径相对于本文件。

# Folder of policy documents.  政策文件夹。
policies = "policies"
# Where snapshots, store and sources are kept.  快照、账本与数据源所在目录。
data = "."
# The store of ledger, answers and log: a file, or a database that several gateways share, such as
# "postgresql://sandbox@db.example:5432/sandbox?passfile=/etc/sandbox/pgpass".  No password here: it is read
# from libpq's password file, or from PGPASSWORD.  账本库：文件，或多个网关共用的 PostgreSQL（此处不写密码）。
store = "store.db"
# Answers in DP mode leave on multiples of this many milliseconds; 0: at once.  答复时钟（毫秒）。
release_clock_ms = 100
# Where `sandbox serve` listens.  服务地址。
host = "127.0.0.1"
port = 8350

# Limits of one query worker.  单个查询进程的限制。
[worker]
memory_mb = 1024
threads = 2
timeout_s = 60
spill_mb = 4096
# Queries that one process answers before another takes its place; memory of all processes together.
# 每个进程服务的查询数；全部进程的内存总量。
queries = 1000
total_mb = 8192
# The least confinement under which queries run: "box" (namespaces and a system call filter), "kernel"
# (filter and Landlock), "process" (limits only).  See `sandbox doctor`.  最低隔离要求。
floor = "box"

# Queries at a time: in all, of one grant, and of one grant in line; and how long one waits, in seconds.
# 并发与排队：总数、每授权、每授权排队数、等待秒数。
[queue]
running = 4
each = 2
waiting = 16
patience_s = 30

# Files of a certificate chain and its private key (PEM): `sandbox serve` then speaks HTTPS.  证书与私钥文件。
[tls]
certificate = ""
key = ""

# The key under which snapshots are kept encrypted: "file:PATH", or "command:WORDS" that asks a key management
# service; either gives 64 hexadecimal digits.  Empty: not encrypted.  快照加密密钥：文件或命令，空为不加密。
[encryption]
key = ""

# Who is handed the audit log's signed heads: files, and http(s) addresses (C2SP tlog-witness); how often.
# 审计日志检查点的见证方：文件或网址；推送间隔（秒）。
[witness]
places = []
every_s = 60

# Days that personal parts of log entries, and kept answers, are kept; 0: for ever.  保留天数；0 为永久。
[retention]
personal_days = 0
answers_days = 0

# Notebooks: the port they are served on (0: none), an origin of its own, and the address that browsers know
# it by where a proxy stands before it, best under another host name; what one analyst may have; how many
# analysts at a time; after how many minutes without use they end.
# 笔记本：端口（0 为不提供）、对外网址、每人内存、磁盘与临时空间、同时人数、空闲分钟数。
[notebooks]
port = 8351
url = ""
memory_mb = 2048
disk_mb = 2048
scratch_mb = 256
most = 10
idle_minutes = 60

# Whether a token opens the console ("offered": a password with a second factor may be set), or that password
# is set first ("required").  Programs come with tokens.  登录控制台是否须先设置第二因素。
[accounts]
second_factor = "offered"

# The service's own log on standard error: "plain" lines or "json".  Where OpenTelemetry traces are sent, such
# as "http://127.0.0.1:4318/v1/traces" (OTLP); "": nowhere.  服务日志格式；链路追踪地址，空为不发送。
[observe]
logs = "plain"
traces = ""
"""
"""What ``sandbox init`` writes; equal to the defaults below (a test compares)."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Limits of one worker: megabytes of memory, threads, seconds of one query, megabytes of spill, queries
    of its life.  ``total_mb``: memory of all workers.  ``floor``: see ``sandbox.engine.layers.Floor``."""

    memory_mb: int = 1024
    threads: int = 2
    timeout_s: int = 60
    spill_mb: int = 4096
    queries: int = 1000
    total_mb: int = 8192
    floor: str = "box"


@dataclass(frozen=True, slots=True)
class Queue:
    """Queries at a time, in all (``running``) and of one grant (``each``); how many more of a grant may wait
    (``waiting``), and for how many seconds (``patience_s``)."""

    running: int = 4
    each: int = 2
    waiting: int = 16
    patience_s: int = 30


@dataclass(frozen=True, slots=True)
class Witness:
    """Who is handed signed heads of the log (paths, and addresses that begin with http), and how often."""

    places: tuple[str, ...] = ()
    every_s: int = 60


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of a certificate chain and of its private key; empty: plain HTTP, behind a proxy with TLS."""

    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Encryption:
    """Where the master key of encrypted snapshots comes from (``sandbox.snapshot.sealing``); empty: none."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days personal parts of log entries, and kept answers, are kept.  0: for ever."""

    personal_days: int = 0
    answers_days: int = 0


@dataclass(frozen=True, slots=True)
class Signing:
    """How people come in.  ``second_factor``: one of ``SECOND_FACTORS``."""

    second_factor: str = "offered"


@dataclass(frozen=True, slots=True)
class Observe:
    """Form of the service's log (``plain`` or ``json``), and the collector that is sent traces; "": none."""

    logs: str = "plain"
    traces: str = ""


@dataclass(frozen=True, slots=True)
class Notebooks:
    """Port of the notebooks' origin (0: none) and its address for browsers; megabytes of memory, of
    files and of scratch an analyst; analysts at a time; minutes without use after which a server ends."""

    port: int = 8351
    url: str = ""
    memory_mb: int = 2048
    disk_mb: int = 2048
    scratch_mb: int = 256
    most: int = 10
    idle_minutes: int = 60


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``sandbox.toml`` says.  ``release_clock_ms``: 0 releases answers at once."""

    policies: str = "policies"
    data: str = "."
    store: str = STORE
    release_clock_ms: int = 100
    host: str = "127.0.0.1"
    port: int = 8350
    worker: Worker = field(default_factory=Worker)
    queue: Queue = field(default_factory=Queue)
    tls: Tls = field(default_factory=Tls)
    encryption: Encryption = field(default_factory=Encryption)
    witness: Witness = field(default_factory=Witness)
    retention: Retention = field(default_factory=Retention)
    notebooks: Notebooks = field(default_factory=Notebooks)
    accounts: Signing = field(default_factory=Signing)
    observe: Observe = field(default_factory=Observe)


_LIMITS: Final[dict[str, tuple[int, int]]] = {
    "release_clock_ms": (0, 60_000),
    "port": (0, 65_535),
    "worker.memory_mb": (64, 1 << 20),
    "worker.threads": (1, 256),
    "worker.timeout_s": (1, 86_400),
    "worker.spill_mb": (1, 1 << 24),
    "worker.queries": (1, 1 << 20),
    "worker.total_mb": (64, 1 << 24),
    "queue.running": (1, 256),
    "queue.each": (1, 256),
    "queue.waiting": (0, 256),
    "queue.patience_s": (1, 3600),
    "witness.every_s": (1, 86_400),
    "notebooks.port": (0, 65_535),
    "notebooks.memory_mb": (256, 1 << 20),
    "notebooks.disk_mb": (1, 1 << 20),
    "notebooks.scratch_mb": (16, 1 << 16),
    "notebooks.most": (1, 1000),
    "notebooks.idle_minutes": (1, 10_080),
    "retention.personal_days": (0, 36_500),
    "retention.answers_days": (0, 36_500),
}
"""Every whole number among the settings, with its least and most."""


@dataclass(frozen=True, slots=True)
class Home:
    """The layout of one home.  ``Home(path)`` touches no disk; see ``open_home`` and ``create_home``."""

    path: Path
    settings: Settings = field(default_factory=Settings)

    @property
    def policies(self) -> Path:
        """Policy documents, and the ``*.queries.yaml`` beside them."""
        return self.path / self.settings.policies

    @property
    def data(self) -> Path:
        """The parent of everything below."""
        return self.path / self.settings.data

    @property
    def snapshots(self) -> Path:
        """The root of published snapshots, one folder a dataset."""
        return self.data / "snapshots"

    @property
    def store(self) -> Path | str:
        """Where ledger, answers, log and accounts are: a file, or the URL of a PostgreSQL database."""
        place = self.settings.store
        return place if place.startswith(_URL) else self.data / place

    @property
    def log(self) -> Path:
        """The log's tiles, published checkpoint and keys."""
        return self.data / "log"

    @property
    def witnesses(self) -> tuple[str, ...]:
        """Who is handed signed heads; files relative to the home."""
        places = self.settings.witness.places
        return tuple(p if p.startswith("http") else str(self.path / p) for p in places)

    @property
    def floor(self) -> str:
        """The least confinement of workers: ``$SANDBOX_WORKER_FLOOR`` if set, else as the settings say.

        Refuses with ``Code.DOCUMENT`` what is no floor.
        """
        named = os.environ.get(FLOOR_VARIABLE) or self.settings.worker.floor
        if named not in FLOORS:
            expected = ", ".join(FLOORS)
            raise refuse(Code.DOCUMENT, FLOOR_VARIABLE, f"one of {expected}", f"可用：{expected}")
        return named

    @property
    def sources(self) -> Path:
        """Where source files may be put for ingestion."""
        return self.data / "sources"

    @property
    def notebooks(self) -> Path:
        """Analysts' own files, a folder each."""
        return self.data / "notebooks"

    @property
    def spill(self) -> Path:
        """Where workers may write what does not fit into their memory."""
        return self.data / "spill"


def default_path() -> Path:
    """``$SANDBOX_HOME`` if set, else ``./var/sandbox``."""
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named else DEFAULT


def open_home(path: Path) -> Home:
    """The home at ``path``.

    Refuses with ``Code.REQUEST`` if there is none, ``Code.DOCUMENT`` with every mistake in its settings.
    """
    try:
        data = (path / SETTINGS_FILE).read_bytes()
    except OSError:
        hint = "run `sandbox init`, or give --home"
        raise refuse(
            Code.REQUEST, "no sandbox home here", hint, "请先执行 sandbox init，或指定 --home"
        ) from None
    return Home(path.absolute(), read_settings(data))


def create_home(path: Path, store: str = STORE) -> Home:
    """Make a home (0700) with example settings and this store.

    Refuses with ``Code.REQUEST`` if there is one already, ``Code.DOCUMENT`` for a store that cannot be one.
    """
    file = path / SETTINGS_FILE
    text = EXAMPLE.replace(json.dumps(STORE), json.dumps(store, ensure_ascii=False))
    settings = read_settings(text.encode())
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        hint = "use it, or choose another folder with --home"
        raise refuse(
            Code.REQUEST, "a sandbox home is here already", hint, "请直接使用，或用 --home 另选目录"
        ) from None
    except OSError:
        hint = "choose a folder that you may write to"
        raise refuse(Code.REQUEST, "the home cannot be made here", hint, "请选择可写的目录") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(text)
    home = Home(path.absolute(), settings)
    for folder in (home.policies, home.snapshots, home.sources, home.spill):
        folder.mkdir(mode=0o700, exist_ok=True)
    return home


def read_settings(data: bytes) -> Settings:
    """The settings in a file's bytes.  Refuses with one ``Code.DOCUMENT`` reason a mistake."""
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except ValueError:
        raise _mistakes([_mistake("", "not TOML in UTF-8", "valid TOML", "有效的 TOML")]) from None
    wrong: list[Reason] = []
    read = {name: _table(kind, found.pop(name, {}), name, wrong) for name, kind in _TABLES.items()}
    top = _read(Settings, found, "", wrong)
    if wrong:
        raise _mistakes(wrong)
    parts: dict[str, Any] = {name: kind(**read[name]) for name, kind in _TABLES.items()}
    return replace(Settings(**top), **parts)


_Part = Worker | Queue | Tls | Encryption | Witness | Retention | Notebooks | Signing | Observe

_TABLES: Final[dict[str, type[_Part]]] = {
    "worker": Worker,
    "queue": Queue,
    "tls": Tls,
    "encryption": Encryption,
    "witness": Witness,
    "retention": Retention,
    "notebooks": Notebooks,
    "accounts": Signing,
    "observe": Observe,
}


def _table(kind: type[_Part], found: object, name: str, wrong: list[Reason]) -> dict[str, Any]:
    if not isinstance(found, dict):
        wrong.append(_mistake(name, "not a table", f"a [{name}] table", f"应为 [{name}] 表"))
        return {}
    return _read(kind, found, f"{name}.", wrong)


def _read(
    kind: type[Settings | _Part], found: dict[str, Any], above: str, wrong: list[Reason]
) -> dict[str, Any]:
    known = {f.name for f in fields(kind)} - set(_TABLES)
    for name, value in found.items():
        key = f"{above}{name}"
        if name not in known:
            wrong.append(
                _mistake(
                    key, "unknown", f"one of {', '.join(sorted(known))}", f"可用：{'、'.join(sorted(known))}"
                )
            )
        elif key in _LIMITS:
            _check_number(key, value, wrong)
        elif key == "witness.places":
            found = {**found, name: _texts(key, value, wrong)}
        elif not isinstance(value, str) or not value.isprintable() or not (value or key in _MAY_BE_EMPTY):
            wrong.append(_mistake(key, "not a text", "a text in quotes", "应为引号内的文本"))
        elif key in _ONE_OF and value not in _ONE_OF[key]:
            expected = ", ".join(_ONE_OF[key])
            wrong.append(_mistake(key, "unknown", f"one of {expected}", f"可用：{expected}"))
        elif key == "encryption.key":
            _check_key(value, wrong)
        elif key == "observe.traces":
            _check_collector(value, wrong)
        elif key == "notebooks.url":
            _check_origin(value, wrong)
        elif key == "store":
            _check_store(value, wrong)
    return found


_MAY_BE_EMPTY: Final = frozenset(
    {"tls.certificate", "tls.key", "encryption.key", "notebooks.url", "observe.traces"}
)
_ONE_OF: Final = {"worker.floor": FLOORS, "accounts.second_factor": SECOND_FACTORS, "observe.logs": LOGS}


def _check_key(value: str, wrong: list[Reason]) -> None:
    """A reference: never the key itself."""
    kind, _, place = value.partition(":")
    if value and (kind not in ("file", "command") or not place):
        zh = "应为 file:路径 或 command:命令"
        wrong.append(_mistake("encryption.key", "no reference", "file:PATH or command:WORDS", zh))


def _check_collector(value: str, wrong: list[Reason]) -> None:
    """An address without credentials: those are OTEL_EXPORTER_OTLP_HEADERS' to hold."""
    place = urlsplit(value)
    if value and (place.scheme not in ("http", "https") or not place.hostname):
        wrong.append(
            _mistake("observe.traces", "no address", "http(s)://host:port/v1/traces", "应为 http(s) 地址")
        )
    elif place.username is not None or place.query:
        zh = "凭证请放在 OTEL_EXPORTER_OTLP_HEADERS 中"
        wrong.append(_mistake("observe.traces", "a secret", "one in OTEL_EXPORTER_OTLP_HEADERS", zh))


def _check_origin(value: str, wrong: list[Reason]) -> None:
    """An origin: no path, for JupyterLab stands at its root."""
    place = urlsplit(value)
    if value and (place.scheme not in ("http", "https") or value != f"{place.scheme}://{place.netloc}"):
        zh = "应为 https://主机，末尾无斜杠"
        wrong.append(_mistake("notebooks.url", "no origin", "https://host, without a slash after it", zh))


def _check_store(value: str, wrong: list[Reason]) -> None:
    """A file's path, or a URL that shows no password: settings are copied, printed and kept in backups."""
    place = urlsplit(value)
    if "://" in value and not value.startswith(_URL):
        wrong.append(_mistake("store", "unknown kind", f"a path, or {_URL}…", f"应为路径或 {_URL}…"))
    elif place.password is not None or "password" in parse_qs(place.query):
        zh = "密码请放在 libpq 密码文件或 PGPASSWORD 中"
        wrong.append(_mistake("store", "a password", "one in libpq's password file or PGPASSWORD", zh))


def _texts(key: str, value: object, wrong: list[Reason]) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [None]
    if not all(isinstance(text, str) and text.isprintable() and text for text in texts):
        wrong.append(_mistake(key, "not texts", "a list of texts in quotes", "应为引号内文本的列表"))
    return tuple(texts)


def _check_number(key: str, value: object, wrong: list[Reason]) -> None:
    least, most = _LIMITS[key]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        expected = f"a whole number from {least} to {most}"
        wrong.append(_mistake(key, "out of range", expected, f"应为 {least} 到 {most} 的整数"))


def _mistake(key: str, found: str, en: str, zh: str) -> Reason:
    place = f"{SETTINGS_FILE}: {key}: {found}" if key else f"{SETTINGS_FILE}: {found}"
    return Reason(Code.DOCUMENT, place, en, zh, column=key, rule=SETTINGS_FILE)


def _mistakes(reasons: list[Reason]) -> Refusal:
    return Refusal(*reasons)
