"""What people come to the console to do, each from the door to the end."""

from __future__ import annotations

import time
from base64 import b32decode
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tests.browser.visitor import Visitor

HEALTH: Final = "G-2025-017"
CLAIMS: Final = """SELECT p.age_band, COUNT(DISTINCT c.person_id) AS patients, COUNT(*) AS claims
FROM claim c JOIN person p ON p.person_id = c.person_id
GROUP BY p.age_band ORDER BY p.age_band"""
NOSY: Final = "SELECT total_fee, COUNT(*) AS n FROM claim WHERE total_fee = 88.5 GROUP BY total_fee"


def catalogue(v: Visitor) -> None:
    """An analyst finds out what each column may be used for."""
    v.sign_in("analyst")
    v.go("目录", "Catalogue")
    v.see("catalogue")
    v.page.get_by_role("link", name=v.t("商业健康险产品定价", "Commercial health-insurance pricing")).click()
    v.reads("个人信息保护法第二十八条", "个人信息保护法第二十八条")
    v.see("grant")


def ask(v: Visitor) -> None:
    """An analyst sees the price, asks, and keeps answer and receipt."""
    v.sign_in("analyst")
    v.open(f"/ask?grant={HEALTH}")
    v.write(CLAIMS)
    v.press("试算", "Price")
    v.reads("预计 95% 半宽", "predicted 95 % half-width")
    v.see("query")
    v.press("提交查询", "Ask")
    v.reads("保证了什么，没有保证什么", "What is guaranteed, and what is not")
    assert v.page.locator("table.answer tbody tr").count() == 4
    assert v.page.locator("svg.bars .interval").count() == 4
    assert v.page.locator("td.margin").first.inner_text().startswith("±")
    v.see("answer")
    for zh, en in (("下载回执", "Download receipt"), ("下载 CSV", "Download CSV")):
        with v.page.expect_download() as got:
            v.page.get_by_role("link", name=v.t(zh, en)).click()
        assert got.value.path().stat().st_size > 100


def refused(v: Visitor) -> None:
    """A question that the grant does not allow: every reason, what to do, and the text is kept."""
    v.sign_in("analyst")
    v.open(f"/ask?grant={HEALTH}")
    v.write(NOSY)
    v.press("提交查询", "Ask")
    v.reads("DS-304", "DS-304")
    assert "total_fee" in v.page.locator("#sql").input_value()
    v.see("refused")


def history(v: Visitor) -> None:
    """An analyst reads what was asked, and what is left."""
    v.sign_in("analyst")
    v.go("日志", "Log")
    v.page.locator("table.entries tbody tr").first.wait_for()
    v.go("预算", "Budgets")
    v.page.locator("svg.burn").first.wait_for()
    v.see("budgets")


def watch(v: Visitor) -> None:
    """The bureau looks at today, filters the log, reads an entry, sets two queries side by side."""
    v.sign_in("bureau")
    v.see("today")
    v.go("日志", "Log")
    v.page.get_by_role("link", name=v.t("放出", "Answered"), exact=True).click()
    v.page.locator("table.entries tbody tr").first.wait_for()
    v.see("log")
    v.page.locator("table.entries tbody a").first.click()
    v.reads("回执已核验", "receipt checked")
    v.see("entry")
    v.page.locator("#new").fill("3")
    v.press("对照", "Compare")
    v.reads("两次查询的差别", "Two queries compared")
    v.see("compare")


def freeze(v: Visitor) -> None:
    """The bureau freezes a grant, whose next query is refused; two people lift it."""
    v.sign_in("bureau")
    v.go("冻结", "Freezes")
    v.page.select_option("#scope", "grant")
    v.page.select_option("#target", "G-2025-018")
    v.page.fill("#reason", v.t("演练：超出场景的用量", "Drill: use beyond the scenario"))
    v.press("下一步：确认", "Next: confirm")
    v.see("freeze")
    v.press("立即冻结", "Freeze now")
    v.press("同意解除", "Agree to lift")
    v.reads("您已同意", "you agreed")
    v.see("freezes")
    v.sign_out()
    v.sign_in("bureau-2")
    v.go("冻结", "Freezes")
    v.page.get_by_role("button", name=v.t("确认解除", "Confirm lifting")).click()
    v.reads("没有生效中的冻结", "Nothing is frozen")


