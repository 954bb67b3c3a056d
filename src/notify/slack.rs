//! The Slack message: a headline, one line per finding, most severe first, and the next command.

use std::collections::HashMap;
use std::fmt::{self, Write};

use jiff::Timestamp;
use serde_json::json;

use crate::model::address::Address;
use crate::model::text::{EscapeInvisible, GROUPING_THRESHOLD, abbreviate_list, pluralize};
use crate::plan::{
    AccountPlan, Action, Change, Field, FieldAttribution, FieldChange, FieldValue, NoteKind, Run,
    UnlistedSettings,
};
use crate::report::attribution::who;

use super::payload::{Severity, accounts_with_problems, headline};
use super::{CheckResult, Message, Outcome};

/// Maximum number of findings in a message.
const MAX_LINES: usize = 20;
/// Maximum length of a text.
const MAX_LINE_CHARS: usize = 400;

/// Returns the JSON body for Slack's incoming webhooks.
pub(super) fn slack_payload(message: &Message<'_>) -> String {
    let symbol = match message.outcome {
        Outcome::Ok | Outcome::Resolved => ":white_check_mark:",
        Outcome::Drift => ":warning:",
        Outcome::Error => ":x:",
    };
    let mut text = format!("{symbol} *{}*", headline(message));
    let lines = lines(&message.finding);
    for line in lines.iter().take(MAX_LINES) {
        text.push_str("\n• ");
        text.push_str(line);
    }
    if lines.len() > MAX_LINES {
        let _ = write!(text, "\n… and {} more", lines.len() - MAX_LINES);
    }
    if let Some(next) = message.next {
        let _ = write!(text, "\nNext: `{}`", SlackEscaped(next));
    }
    if let Some(url) = message.run_url {
        // A vertical bar would end the URL and start the label.
        let url = SlackEscaped(url).to_string().replace('|', "%7C");
        let _ = write!(text, "\n<{url}|View run>");
    }
    json!({ "text": text, "unfurl_links": false, "unfurl_media": false }).to_string()
}

fn lines(finding: &CheckResult<'_>) -> Vec<String> {
    match finding {
        CheckResult::Accounts(document) => grouped_lines(document).iter().map(Line::text).collect(),
        CheckResult::Failed { message, help, .. } => std::iter::once(message)
            .chain(help)
            .map(|text| SlackEscaped(text).to_string())
            .collect(),
    }
}

/// A finding and its accounts.
struct Line<'a> {
    gravity: Severity,
    /// Address of the resource; `None` for a finding about the account.
    address: Option<&'a Address>,
    what: String,
    places: Vec<AccountRef<'a>>,
}

/// An account with a finding.
struct AccountRef<'a> {
    account: &'a str,
    /// Author of the change and affected policies.
    context: String,
}

/// Returns all findings, most severe first. Findings that several accounts share are grouped.
fn grouped_lines(document: &Run) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut places = HashMap::new();
    for line in accounts_with_problems(document)
        .into_iter()
        .flat_map(|account| account_lines(account, document.created_at))
    {
        let at = *places
            .entry((line.address, line.what.clone()))
            .or_insert(lines.len());
        match lines.get_mut(at) {
            Some(same) => same.places.extend(line.places),
            None => lines.push(line),
        }
    }
    // Few accounts get one line each.
    let mut lines: Vec<Line<'_>> = lines
        .into_iter()
        .flat_map(|line| match line.places.len() < GROUPING_THRESHOLD {
            true => line.split_by_account(),
            false => vec![line],
        })
        .collect();
    lines.sort_by_key(|line| line.gravity);
    lines
}

