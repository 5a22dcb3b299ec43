"""The error tree.  Every refusal in the product carries one of these codes.

    SandboxError
    └── Refusal(reasons)      a decision that says no: code, what, why, what now
        1xx  the text          is it one SELECT of an allowed form?
        2xx  names and types   does it mean something over the catalogue?
        3xx  policy            does the grant allow it?
        4xx  privacy           can it be protected?
        5xx  budget            can it be paid for?
        6xx  documents, data   policy files, sources, snapshots
        7xx  engine            one constant message each: engine text never leaves
        8xx  doors             who asks, and how
        9xx  ours              anything unexpected is a refusal too

A ``Reason`` may quote the *request's own text* or the catalogue, never a data value, an engine
message, a path or a stack trace.  Codes are stable: a code is never reused or renumbered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

Lang = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says, in both languages.  ``{subject}`` and ``{hint}`` are filled per reason."""

    number: int
    status: int
    what_en: str
    what_zh: str
    now_en: str
    now_zh: str


class Code(Enum):
    """All refusal codes.  ``Code.X.id`` is what users see: ``DS-101``."""

    # 1xx the text
    TEXT_TOO_LONG = Meaning(
        101,
        400,
        "the query text is too long: {subject}",
        "查询文本过长：{subject}",
        "shorten it",
        "请缩短查询",
    )
    TEXT_CHARACTER = Meaning(
        102,
        400,
        "the query text holds a character that is not allowed: {subject}",
        "查询文本含有不允许的字符：{subject}",
        "remove it; other scripts belong in quoted strings and names",
        "请删除；其他文字请放在引号内",
    )
    TEXT_NESTING = Meaning(
        103,
        400,
        "the query is nested too deeply or too large: {subject}",
        "查询嵌套过深或过大：{subject}",
        "split it, or use CTEs",
        "请拆分查询或使用 CTE",
    )
    SYNTAX = Meaning(
        104,
        400,
        "this is not SQL that we can read: {subject}",
        "无法解析的 SQL：{subject}",
        "check the statement near this place",
        "请检查此处语法",
    )
    SEVERAL_STATEMENTS = Meaning(
        105,
        400,
        "the text holds more than one statement",
        "文本包含多条语句",
        "send one SELECT at a time",
        "请一次只提交一条 SELECT",
    )
    NOT_SELECT = Meaning(
        106,
        400,
        "only SELECT is allowed, not {subject}",
        "只允许 SELECT，不允许 {subject}",
        "ask a question with SELECT",
        "请使用 SELECT 提问",
    )
    CONSTRUCT = Meaning(
        107, 400, "this construct is not supported: {subject}", "不支持的语法：{subject}", "{hint}", "{hint}"
    )
    FUNCTION = Meaning(
        108,
        400,
        "this function is not on the allow list: {subject}",
        "函数不在许可清单内：{subject}",
        "see the SQL reference for what may be used",
        "请参阅 SQL 参考中的许可函数",
    )
    ARGUMENT = Meaning(
        109,
        400,
        "a function has arguments that it cannot take: {subject}",
        "函数参数不合要求：{subject}",
        "{hint}",
        "{hint}",
    )
    LITERAL = Meaning(
        110, 400, "a literal cannot be read: {subject}", "无法读取的字面量：{subject}", "{hint}", "{hint}"
    )
    # 2xx names and types
    UNKNOWN_TABLE = Meaning(
        201,
        403,
        "no table of this name is open to this grant: {subject}",
        "本授权下没有此表：{subject}",
        "see `catalog` for the tables of the grant",
        "请用 catalog 查看授权的表",
    )
    UNKNOWN_COLUMN = Meaning(
        202,
        403,
        "no column of this name is open to this grant: {subject}",
        "本授权下没有此列：{subject}",
        "see `catalog` for the columns of the grant",
        "请用 catalog 查看授权的列",
    )
    AMBIGUOUS = Meaning(
        203,
        400,
        "this name could mean several things: {subject}",
        "名称有歧义：{subject}",
        "qualify it with the table's alias",
        "请加上表别名",
    )
    TYPE = Meaning(204, 400, "types do not fit: {subject}", "类型不匹配：{subject}", "{hint}", "{hint}")
    GROUPING = Meaning(
        205,
        400,
        "neither grouped nor aggregated: {subject}",
        "既未分组也未聚合：{subject}",
        "add it to GROUP BY, or aggregate it",
        "请加入 GROUP BY 或进行聚合",
    )
    OPINION = Meaning(
        206,
        400,
        "the two readers of this query do not agree on what it means",
        "两个解析器对本查询的理解不一致",
        "write it in a plainer form",
        "请用更简单的写法",
    )
    DUPLICATE = Meaning(
        207,
        400,
        "a name is given twice: {subject}",
        "名称重复：{subject}",
        "give each its own name",
        "请使用不同的名称",
    )
    # 3xx policy
    GRANT_UNKNOWN = Meaning(
        301,
        403,
        "this grant is not yours, or there is none: {subject}",
        "没有此授权或不属于您：{subject}",
        "see `catalog` for your grants",
        "请用 catalog 查看您的授权",
    )
    GRANT_PERIOD = Meaning(
        302,
        403,
        "this grant is not in force today: {subject}",
        "授权不在有效期内：{subject}",
        "apply for a new period",
        "请申请新的有效期",
    )
    FROZEN = Meaning(
        303,
        423,
        "this is frozen by the bureau: {subject}",
        "已被主管部门冻结：{subject}",
        "ask the bureau",
        "请联系主管部门",
    )
    USE = Meaning(
        304,
        403,
        "the policy does not allow this use of a column: {subject}",
        "政策不允许此列的这种用途：{subject}",
        "{hint}",
        "{hint}",
    )
    STEP = Meaning(
        305,
        403,
        "this column may be a key only in coarser steps: {subject}",
        "此列作为分组键须取更粗的粒度：{subject}",
        "{hint}",
        "{hint}",
    )
    JOIN = Meaning(
        306,
        403,
        "the grant does not list this join: {subject}",
        "授权未列出此连接：{subject}",
        "{hint}",
        "{hint}",
    )
    QUOTA = Meaning(
        307,
        429,
        "the grant's number of queries is used up: {subject}",
        "授权的查询次数已用完：{subject}",
        "wait for the next day, or apply for more",
        "请次日再试或申请增加",
    )
    TWO_PEOPLE = Meaning(
        308,
        409,
        "this takes two different people: {subject}",
        "此操作须由两名不同人员完成：{subject}",
        "ask a second person to do it",
        "请由另一名人员完成",
    )
    STATE = Meaning(
        309,
        409,
        "this cannot follow in the case's state: {subject}",
        "该事项当前状态下不能如此处理：{subject}",
        "{hint}",
        "{hint}",
    )
    OWN_WORK = Meaning(
        310,
        403,
        "an author never reviews their own: {subject}",
        "不得审查本人或本单位提交的事项：{subject}",
        "ask somebody else to do it",
        "请由其他人员办理",
    )
    CASE_CHANGED = Meaning(
        311,
        409,
        "the document is not the one that was read: {subject}",
        "文件与所审阅的不一致：{subject}",
        "read it again, and decide over what it says now",
        "请重新阅读后再作决定",
    )
    # 4xx privacy
    RAW_OUTPUT = Meaning(
        401,
        403,
        "this would show rows of single units: {subject}",
        "会显示单个主体的记录：{subject}",
        "{hint}",
        "{hint}",
    )
    UNIT_JOIN = Meaning(
        402,
        403,
        "protected tables may be joined only on their privacy unit: {subject}",
        "受保护表之间只能按隐私单元连接：{subject}",
        "{hint}",
        "{hint}",
    )
    CROSS_UNIT = Meaning(
        403,
        403,
        "this reaches across the rows of several units: {subject}",
        "跨越了多个主体的记录：{subject}",
        "{hint}",
        "{hint}",
    )
    AGGREGATE = Meaning(
        404,
        403,
        "this aggregate cannot be protected: {subject}",
        "此聚合无法得到保护：{subject}",
        "{hint}",
        "{hint}",
    )
    NO_BOUND = Meaning(
        405,
        403,
        "no bound is known for what is summed: {subject}",
        "求和对象没有已知界限：{subject}",
        "{hint}",
        "{hint}",
    )
    KEYS = Meaning(
        406,
        403,
        "these group keys have no declared domain: {subject}",
        "分组键没有声明取值域：{subject}",
        "{hint}",
        "{hint}",
    )
    OFF_GRID = Meaning(
        407,
        403,
        "this is off the published grid: {subject}",
        "不在已发布的网格内：{subject}",
        "use only the grid's columns, use DP, or ask for review",
        "请只用网格列，或使用差分隐私，或申请人工审核",
    )
    EPSILON = Meaning(
        408, 400, "this epsilon cannot be used: {subject}", "epsilon 无效：{subject}", "{hint}", "{hint}"
    )
    UNIT_KINDS = Meaning(
        409,
        403,
        "more than one kind of privacy unit: {subject}",
        "涉及多种隐私单元：{subject}",
        "{hint}",
        "{hint}",
    )
    TOO_MANY_GROUPS = Meaning(
        410, 403, "too many groups: {subject}", "分组过多：{subject}", "use coarser keys", "请使用更粗的分组"
    )
    OUTER_JOIN = Meaning(
        411,
        403,
        "this outer join cannot be protected: {subject}",
        "此外连接无法得到保护：{subject}",
        "{hint}",
        "{hint}",
    )
    SET_OPERATION = Meaning(
        412,
        403,
        "this set operation cannot be protected: {subject}",
        "此集合运算无法得到保护：{subject}",
        "{hint}",
        "{hint}",
    )
    SUBQUERY = Meaning(
        413,
        403,
        "this subquery cannot be protected: {subject}",
        "此子查询无法得到保护：{subject}",
        "{hint}",
        "{hint}",
    )
    WORK = Meaning(
        414,
        403,
        "the query multiplies rows too far: {subject}",
        "查询使行数成倍膨胀：{subject}",
        "join on equal columns, or aggregate before joining",
        "请按列相等连接，或先聚合再连接",
    )
    WITHIN = Meaning(
        415,
        403,
        "this accuracy cannot be promised: {subject}",
        "无法保证此准确度：{subject}",
        "{hint}",
        "{hint}",
    )
    # 5xx budget
    BUDGET = Meaning(
        501,
        402,
        "the budget does not cover this: {subject}",
        "预算不足：{subject}",
        "spend less epsilon, reuse earlier answers (free), or apply for more",
        "请减少 epsilon、复用已有答案（免费）或申请更多预算",
    )
    DATASET_BUDGET = Meaning(
        502,
        402,
        "the dataset's cap over all grants does not cover this: {subject}",
        "数据集总预算不足：{subject}",
        "ask the owner",
        "请联系数源单位",
    )
    BUDGET_APPROVAL = Meaning(
        503,
        402,
        "a raised total awaits approval, and what is in force does not cover this: {subject}",
        "上调的总额尚待批准，现行额度不足：{subject}",
        "ask the bureau to approve it: `sandbox budget approve`",
        "请主管部门批准：sandbox budget approve",
    )
    UNFINISHED = Meaning(
        504,
        409,
        "this request was begun before, and its end is not on record: {subject}",
        "该请求此前已开始，但没有结束记录：{subject}",
        "ask again in a moment; if it was cut off, its charge stands: ask under a new key",
        "请稍后重试；若其已中断，费用不退，请使用新的键重新提交",
    )
    # 6xx documents and data
    DOCUMENT = Meaning(
        601, 400, "a policy document is not valid: {subject}", "政策文件无效：{subject}", "{hint}", "{hint}"
    )
    SOURCE = Meaning(
        602, 400, "a source cannot be ingested: {subject}", "数据源无法导入：{subject}", "{hint}", "{hint}"
    )
    NO_SNAPSHOT = Meaning(
        603,
        409,
        "there is no published snapshot yet: {subject}",
        "尚无已发布的快照：{subject}",
        "run `sandbox ingest` first",
        "请先执行 sandbox ingest",
    )
    SNAPSHOT_DAMAGED = Meaning(
        604,
        409,
        "a snapshot does not match its manifest: {subject}",
        "快照与清单不符：{subject}",
        "ingest it again",
        "请重新导入",
    )
    SNAPSHOT_OUTDATED = Meaning(
        605,
        409,
        "the document now says what the data in force were not checked for: {subject}",
        "文件现声明的内容未经在用数据核验：{subject}",
        "ingest the dataset again",
        "请重新导入该数据集",
    )
    SOURCE_CREDENTIALS = Meaning(
        606,
        400,
        "the source does not accept its credentials: {subject}",
        "数据源拒绝了凭证：{subject}",
        "{hint}",
        "{hint}",
    )
    SOURCE_UNREACHABLE = Meaning(
        607, 400, "the source cannot be reached: {subject}", "无法连接数据源：{subject}", "{hint}", "{hint}"
    )
    SOURCE_DROPPED = Meaning(
        608,
        400,
        "the source stopped before its end: {subject}",
        "数据源中途断开：{subject}",
        "nothing was published; ingest again",
        "未发布任何内容；请重新导入",
    )
    SOURCE_LOCKED = Meaning(
        609,
        409,
        "the source is locked by others: {subject}",
        "数据源被占用：{subject}",
        "ingest again when they are done",
        "请待其释放后重新导入",
    )
    SOURCE_CHANGED = Meaning(
        610,
        400,
        "the source's columns or types change within it: {subject}",
        "数据源内部的列或类型前后不一致：{subject}",
        "{hint}",
        "{hint}",
    )
    SOURCE_ENCODING = Meaning(
        611,
        400,
        "the source is not text of one encoding: {subject}",
        "数据源不是单一编码的文本：{subject}",
        "{hint}",
        "{hint}",
    )
    SOURCE_UNKNOWN = Meaning(
        612, 400, "the source has no such thing: {subject}", "数据源中没有：{subject}", "{hint}", "{hint}"
    )
    SOURCE_SECRET = Meaning(
        613, 400, "a secret cannot be read: {subject}", "无法读取密钥：{subject}", "{hint}", "{hint}"
    )
    SOURCE_DRIVER = Meaning(
        614,
        400,
        "this kind of source is not installed: {subject}",
        "未安装此类数据源的驱动：{subject}",
        "install data-sandbox[connectors]",
        "请安装 data-sandbox[connectors]",
    )
    SNAPSHOT_SEALED = Meaning(
        615,
        409,
        "the data are encrypted, and the key that was given does not open them: {subject}",
        "数据已加密，所给密钥无法打开：{subject}",
        "set encryption.key in sandbox.toml to the key with which they were ingested",
        "请在 sandbox.toml 的 encryption.key 中设置导入时所用的密钥",
    )
    DRIFT = Meaning(
        616,
        409,
        "the source is not what it was, and nothing was published: {subject}",
        "数据源发生漂移，未发布：{subject}",
        "look at the source; if it is right, ingest with --accept-drift or change `expect`",
        "请核对数据源；确认无误后用 --accept-drift 导入，或修改 expect",
    )
    # 7xx engine
    ENGINE = Meaning(
        701,
        500,
        "the query could not be run",
        "查询未能执行",
        "simplify it; the charge stands if data was touched",
        "请简化查询；若已触及数据则不退还预算",
    )
    ENGINE_LIMIT = Meaning(
        702,
        503,
        "the query ran past its limits",
        "查询超出资源限制",
        "simplify it; the charge stands if data was touched",
        "请简化查询；若已触及数据则不退还预算",
    )
    BUSY = Meaning(
        703,
        429,
        "too many queries are waiting under this grant: {subject}",
        "该授权下排队的查询过多：{subject}",
        "ask again in a little while; nothing was spent",
        "请稍后重试；未消耗预算",
    )
    CANCELLED = Meaning(
        704,
        409,
        "the query was cancelled: {subject}",
        "查询已被取消：{subject}",
        "ask again if you still want it; what was spent before the stop stays spent",
        "如仍需要请重新提交；取消前已消耗的预算不退还",
    )
    CLOSING = Meaning(
        705,
        503,
        "the service is shutting down",
        "服务正在关闭",
        "ask again once it is back",
        "请待服务恢复后重试",
    )
    UNCONFINED = Meaning(
        706,
        503,
        "this machine does not confine workers as the settings ask: {subject}",
        "本机无法按设置要求隔离查询进程：{subject}",
        "{hint}",
        "{hint}",
    )
    NOTEBOOKS = Meaning(
        707, 503, "the notebook cannot be opened: {subject}", "无法打开笔记本：{subject}", "{hint}", "{hint}"
    )
    # 8xx doors
    WHO = Meaning(
        801, 401, "no valid credentials", "凭证无效", "send a valid bearer token", "请提供有效的令牌"
    )
    ROLE = Meaning(
        802,
        403,
        "your role does not allow this",
        "您的角色无权进行此操作",
        "ask someone whose role does",
        "请联系有权限的人员",
    )
    REQUEST = Meaning(
        803,
        400,
        "the request is not of the right form: {subject}",
        "请求格式不正确：{subject}",
        "{hint}",
        "{hint}",
    )
    NOT_FOUND = Meaning(
        804,
        404,
        "there is nothing here: {subject}",
        "此处没有内容：{subject}",
        "check the address or name",
        "请检查地址或名称",
    )
    METHOD = Meaning(
        805,
        405,
        "this address does not take that method: {subject}",
        "此地址不支持该方法：{subject}",
        "{hint}",
        "{hint}",
    )
    TOO_LARGE = Meaning(
        806, 413, "the request is too large: {subject}", "请求过大：{subject}", "{hint}", "{hint}"
    )
    FORMAT = Meaning(
        807,
        406,
        "there is no answer in this form: {subject}",
        "无法以此格式应答：{subject}",
        "ask for json, csv or arrow",
        "请选择 json、csv 或 arrow",
    )
    TRIES = Meaning(
        808,
        429,
        "too many wrong credentials came from this address",
        "来自此地址的错误凭证过多",
        "wait a minute; who is signed in already is not held up",
        "请稍候一分钟；已登录者不受影响",
    )
    # 9xx ours
    INTERNAL = Meaning(
        901,
        500,
        "something went wrong on our side; nothing left and nothing is lost",
        "系统内部错误；没有数据流出，也没有丢失",
        "try again, or tell the bureau the time of this request",
        "请重试，或将请求时间告知主管部门",
    )
    STORE = Meaning(
        902,
        503,
        "the ledger and log cannot be used, so nothing is answered: {subject}",
        "账本与日志不可用，因此不予应答：{subject}",
        "try again, or tell the bureau",
        "请重试，或联系主管部门",
    )
    LOG_DAMAGED = Meaning(
        903,
        503,
        "the audit log is not what was signed, so nothing is answered: {subject}",
        "审计日志与已签名的内容不符，因此不予应答：{subject}",
        "tell the bureau: run `sandbox audit verify`; if the store is from a backup, `sandbox audit recover`",
        "请联系主管部门执行 sandbox audit verify；若账本库来自备份，执行 sandbox audit recover",
    )
    CHECKPOINT = Meaning(
        904,
        409,
        "this is no checkpoint of this log: {subject}",
        "不是本日志的检查点：{subject}",
        "use a checkpoint that this log signed",
        "请使用本日志签名的检查点",
    )
    LOG_KEY = Meaning(
        905,
        503,
        "the log's signing key cannot be used, so nothing is answered: {subject}",
        "日志签名密钥不可用，因此不予应答：{subject}",
        "tell the bureau: put `log/keys` back; if a recovery was cut off, run `sandbox audit recover` again",
        "请联系主管部门恢复 log/keys 目录；若恢复操作曾中断，再次执行 sandbox audit recover",
    )
    LEDGER_DAMAGED = Meaning(
        906,
        503,
        "the ledger is not what the audit log says: {subject}",
        "账本与审计日志不一致：{subject}",
        "freeze everything, and find out who changed the store's tables",
        "请冻结全部查询，并查明是谁改动了账本库",
    )

    @property
    def id(self) -> str:
        """The stable public form, as in ``DS-304``."""
        return f"DS-{self.value.number}"

    @property
    def status(self) -> int:
        """The HTTP status of a refusal whose first reason has this code."""
        return self.value.status

    @property
    def exit(self) -> int:
        """The CLI's exit code: the hundred of the number, plus ten (11 text … 19 ours)."""
        return 10 + self.value.number // 100


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal.

    ``subject`` names the construct, column or document at fault; ``hint``/``hint_zh`` say what
    would be allowed.  Both come from the request's own text or from the catalogue.
    """

    code: Code
    subject: str = ""
    hint: str = ""
    hint_zh: str = ""
    column: str = ""
    rule: str = ""

    def what(self, lang: Lang) -> str:
        """The sentence that says what is wrong."""
        meaning = self.code.value
        text = meaning.what_en if lang == "en" else meaning.what_zh
        return text.replace("{subject}", self.subject)

    def now(self, lang: Lang) -> str:
        """The sentence that says what would be allowed: the code's own, or a hint about this very case."""
        meaning = self.code.value
        text = meaning.now_en if lang == "en" else meaning.now_zh
        hint = self.hint if lang == "en" else (self.hint_zh or self.hint)
        return text.replace("{hint}", hint) if "{hint}" in text else hint or text


class SandboxError(Exception):
    """Base of everything that this package raises on purpose."""


class Refusal(SandboxError):
    """A refusal on its way to a stage's boundary, with all its reasons at once."""

    def __init__(self, *reasons: Reason) -> None:
        if not reasons:
            raise ValueError("a refusal has at least one reason")
        super().__init__("; ".join(f"{r.code.id} {r.what('en')}" for r in reasons))
        self.reasons: Final = tuple(reasons)

    @property
    def code(self) -> Code:
        """The first reason's code, which sets the HTTP status and the exit code."""
        return self.reasons[0].code


def refuse(code: Code, subject: str = "", hint: str = "", hint_zh: str = "", **where: str) -> Refusal:
    """Build a one-reason refusal: ``raise refuse(Code.USE, "people.age", "…")``."""
    return Refusal(Reason(code, subject, hint, hint_zh, **where))
