"""Calls every operation that the vendor's Python client has, with strict validation of the responses.

The sandbox's address and token come from the environment, as for any program that uses the client.
"""

import os
import uuid

import cloudflare

ACCOUNT = os.environ["CLOUDFLARE_ACCOUNT_ID"]
client = cloudflare.Cloudflare(_strict_response_validation=True, max_retries=0)
scoring = client.zero_trust.risk_scoring
access = client.zero_trust.access


def behaviors():
    before = scoring.behaviours.get(account_id=ACCOUNT).behaviors
    assert before, "no behaviors"
    written = scoring.behaviours.update(
        account_id=ACCOUNT, behaviors={"imp_travel": {"enabled": False, "risk_level": "low"}}
    ).behaviors
    assert set(written) == set(before), "a write answers every behavior"
    after = scoring.behaviours.get(account_id=ACCOUNT).behaviors
    assert (after["imp_travel"].enabled, after["imp_travel"].risk_level) == (False, "low")
    assert after["high_dlp"].enabled == before["high_dlp"].enabled


def users():
    user = scoring.summary.get(account_id=ACCOUNT).users[0]
    assert scoring.get(user.user_id, account_id=ACCOUNT).events
    scoring.reset(user.user_id, account_id=ACCOUNT)
    assert user.user_id not in [left.user_id for left in scoring.summary.get(account_id=ACCOUNT).users]


def integrations():
    created = scoring.integrations.create(
        account_id=ACCOUNT, integration_type="Okta", tenant_url="https://corp.okta.com"
    )
    assert uuid.UUID(created.reference_id).version == 4, "a missing reference is generated"
    reference = "3701e70b-5de4-4d9d-8972-f5aa994d9058"
    written = scoring.integrations.update(
        created.id, account_id=ACCOUNT, active=False, tenant_url="https://corp.okta.com", reference_id=reference
    )
    assert (written.active, written.reference_id) == (False, reference)
    assert scoring.integrations.get(created.id, account_id=ACCOUNT).to_dict() == written.to_dict()
    assert scoring.integrations.references.get(reference, account_id=ACCOUNT).id == created.id
    assert created.id in [one.id for one in scoring.integrations.list(account_id=ACCOUNT)]
    scoring.integrations.delete(created.id, account_id=ACCOUNT)
    try:
        scoring.integrations.get(created.id, account_id=ACCOUNT)
    except cloudflare.NotFoundError:
        return
    raise AssertionError("a deleted integration still exists")


def context():
    for listed in (access.policies, access.groups, access.applications, client.zero_trust.identity_providers):
        assert list(listed.list(account_id=ACCOUNT, per_page=1)), f"{listed} is empty"
    application = next(iter(access.applications.list(account_id=ACCOUNT)))
    assert list(access.applications.policies.list(application.id, account_id=ACCOUNT))


def audit_log():
    # One page: the client looks for the next in `result_info.cursors`, and the documentation puts it into `result_info.cursor`.
    entries = client.accounts.logs.audit.list(account_id=ACCOUNT, since="2020-01-01", before="2100-01-01", limit=2)
    assert [entry.action.type for entry in entries.result] == ["delete", "update"], "the newest come first"


def tokens():
    for state in (client.user.tokens.verify(), client.accounts.tokens.verify(account_id=ACCOUNT)):
        assert state.status == "active" and state.id


for check in (behaviors, users, integrations, context, audit_log, tokens):
    check()
    print(f"ok    {check.__name__}")