fn account_lines(account: &AccountPlan, now: Timestamp) -> Vec<Line<'_>> {
    let line = |gravity, address, what, context| Line {
        gravity,
        address,
        what,
        places: vec![AccountRef {
            account: account.label(),
            context,
        }],
    };
    let failed = account.error.iter().map(|error| {
        let help = error
            .help
            .iter()
            .map(|help| format!("; {}", SlackEscaped(help)));
        let what = format!(
            "failed: {}{}",
            SlackEscaped(&error.message),
            help.collect::<String>()
        );
        line(Severity::Failed, None, what, String::new())
    });
    let ambiguous = account.errors.iter().map(|error| {
        let what = format!(
            "{}: {}; {}",
            error.kind.words(),
            SlackEscaped(&error.message),
            SlackEscaped(&error.help)
        );
        line(Severity::Failed, Some(&error.address), what, String::new())
    });
    let changed = account.changes.iter().map(|change| {
        let (gravity, address) = (Severity::of_change(change), change.address());
        let context = context(account, address, change.attribution(), now);
        line(gravity, Some(address), sentence(change), context)
    });
    let unlisted = account.reported().map(|thing| {
        let what = match &thing.settings {
            UnlistedSettings::Behavior(_) => "unlisted".to_owned(),
            UnlistedSettings::Integration(settings) => format!(
                "unlisted: tenant `{}`, {}",
                SlackEscaped(settings.tenant_url.as_str()),
                match settings.active {
                    true => "active",
                    false => "inactive",
                }
            ),
        };
        let context = context(account, &thing.address, &thing.attribution, now);
        line(Severity::Unlisted, Some(&thing.address), what, context)
    });
    // Notes about unknown context.
    let untold = account.notes.iter().filter(|note| {
        matches!(
            note.kind,
            NoteKind::PoliciesUnknown
                | NoteKind::PoliciesSkipped
                | NoteKind::AttributionUnavailable
        )
    });
    let untold = untold.map(|note| {
        let what = format!("– {}", SlackEscaped(&note.to_string()));
        line(Severity::Unavailable, None, what, String::new())
    });
    failed
        .chain(ambiguous)
        .chain(changed)
        .chain(unlisted)
        .chain(untold)
        .collect()
}

/// Returns the author of a change and the affected policies.
fn context(
    account: &AccountPlan,
    address: &Address,
    attributed: &[FieldAttribution],
    now: Timestamp,
) -> String {
    let notes = account.notes.iter();
    let acted_on = notes
        .filter(|note| note.kind == NoteKind::PoliciesAffected)
        .filter(|note| match &note.address {
            Some(concerned) => concerned == address,
            None => note.message.contains(&address.to_string()),
        })
        .map(|note| note.message.clone());
    who(attributed, now)
        .into_iter()
        .chain(acted_on)
        .map(|sentence| format!("; {}", SlackEscaped(&sentence)))
        .collect()
}

impl<'a> Line<'a> {
    /// Splits the finding into one per account.
    fn split_by_account(self) -> Vec<Line<'a>> {
        let Line {
            gravity,
            address,
            what,
            places,
        } = self;
        let one = |place| Line {
            gravity,
            address,
            what: what.clone(),
            places: vec![place],
        };
        places.into_iter().map(one).collect()
    }

    fn text(&self) -> String {
        let Line {
            gravity: _,
            address,
            what,
            places,
        } = self;
        // Only context that all accounts share is shown.
        let context = match places.split_first() {
            Some((first, rest)) if rest.iter().all(|one| one.context == first.context) => {
                first.context.as_str()
            }
            Some(_) | None => "",
        };
        let accounts: Vec<&str> = places.iter().map(|place| place.account).collect();
        let address = address.map(|address| SlackEscaped(&address.to_string()).to_string());
        match (accounts.as_slice(), address) {
            ([account], Some(address)) => format!("`{account}/{address}` {what}{context}"),
            ([account], None) => format!("`{account}` {what}"),
            (accounts, Some(address)) => {
                format!("`{address}` {what}{context} – in {}", named(accounts))
            }
            (accounts, None) => format!("{} {what}", named(accounts)),
        }
    }
}

/// `50 accounts (a, b, c, d, e and 45 more)`
fn named(accounts: &[&str]) -> String {
    format!(
        "{} ({})",
        pluralize(accounts.len(), "account"),
        abbreviate_list(accounts)
    )
}

/// Describes a change. The text follows the address.
fn sentence(change: &Change) -> String {
    let fields: Vec<String> = change.fields().iter().map(field).collect();
    let fields = fields.join(", ");
    let what = match change.action() {
        Action::Create => "is missing".to_owned(),
        Action::Delete => {
            let changed = change.fields();
            let tenant = changed.iter().find(|one| one.field == Field::TenantUrl);
            let tenant = tenant.and_then(|one| one.before.as_ref());
            let tenant = tenant.map(|tenant| format!(": tenant {}", value(Some(tenant))));
            format!("should not exist{}", tenant.unwrap_or_default())
        }
        Action::Update | Action::Replace => fields,
    };
    match change.live_weaker() {
        Some(reason) => format!("{what} – *weaker than declared* ({})", reason),
        None => what,
    }
}

fn field(change: &FieldChange) -> String {
    let FieldChange {
        field,
        before: live,
        after: declared,
        ..
    } = change;
    format!(
        "{field}: {} (declared {})",
        value(live.as_ref()),
        value(declared.as_ref())
    )
}

