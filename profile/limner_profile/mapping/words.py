"""What columns tend to be called, in English and Chinese: by the names alone one can often tell what they hold.

Pure; imports nothing of Limner.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Role to the names that say it outright, the best first. A column called so is meant so.
EXACT: Mapping[str, tuple[str, ...]] = {
    "user": (
        "user_id", "userid", "uid", "user", "user_no", "user_code", "customer_id", "customerid", "cust_id", "customer", "customer_no", "customer_number",
        "client_id", "client", "member_id", "memberid", "member_no", "member", "player_id", "player", "account_id", "account", "buyer_id",
        "buyer", "subscriber_id", "person_id", "household_id", "visitor_id", "guest_id", "profile_id", "distinct_id", "openid", "open_id",
        "unionid", "union_id", "kunde", "kunden_id", "kundennummer", "用户id", "用户", "用户编号", "用户标识", "会员id", "会员", "会员号", "会员编号", "会员卡号",
        "客户id", "客户", "客户号", "客户编号", "买家id", "买家", "玩家id", "玩家", "账号", "账户id", "账户", "顾客id", "顾客", "角色id",
    ),
    "time": (
        "time", "event_time", "timestamp", "ts", "datetime", "event_timestamp", "occurred_at", "happened_at", "date", "event_date", "order_time",
        "order_date", "ordered_at", "purchase_date", "purchase_time", "purchased_at", "paid_at", "pay_time", "payment_time", "transaction_date",
        "transaction_time", "invoice_date", "created_at", "create_time", "created", "created_time", "at", "when", "day", "dt", "log_time",
        "zeit", "datum", "zeitpunkt", "时间", "事件时间", "发生时间", "行为时间", "时间戳", "下单时间", "订单时间", "支付时间", "付款时间", "成交时间", "交易时间", "交易日期",
        "下单日期", "订单日期", "日期", "创建时间", "操作时间", "访问时间", "登录时间", "消费时间",
    ),
    "received": ("received_at", "received", "receive_time", "ingested_at", "loaded_at", "arrived_at", "server_time", "入库时间", "接收时间", "上报时间", "到达时间"),
    "since": (
        "registered_at", "register_time", "registered", "registration_date", "reg_time", "reg_date", "signup_date", "sign_up_date", "signed_up",
        "signed_up_at", "signup_at", "signup_time", "joined_at", "joined", "join_date", "since", "member_since", "first_seen", "activated_at",
        "opened_at", "created_at", "create_time", "created", "install_time", "installed_at", "注册时间", "注册日期", "入会时间", "入会日期", "开户时间", "开户日期", "加入时间",
        "创建时间", "激活时间", "安装时间",
    ),
    "event": (
        "event", "event_name", "eventname", "event_type", "event_code", "action", "action_type", "activity", "act", "behavior", "behaviour",
        "behavior_type", "operation", "what", "ereignis", "事件", "事件名", "事件名称", "事件类型", "行为", "行为类型", "动作", "操作", "操作类型",
    ),
    "event_id": (
        "event_id", "eventid", "message_id", "insert_id", "log_id", "order_id", "orderid", "order_no", "order_number", "order_sn", "transaction_id",
        "trans_id", "invoice_no", "invoice", "payment_id", "receipt_no", "uuid", "row_id", "id", "bestellnummer", "事件id", "订单id", "订单号", "订单编号",
        "交易号", "交易流水号", "流水号", "单号",
    ),
    "amount": (
        "amount", "order_amount", "paid_amount", "pay_amount", "payment_amount", "total_amount", "amt", "total", "order_total", "grand_total", "total_price",
        "revenue", "gmv", "net_amount", "spend", "sales", "paid", "turnover", "value", "price", "betrag", "umsatz", "summe", "金额", "实付金额",
        "支付金额", "订单金额", "付款金额", "交易金额", "消费金额", "成交金额", "充值金额", "实付", "总价", "总金额", "应付金额", "价格",
    ),
}  # fmt: skip
# Role to words that, as a part of a name, hint at it.
PARTS: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "customer", "client", "member", "player", "account", "buyer", "subscriber", "visitor", "openid", "device", "用户", "会员", "客户", "玩家", "买家", "账号", "顾客", "手机", "设备"),
    "time": ("time", "timestamp", "date", "datetime", "ts", "at", "时间", "日期"),
    "received": ("received", "ingested", "arrived", "入库", "接收"),
    "since": ("register", "registered", "registration", "signup", "joined", "join", "注册", "入会", "开户"),
    "event": ("event", "action", "behavior", "behaviour", "activity", "事件", "行为", "动作"),
    "event_id": ("order", "transaction", "invoice", "event", "订单", "流水", "单号"),
    "amount": ("amount", "amt", "revenue", "total", "spend", "price", "金额", "实付", "总价"),
}  # fmt: skip
# Columns that hold an id of something else than a user.
THINGS = frozenset(
    {"product", "item", "sku", "order", "event", "session", "campaign", "store", "shop", "book", "content", "article", "category", "coupon",
     "transaction", "invoice", "message", "page", "商品", "产品", "订单", "会话", "活动", "门店", "店铺", "内容"}
)  # fmt: skip
# File names that tell what a row is.
FILES: Mapping[str, tuple[str, ...]] = {
    "users": ("user", "users", "customer", "customers", "member", "members", "client", "clients", "player", "players", "people", "profile", "profiles",
              "account", "accounts", "subscribers", "crm", "kunden", "用户", "会员", "客户", "玩家"),
    "orders": ("order", "orders", "purchase", "purchases", "transaction", "transactions", "sale", "sales", "payment", "payments", "invoice", "invoices",
               "topup", "recharge", "bestellungen", "订单", "交易", "销售", "支付", "充值", "消费"),
    "events": ("event", "events", "log", "logs", "click", "clicks", "clickstream", "behavior", "behaviour", "activity", "activities", "actions", "visits",
               "事件", "行为", "日志", "埋点"),
}  # fmt: skip
# Words of acts, by which a column of event names is known from a column of, say, cities.
ACTS = frozenset(
    {"login", "signin", "logout", "register", "signup", "open", "launch", "view", "click", "search", "share", "like", "comment", "read", "play",
     "watch", "cart", "checkout", "order", "purchase", "buy", "pay", "payment", "refund", "visit", "start", "end", "install", "download", "follow",
     "favorite", "collect", "subscribe", "renew", "cancel", "deposit", "withdraw", "transfer", "redeem", "exposure", "impression", "browse",
     "complaint", "return", "sent", "received", "level", "battle", "登录", "注册", "启动", "打开", "浏览", "点击", "搜索", "分享", "点赞", "评论", "阅读", "播放", "观看",
     "加购", "加入购物车", "下单", "购买", "支付", "付款", "退款", "收藏", "关注", "订阅", "续费", "取消", "充值", "提现", "转账", "签到", "领取", "升级", "对战", "曝光", "访问"}
)  # fmt: skip
# What says who a person is, beyond what a portrait needs.
PERSONAL = frozenset(
    {"name", "first_name", "firstname", "last_name", "lastname", "full_name", "fullname", "username", "user_name", "nickname", "email", "e_mail", "mail", "phone", "phone_number", "mobile",
     "telephone", "tel", "address", "street", "passport", "ssn", "id_card", "idcard", "password", "iban", "card_number", "ip", "ip_address",
     "vorname", "nachname", "姓名", "名字", "昵称", "用户名", "邮箱", "电话", "手机", "手机号", "手机号码", "联系电话", "地址", "收货地址", "身份证", "身份证号", "密码", "银行卡号"}
)  # fmt: skip
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SPLIT = re.compile(r"[\W_]+")


def folded(name: str) -> str:
    """The name in one way of writing: small letters, words joined by underscores.

    >>> folded("CustomerID"), folded("Order Total (EUR)"), folded("用户 ID")
    ('customer_id', 'order_total_eur', '用户id')
    """
    parts = [part for part in _SPLIT.split(_CAMEL.sub("_", name).casefold()) if part]
    joined = "_".join(parts)
    # Chinese has no spaces between words.
    return re.sub(r"(?<=[\u4e00-\u9fff])_|_(?=[\u4e00-\u9fff])", "", joined)


def tokens(name: str) -> frozenset[str]:
    """The words of a name, folded."""
    return frozenset(folded(name).split("_"))


def is_chinese(text: str) -> bool:
    """Whether the text has Chinese characters."""
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def has_word(name: str, words: frozenset[str] | tuple[str, ...]) -> bool:
    """Whether one of the words is a word of the name; a Chinese one, a part of it."""
    text, own = folded(name), tokens(name)
    return any(word in own or (is_chinese(word) and word in text) for word in words)


def says_role(name: str, role: str) -> float:
    """How much a name says that a column has this role: 1 to 0.8 for a usual name, 0.5 where a part hints at it, 0."""
    text = folded(name)
    exact = EXACT[role]
    if text in exact:
        return 1 - 0.2 * exact.index(text) / len(exact)
    return 0.5 if has_word(name, PARTS[role]) else 0.0
