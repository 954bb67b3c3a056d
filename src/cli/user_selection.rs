//! Selects users by ID, email address or level.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use crate::cli::error::{CommandError, ErrorKind};
use crate::model::behavior::RiskLevel;
use crate::model::text::pluralize;
use crate::model::user::{UserId, UserRisk};

/// A user ID or an email address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UserRef {
    Id(UserId),
    Email(String),
}

impl FromStr for UserRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Ok(id) = text.parse() {
            Ok(UserRef::Id(id))
        } else if text.contains('@') {
            Ok(UserRef::Email(text.to_owned()))
        } else {
            Err("expected a user ID (UUID) or an email address")
        }
    }
}

/// Parses one user per line; `#` starts a comment. The error has the numbers of invalid lines, not their text, which may be
/// personal data.
pub(crate) fn parse_list(text: &str) -> Result<Vec<UserRef>, Vec<usize>> {
    let (mut users, mut wrong) = (Vec::new(), Vec::new());
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        match name.parse() {
            Ok(user) => users.push(user),
            Err(_) => wrong.push(index + 1),
        }
    }
    if wrong.is_empty() {
        Ok(users)
    } else {
        Err(wrong)
    }
}

/// Selected users with their scores; `None` for users without a score.
pub(crate) type SelectedUsers = BTreeMap<UserId, Option<UserRisk>>;

/// Selects users by name and by level. The error lists every unknown or ambiguous name.
pub(crate) fn choose(
    names: &[UserRef],
    levels: &[RiskLevel],
    summary: &[UserRisk],
) -> Result<SelectedUsers, CommandError> {
    let mut by_id = HashMap::new();
    let mut by_email: HashMap<String, Vec<&UserRisk>> = HashMap::new();
    let mut chosen = SelectedUsers::new();
    for user in summary {
        by_id.insert(user.user_id, user);
        let same = by_email.entry(user.email.to_lowercase()).or_default();
        same.push(user);
        let level = user.max_risk_level.known();
        if level.is_some_and(|level| levels.contains(&level)) {
            chosen.insert(user.user_id, Some(user.clone()));
        }
    }
    let mut problems = Vec::new();
    for name in names {
        let email = match name {
            UserRef::Id(id) => {
                chosen.insert(*id, by_id.get(id).copied().cloned());
                continue;
            }
            UserRef::Email(email) => email,
        };
        let found = by_email.get(&email.to_lowercase());
        match found.map_or(&[][..], Vec::as_slice) {
            [user] => {
                chosen.insert(user.user_id, Some((*user).clone()));
            }
            [] => problems.push(format!(
                "no user with a score has the email address {email}; check the address or use the user ID"
            )),
            several => {
                let candidates: String = several.iter().map(|user| candidate(user)).collect();
                problems.push(format!(
                    "several users have the email address {email}; use a user ID:{candidates}"
                ));
            }
        }
    }
    if problems.is_empty() {
        return Ok(chosen);
    }
    let message = problems.join("\n");
    Err(CommandError::new(ErrorKind::NoSuchUser, message))
}

/// Describes a candidate without personal data, because errors may end up in logs.
fn candidate(user: &UserRisk) -> String {
    let UserRisk {
        user_id,
        max_risk_level,
        ..
    } = user;
    let events = user.event_count.map_or_else(
        || "unknown events".to_owned(),
        |count| pluralize(usize::try_from(count).unwrap_or(usize::MAX), "event"),
    );
    let last = user
        .last_event
        .map_or_else(|| "an unknown time".to_owned(), |at| at.to_string());
    format!("\n  {user_id}  {max_risk_level}, {events}, the last at {last}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ANN: &str = "6f1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11";
    const BEN: &str = "7a1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11";
    const CAY: &str = "8b1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11";

    fn user(id: &str, email: &str) -> UserRisk {
        let user = json!({ "user_id": id, "name": "Secret Name", "email": email, "event_count": 2,
            "last_event": "2026-11-01T10:00:00Z", "max_risk_level": "high" });
        serde_json::from_value(user).unwrap()
    }

    #[test]
    fn a_user_is_an_id_or_an_e_mail_address() {
        assert_eq!(ANN.parse(), Ok(UserRef::Id(ANN.parse().unwrap())));
        assert_eq!("a@b".parse(), Ok(UserRef::Email("a@b".to_owned())));
        for wrong in ["", "ann", "6f1c3d8e"] {
            assert!(wrong.parse::<UserRef>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_e_mail_address_leads_to_one_user_or_to_the_candidates_without_their_names() {
        let users = [
            user(ANN, "Ann@Example.com"),
            user(BEN, "shared@example.com"),
            user(CAY, "SHARED@example.com"),
        ];
        let with_email = |email: &str| choose(&[email.parse().unwrap()], &[], &users);
        let ann = with_email("ann@example.COM").unwrap();
        assert_eq!(ann.values().flatten().collect::<Vec<_>>(), [&users[0]]);
        let not_found = with_email("ben@example.com").unwrap_err();
        insta::assert_snapshot!(not_found, @"no user with a score has the email address ben@example.com; check the address or use the user ID");
        let several = with_email("shared@example.com").unwrap_err();
        insta::assert_snapshot!(several, @"
        several users have the email address shared@example.com; use a user ID:
          7a1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11  high, 2 events, the last at 2026-11-01T10:00:00Z
          8b1c3d8e-8f5a-4a53-9b3c-0d6a3e9c1b11  high, 2 events, the last at 2026-11-01T10:00:00Z
        ");
    }

    #[test]
    fn each_user_is_selected_once_or_every_unclear_name_is_reported() {
        let users = [user(ANN, "ann@example.com"), user(BEN, "ben@example.com")];
        let name = |text: &str| text.parse::<UserRef>().unwrap();
        let ids = |names: &[UserRef], levels: &[RiskLevel]| {
            choose(names, levels, &users).map(|chosen| {
                chosen
                    .into_iter()
                    .map(|(id, user)| (id.to_string(), user.is_some()))
                    .collect::<Vec<_>>()
            })
        };
        let known = |id: &str| (id.to_owned(), true);
        assert_eq!(
            ids(&[name(ANN), name("ANN@example.com")], &[]),
            Ok(vec![known(ANN)])
        );
        assert_eq!(
            ids(&[name(CAY)], &[RiskLevel::High]),
            Ok(vec![known(ANN), known(BEN), (CAY.to_owned(), false)])
        );
        assert_eq!(ids(&[], &[RiskLevel::Low]), Ok(vec![]));
        let problems = ids(&[name("x@y"), name(ANN), name("z@y")], &[]).unwrap_err();
        assert_eq!(problems.message.lines().count(), 2);
    }

    #[test]
    fn a_list_has_comments_and_its_wrong_lines_are_numbered() {
        let list = format!("\u{feff}# all of them\r\n{ANN}\r\n\n  ann@example.com  # why\n");
        let names = [ANN, "ann@example.com"].map(|name| name.parse().unwrap());
        assert_eq!(parse_list(&list), Ok(names.to_vec()));
        assert_eq!(parse_list("ann\na@b\n\nben\n"), Err(vec![1, 4]));
    }
}