def policies(v: Visitor) -> None:
    """The bureau reads what a document would change, in sentences."""
    v.sign_in("bureau")
    v.go("政策", "Policies")
    text = Path("policies/power/G-2025-022.yaml").read_text(encoding="utf-8")
    v.page.fill("#text", text.replace("2030-12-31", "2031-12-31"))
    v.press("比较", "Compare")
    v.reads("由 2030-12-31 改为 2031-12-31", "goes from 2030-12-31 to 2031-12-31")
    v.see("policies")


def audit(v: Visitor) -> None:
    """The bureau verifies the whole log, and looks at people and tokens."""
    v.sign_in("bureau")
    v.go("人员", "People")
    v.see("people")
    v.go("审计验证", "Audit")
    v.press("验证", "Verify")
    v.reads("验证通过", "The log is what was signed")
    v.see("audit")


def account(v: Visitor) -> None:
    """The bureau adds somebody, who comes with a token, sets a password, and comes back with it."""
    name, words = f"new-{v.lang}", "correct horse battery"
    v.sign_in("bureau")
    v.open("/people")
    v.page.fill("#name", name)
    v.page.fill("#organisation", "晋数金科有限公司")
    v.press("添加", "Add")
    token = v.page.locator("pre.once").inner_text().strip()
    v.see("token")
    v.sign_out()
    v.page.fill("#token", token)
    v.press("登录", "Sign in")
    v.page.get_by_role("link", name=name).click()
    v.see("account")
    factor = b32decode(v.page.locator("code.id").inner_text())
    v.page.fill("#new", words)
    v.page.fill("#again", words)
    v.page.fill("#code", TOTP(factor, 6, SHA1(), 30).generate(int(time.time())).decode())
    v.press("启用密码登录", "Sign in with these from now on")
    code = v.page.locator("pre.once").inner_text().split()[0]
    v.see("recovery-codes")
    v.page.get_by_role("link", name=v.t("已保存，继续", "Kept; go on")).click()
    v.page.get_by_text(v.t("使用密码登录", "With a password")).click()
    v.page.fill("#name", name)
    v.page.fill("#password", words)
    v.page.fill("#code", code)
    v.see("password")
    v.press("用密码登录", "Sign in with password")
    v.reads("程序用的令牌", "Tokens for programs")
    v.see("account-with-password")
    v.sign_out()
    v.sign_in("bureau")
    v.open(f"/person?name={name}")
    v.see("person")
    v.press("停用", "Disable")
    v.reads("已停用", "disabled")


def owner(v: Visitor) -> None:
    """An owner reads who may use its data, what was asked and what was released."""
    v.sign_in("owner")
    v.reads("谁为哪个场景可用什么", "Who may use what, for which scenario")
    v.page.locator("table.entries tbody tr").first.wait_for()
    v.see("owner")


def apply(v: Visitor) -> None:
    """An operator applies for a grant; the owner gives an opinion; the bureau approves what it read."""
    id = v.t("G-2026-001", "G-2026-002")
    text = Path("policies/med/G-2025-017.yaml").read_text(encoding="utf-8")
    text = text.replace("G-2025-017", id).replace("山西健康数据运营有限公司", "晋数金科有限公司")
    v.sign_in("operator-credit")
    v.go("申请与审核", "Cases")
    v.page.get_by_role("link", name=v.t("新建授权申请", "New grant application")).click()
    v.page.fill("#text", text)
    v.press("立案", "Open the case")
    v.press("提交审核", "Submit")
    v.reads("待审", "submitted")
    v.see("application")
    v.sign_out()
    v.sign_in("owner")
    v.go("申请与审核", "Cases")
    v.see("cases")
    v.page.get_by_role("row", name=id).get_by_role("link").click()
    v.page.fill("#note", v.t("用途与场景相符，同意。", "The purpose fits the scenario: agreed."))
    v.press("出具意见", "Give this opinion")
    v.reads("数源单位已出具意见", "advised on by the owners")
    v.sign_out()
    v.sign_in("bureau")
    v.go("申请与审核", "Cases")
    v.page.get_by_role("row", name=id).get_by_role("link").click()
    v.see("review")
    v.press("批准", "Approve")
    v.reads("生效", "in force")


