//! What a Slack channel gets: a headline, and a line for each thing that differs, the worst first.

use std::fmt::{self, Write};

use serde_json::json;

use crate::model::text::Visible;
use crate::plan::{AccountPlan, Action, Change, FieldChange, FieldValue};

use super::payload::{headline, noteworthy};
use super::{Finding, Message, Outcome};

/// How many lines a message lists; a channel is no place for a whole report.
const MOST_LINES: usize = 20;
/// How many characters of a line are shown.
const LONGEST_LINE: usize = 400;

/// The message as the JSON that Slack's incoming webhooks take.
pub(super) fn slack_payload(message: &Message<'_>) -> String {
    let symbol = match message.outcome {
        Outcome::Ok => ":white_check_mark:",
        Outcome::Drift => ":warning:",
        Outcome::Error => ":x:",
    };
    let mut text = format!("{symbol} *{}*", headline(message));
    let lines = lines(&message.finding);
    for line in lines.iter().take(MOST_LINES) {
        text.push_str("\n• ");
        text.push_str(line);
    }
    if lines.len() > MOST_LINES {
        let _ = write!(text, "\n… and {} more", lines.len() - MOST_LINES);
    }
    json!({ "text": text, "unfurl_links": false, "unfurl_media": false }).to_string()
}

fn lines(finding: &Finding<'_>) -> Vec<String> {
    match finding {
        Finding::Accounts(document) => noteworthy(document).flat_map(account_lines).collect(),
        Finding::Nothing { message, help, .. } => std::iter::once(message)
            .chain(help)
            .map(|text| Plain(text).to_string())
            .collect(),
    }
}

fn account_lines(account: &AccountPlan) -> Vec<String> {
    let label = account.label();
    let failed = account
        .error
        .iter()
        .map(|error| format!("`{label}` could not be checked: {}", Plain(&error.message)));
    let changed = account
        .changes
        .iter()
        .map(|change| format!("{} {}", code(label, change.address()), sentence(change)));
    let unlisted = account
        .reported()
        .map(|thing| format!("{} is in no file", code(label, &thing.address)));
    failed.chain(changed).chain(unlisted).collect()
}

/// An address, with its account, as code.
fn code(label: &str, address: &impl fmt::Display) -> String {
    format!("`{label}/{}`", Plain(&address.to_string()))
}

/// What is the matter, after the name of the thing.
fn sentence(change: &Change) -> String {
    let fields: Vec<String> = change.fields().iter().map(field).collect();
    let fields = fields.join(", ");
    let what = match change.action() {
        Action::Create => "is missing".to_owned(),
        Action::Delete => "should not be there".to_owned(),
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
    } = change;
    format!(
        "{field} is {}, declared {}",
        value(live.as_ref()),
        value(declared.as_ref())
    )
}

fn value(value: Option<&FieldValue>) -> String {
    match value {
        None => "unset".to_owned(),
        Some(value) => format!("`{}`", Plain(&value.to_string())),
    }
}

/// Displays a text so that Slack can't take any of it for a mention, a link or formatting; what the API answers may hold anything.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line = self.0.lines().collect::<Vec<_>>().join(" ");
        let visible = Visible(&one_line).to_string();
        for c in visible.chars().take(LONGEST_LINE) {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                // It would end the code that an address or a value stands in.
                '`' => f.write_char('\'')?,
                // They would begin bold, italic or struck text outside code; look-alikes read the same.
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
    use crate::notify::payload::tests::{FILES, document};

    fn text(outcome: Outcome, finding: Finding<'_>) -> String {
        let payload = slack_payload(&Message { outcome, finding });
        let payload: Value = serde_json::from_str(&payload).unwrap();
        payload["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_channel_reads_what_differs_and_nothing_in_it_is_obeyed() {
        let document = document();
        insta::assert_snapshot!(text(Outcome::Error, Finding::Accounts(&document)), @r"
        :x: *riskform checked 3 accounts: 3 things differ, 1 weaker than declared, 1 in no file, 1 account could not be checked*
        • `production/behavior.sentinel_one` enabled is `false`, declared `true` – *weaker than declared* (disabled)
        • `production/behavior.imp_travel` risk_level is `&lt;!channel&gt;`, declared `high`
        • `production/integration.corporate-okta` is missing
        • `production/integration[4cfe8442-664b-4915-acd4-b39cd65c4314]` is in no file
        • `staging` could not be checked: the API answered 500 for '&lt;b&gt;'
        ");
        insta::assert_snapshot!(text(Outcome::Error, FILES), @r"
        :x: *riskform could not check for drift*
        • riskform.yaml: no such file
        • write one
        ");
    }

    #[test]
    fn a_long_report_is_cut_and_says_so() {
        let mut document = document();
        let failed = document.accounts.pop().unwrap();
        document.accounts = vec![failed; MOST_LINES + 7];
        let text = text(Outcome::Error, Finding::Accounts(&document));
        assert_eq!(text.lines().count(), MOST_LINES + 2);
        assert!(text.ends_with("… and 7 more"), "{text}");
    }
}