fn value(value: Option<&FieldValue>) -> String {
    match value {
        None => "unset".to_owned(),
        Some(value) => format!("`{}`", SlackEscaped(&value.to_string())),
    }
}

/// Displays a text without Slack mentions, links or formatting. Texts from the API are untrusted.
struct SlackEscaped<'a>(&'a str);

impl fmt::Display for SlackEscaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line = self.0.lines().collect::<Vec<_>>().join(" ");
        let visible = EscapeInvisible(&one_line).to_string();
        for c in visible.chars().take(MAX_LINE_CHARS) {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                // A backtick would end the code span.
                '`' => f.write_char('\'')?,
                // Replaced by look-alikes, because they start bold or struck-through text outside of code.
                '*' => f.write_char('∗')?,
                '~' => f.write_char('∼')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::notify::payload::tests::{FILES, document, message};

    fn text(outcome: Outcome, finding: CheckResult<'_>) -> String {
        let payload = slack_payload(&message(outcome, finding));
        let payload: Value = serde_json::from_str(&payload).unwrap();
        payload["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_channel_reads_what_differs_and_nothing_in_it_is_obeyed() {
        let document = document();
        insta::assert_snapshot!(text(Outcome::Error, CheckResult::Accounts(&document)), @"
        :x: *riskform drift: 1 weaker, 1 unlisted, 2 others differ, 1 failed (3 accounts)*
        • `staging` failed: the API answered 500 for '&lt;b&gt;'
        • `production/behavior.sentinel_one` enabled: `false` (declared `true`) – *weaker than declared* (disabled)
        • `production/behavior.imp_travel` risk_level: `&lt;!channel&gt;` (declared `high`)
        • `production/integration.corporate-okta` is missing
        • `production/integration[4cfe8442-664b-4915-acd4-b39cd65c4314]` unlisted: tenant `https://x.okta.com`, active
        Next: `riskform plan accounts`
        <https://ci.example/run/1|View run>
        ");
        insta::assert_snapshot!(text(Outcome::Error, FILES), @r"
        :x: *riskform: drift check failed*
        • riskform.yaml: file not found
        • write one
        Next: `riskform plan accounts`
        <https://ci.example/run/1|View run>
        ");
    }

    #[test]
    fn what_is_the_same_in_many_accounts_is_told_once() {
        let mut document = document();
        let failed = document.accounts.pop().unwrap();
        let drifted = document.accounts.remove(0);
        for index in 0..50 {
            for account in [&failed, &drifted] {
                let mut account = account.clone();
                account.name = format!("{}-{index}", account.label()).parse().ok();
                document.accounts.push(account);
            }
        }
        insta::assert_snapshot!(text(Outcome::Error, CheckResult::Accounts(&document)), @"
        :x: *riskform drift: 50 weaker, 50 unlisted, 100 others differ, 50 failed (101 accounts)*
        • 50 accounts (staging-0, staging-1, staging-2, staging-3, staging-4 and 45 more) failed: the API answered 500 for '&lt;b&gt;'
        • `behavior.sentinel_one` enabled: `false` (declared `true`) – *weaker than declared* (disabled) – in 50 accounts (production-0, production-1, production-2, production-3, production-4 and 45 more)
        • `behavior.imp_travel` risk_level: `&lt;!channel&gt;` (declared `high`) – in 50 accounts (production-0, production-1, production-2, production-3, production-4 and 45 more)
        • `integration.corporate-okta` is missing – in 50 accounts (production-0, production-1, production-2, production-3, production-4 and 45 more)
        • `integration[4cfe8442-664b-4915-acd4-b39cd65c4314]` unlisted: tenant `https://x.okta.com`, active – in 50 accounts (production-0, production-1, production-2, production-3, production-4 and 45 more)
        Next: `riskform plan accounts`
        <https://ci.example/run/1|View run>
        ");
    }

    #[test]
    fn a_long_report_is_cut_and_says_so() {
        let mut document = document();
        let failed = document.accounts.pop().unwrap();
        document.accounts = vec![failed; MAX_LINES + 7];
        for (index, account) in document.accounts.iter_mut().enumerate() {
            let error = account.error.as_mut().unwrap();
            error.message = format!("the API answered {}", 500 + index);
        }
        let text = text(Outcome::Error, CheckResult::Accounts(&document));
        assert!(text.contains("\n… and 7 more\nNext: "), "{text}");
    }
}