PRODUCT: Final = """kind: product
id: ID
grant: G-2025-017
title: {zh: 各年龄段就诊人数, en: Patients by age band}
form: table
query:
  sql: |
    SELECT p.age_band, COUNT(DISTINCT c.person_id) AS patients
    FROM claim c JOIN person p ON p.person_id = c.person_id
    WHERE c.settle_date >= :since GROUP BY p.age_band ORDER BY p.age_band
  parameters: {since: date}
schedule: monthly
to: [省内商业保险公司]
fee: {basis: cost-plus, price: 1200, per: month, unit: CNY}
"""


def product(v: Visitor) -> None:
    """An operator applies for a product, the bureau approves it, and it is received and billed."""
    id = v.t("P-017-1", "P-017-2")
    v.sign_in("operator-health")
    v.go("产品", "Products")
    v.page.get_by_role("link", name=v.t("申请新产品", "Apply for a product")).click()
    assert "kind: product" in v.page.input_value("#text")
    v.page.fill("#text", PRODUCT.replace("ID", id))
    v.see("product-application")
    v.press("立案", "Open the case")
    v.press("提交审核", "Submit")
    v.reads("待审", "submitted")
    v.sign_out()
    v.sign_in("bureau")
    v.go("申请与审核", "Cases")
    v.page.get_by_role("row", name=id).get_by_role("link").click()
    v.see("product-review")
    v.press("批准", "Approve")
    v.reads("生效", "in force")
    v.sign_out()
    v.sign_in("operator-health")
    v.go("产品", "Products")
    v.see("products")
    v.page.get_by_role("link", name=id).click()
    v.page.fill("#p-since", "2024-01-01")
    v.see("product")
    v.press("获取并计费", "Receive, and be billed")
    v.reads("保证了什么，没有保证什么", "What is guaranteed, and what is not")
    assert v.page.locator("table.answer tbody tr").count() == 4
    v.see("delivered")
    v.go("产品", "Products")
    v.page.get_by_role("link", name=v.t("月度结算", "Monthly statement")).click()
    v.reads("1200 CNY", "1200 CNY")
    v.see("statement")


def notebooks(v: Visitor) -> None:
    """An analyst opens a notebook from the console, asks in it, and ends the server."""
    v.sign_in("analyst")
    v.go("笔记本", "Notebooks")
    v.see("notebooks")
    with v.page.context.expect_page() as opened:
        v.page.get_by_role("link", name=v.t("打开笔记本", "Open notebooks")).click()
    lab = opened.value
    lab.wait_for_url("**/lab*")
    lab.goto(lab.url.partition("/lab")[0] + "/lab?reset")  # what was open the last time stays closed
    card = lab.locator(".jp-LauncherCard", has_text=v.t("数据沙箱", "Data Sandbox"))
    card.first.click(timeout=60_000)
    lab.get_by_text(v.t("| 空闲", "| Idle")).wait_for(timeout=60_000)
    lab.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
    lab.keyboard.insert_text(f"%%sql --grant {HEALTH} --epsilon 0.1\n{CLAIMS}")
    lab.keyboard.press("Shift+Enter")
    lab.locator(".jp-OutputArea-output table").wait_for(timeout=60_000)
    lab.locator(".jp-RenderedVegaCommon5 canvas").wait_for()
    if v.screens is not None:
        lab.screenshot(path=v.screens / f"notebook-{v.lang}.png")
    lab.close()
    v.page.reload()
    v.reads("运行中", "running")
    v.press("停止", "Stop")
    v.reads("未运行", "not running")


def without_scripts(v: Visitor) -> None:
    """Everything that an analyst does, without scripts, on a narrow screen."""
    v.sign_in("analyst")
    v.open(f"/ask?grant={HEALTH}")
    v.write(CLAIMS)
    v.press("试算", "Price")
    v.reads("试算结果", "What it would cost")
    v.press("提交查询", "Ask")
    v.reads("保证了什么，没有保证什么", "What is guaranteed, and what is not")
    v.press(v.t("English", "中文"), v.t("English", "中文"))
    assert v.page.locator("html").get_attribute("lang") == v.t("en", "zh-CN")


JOURNEYS: Final[tuple[Callable[[Visitor], None], ...]] = (
    catalogue,
    ask,
    refused,
    history,
    watch,
    freeze,
    policies,
    audit,
    account,
    owner,
    apply,
    product,
    notebooks,
)
PLAIN: Final = (without_scripts,)
