"""What can go wrong at a source, as refusals that name no value, no path, no secret and no server's words."""

from __future__ import annotations

from sandbox.errors import Code, Refusal, refuse


def credentials(kind: str) -> Refusal:
    """The server knows the user not, or not by this password."""
    hint = "check the user, and what its reference to a password leads to"
    return refuse(Code.SOURCE_CREDENTIALS, kind, hint, "请检查用户名与密码引用所指的内容")


def unreachable(kind: str) -> Refusal:
    """No connection, or no such database or file."""
    hint = "check the place that the source document names, and that it may be read from here"
    return refuse(Code.SOURCE_UNREACHABLE, kind, hint, "请检查数据源文件所写的位置以及访问权限")


def dropped(table: str) -> Refusal:
    """The rows broke off before their end."""
    return refuse(Code.SOURCE_DROPPED, table)


def locked(table: str) -> Refusal:
    """Somebody holds a lock for longer than we wait."""
    return refuse(Code.SOURCE_LOCKED, table)


def changed(table: str) -> Refusal:
    """Two batches, files or sheets of one table do not have the same columns and types."""
    hint = "make all its files alike, or ingest them as tables of their own"
    return refuse(Code.SOURCE_CHANGED, table, hint, "请统一各文件的列与类型，或分为不同的表导入")


def encoding(table: str) -> Refusal:
    """Bytes that are neither UTF-8 nor GB18030, nor of the encoding that the document names."""
    hint = "name the encoding in the source document, or repair the file"
    return refuse(Code.SOURCE_ENCODING, table, hint, "请在数据源文件中写明编码，或修复文件")


def unreadable(table: str) -> Refusal:
    """A file that is not what its name says, or rows that cannot be told apart."""
    hint = "check that the file is whole and of the kind that the source document names"
    return refuse(
        Code.SOURCE, f"{table}: it cannot be read", hint, "请检查文件是否完整、类型是否与数据源文件一致"
    )


def unknown(what: str) -> Refusal:
    """A table, column or connector that is not there."""
    hint = "see `sandbox source discover`"
    return refuse(Code.SOURCE_UNKNOWN, what, hint, "请查看 sandbox source discover 的结果")


def driver(kind: str) -> Refusal:
    """The client library of this kind of source is an extra that is not installed."""
    return refuse(Code.SOURCE_DRIVER, kind)


def setting(name: str, expected: str, expected_zh: str) -> Refusal:
    """A setting of a source document that the connector cannot use."""
    return refuse(Code.DOCUMENT, f"options.{name}", expected, expected_zh)
