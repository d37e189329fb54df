"""The answers, byte for byte as the contract writes them."""

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.request import Limited, Moved, Refusal, Skipped, Unchanged, Updated
from ddnsd.web import replies, update

# The contract's table, copied from the public document.
CONTRACT = {
    Refusal.FIRST_LEVEL: (400, "DDNS 功能仅支持子域名,不支持一级域名"),
    Refusal.MISSING_DOMAIN: (400, "缺少 domain 参数"),
    Refusal.MISSING_TOKEN: (400, "缺少 token 参数"),
    Refusal.INVALID_IP: (400, "无效的 IP 地址格式"),
    Refusal.UNKNOWN_TOKEN: (401, "无效的 token"),
    Refusal.SUSPENDED: (403, "用户账号已被临时封禁"),
    Refusal.BANNED: (403, "用户账号已被永久封禁"),
    Refusal.RECORD_DISABLED: (403, "域名记录已被禁用"),
    Refusal.ZONE_DISABLED: (403, "一级域名已被禁用"),
    Refusal.NOT_FOUND: (404, "域名不存在或无权操作"),
    Refusal.FAMILY_MISMATCH: (400, "IP 类型不匹配"),
    Refusal.NAMESERVER_FAILED: (500, "更新 DNS 服务器失败"),
    Refusal.STORE_FAILED: (500, "更新数据库失败"),
}


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_has_the_contracts_status_and_text(refusal: Refusal) -> None:
    status, message = CONTRACT[refusal]
    assert (refusal.status, refusal.message) == (status, message)
    assert update.body(refusal) == (status, f'{{"success":false,"error":"{message}"}}'.encode())


def test_a_change_is_the_contracts_example() -> None:
    answer = Updated("blog.example.com", "192.168.1.100", Family.A, "192.168.1.99")
    expected = (
        '{"success":true,"message":"DDNS 更新成功","data":{"domain":"blog.example.com","ip":"192.168.1.100",'
        '"record_type":"A","old_ip":"192.168.1.99","updated":true}}'
    )
    assert update.body((answer,)) == (200, expected.encode())


def test_the_first_update_of_a_name_has_an_empty_old_ip() -> None:
    answer = Updated("blog.example.com", "2001:db8::7", Family.AAAA, "")
    expected = (
        '{"success":true,"message":"DDNS 更新成功","data":{"domain":"blog.example.com","ip":"2001:db8::7",'
        '"record_type":"AAAA","old_ip":"","updated":true}}'
    )
    assert update.body((answer,)) == (200, expected.encode())


def test_unchanged_is_the_contracts_example() -> None:
    expected = (
        '{"success":true,"message":"IP 地址未变化,无需更新",'
        '"data":{"domain":"blog.example.com","ip":"192.168.1.100","updated":false}}'
    )
    assert update.body((Unchanged("blog.example.com", "192.168.1.100", Family.A),)) == (
        200,
        expected.encode(),
    )


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, replies.BAD_REQUEST),
        (404, replies.NO_SUCH_PATH),
        (405, replies.METHOD_NOT_ALLOWED),
        (413, replies.TOO_LARGE),
        (418, replies.BAD_REQUEST),
        (500, replies.INTERNAL),
        (504, replies.INTERNAL),
    ],
)
def test_what_the_contract_has_no_row_for_has_its_shape(status: int, message: str) -> None:
    assert replies.failure_of_status(status) == f'{{"success":false,"error":"{message}"}}'.encode()


def test_a_failure_escapes_only_what_json_must() -> None:
    assert replies.failure('"ü密\n') == '{"success":false,"error":"\\"ü密\\n"}'.encode()


BOTH = (
    Unchanged("blog.example.com", "192.0.2.7", Family.A),
    Updated("blog.example.com", "2001:db8::7", Family.AAAA, ""),
)


def test_of_several_records_each_is_told_and_the_first_that_changed_stands_where_clients_look() -> None:
    expected = (
        '{"success":true,"message":"DDNS 更新成功","data":{"domain":"blog.example.com","ip":"2001:db8::7",'
        '"record_type":"AAAA","old_ip":"","updated":true,"records":['
        '{"record_type":"A","ip":"192.0.2.7","old_ip":"192.0.2.7","updated":false},'
        '{"record_type":"AAAA","ip":"2001:db8::7","old_ip":"","updated":true}]}}'
    )
    assert update.body(BOTH) == (200, expected.encode())


@pytest.mark.parametrize(("moved", "message"), [(0, replies.UNCHANGED), (3, replies.UPDATED)])
def test_a_prefix_is_told_with_how_many_hosts_it_moved(moved: int, message: str) -> None:
    updated = "true" if moved else "false"
    expected = (
        f'{{"success":true,"message":"{message}","data":{{"domain":"blog.example.com","ip":"",'
        f'"updated":{updated},"records":[],"prefix":{{"prefix":"2001:db8::/64","hosts":3,"moved":{moved}}}}}}}'
    )
    answer = (Moved("blog.example.com", "2001:db8::/64", 3, moved),)
    assert update.body(answer) == (200, expected.encode())


def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    assert update.body(Limited(0.2))[0] == 429
    assert replies.headers(Limited(0.2)) == {"Retry-After": "1"}


def test_what_was_left_out_is_told_beside_what_was_done() -> None:
    name = "blog.example.com"
    done = Updated(name, "192.0.2.7", Family.A, "192.0.2.4")
    skipped = Skipped(name, "2001:db8::7", Family.AAAA, Refusal.FAMILY_MISMATCH)
    expected = (
        '{"success":true,"message":"DDNS 更新成功","data":{"domain":"blog.example.com","ip":"192.0.2.7",'
        '"record_type":"A","old_ip":"192.0.2.4","updated":true,'
        '"records":[{"record_type":"A","ip":"192.0.2.7","old_ip":"192.0.2.4","updated":true}],'
        '"skipped":[{"record_type":"AAAA","ip":"2001:db8::7","error":"IP 类型不匹配"}]}}'
    )
    assert update.body((done, skipped)) == (200, expected.encode())
