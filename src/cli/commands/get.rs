//! `riskform get`: read live things, and show them.

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::api::ApiError;
use crate::cli::error::{CommandError, account_error};
use crate::cli::exit::Exit;
use crate::cli::flags::{AccountArgs, ConnectionArgs, level};
use crate::cli::io::formats::{FormatArgs, Formats};
use crate::cli::io::output::Output;
use crate::cli::run::session::Account;
use crate::cli::run::user_selection::{UserRef, with_email};
use crate::model::behavior::RiskLevel;
use crate::model::integration::{IntegrationId, ReferenceId};
use crate::report::get::{
    Behaviors, Integrations, OneIntegration, Privacy, ReadFormat, Tabular, User, UserFilter, Users,
    render,
};

/// Flags of `get`.
#[derive(Args, Debug)]
pub(crate) struct GetArguments {
    #[command(subcommand)]
    resource: Resource,
}

/// What can be read.
#[derive(Debug, Subcommand)]
enum Resource {
    /// Every behavior that the account offers, and how it is configured
    Behaviors(ReadArgs),
    /// Every integration of the account
    Integrations(ReadArgs),
    /// One integration
    Integration(IntegrationArguments),
    /// The users who have a score, the gravest first, and how many there are of each level
    Users(UsersArguments),
    /// One user's score, and the events it comes from
    User(UserArguments),
}

/// The flags of every resource.
#[derive(Args, Debug)]
struct ReadArgs {
    #[command(flatten)]
    formats: FormatArgs<ReadFormat>,
    #[command(flatten)]
    who: AccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
}

#[derive(Args, Debug)]
struct IntegrationArguments {
    /// Its id
    #[arg(value_name = "ID", required_unless_present = "reference_id", value_parser = id)]
    id: Option<IntegrationId>,
    /// Its reference, instead of the id
    #[arg(long, value_name = "REFERENCE", conflicts_with = "id", value_parser = reference)]
    reference_id: Option<ReferenceId>,
    #[command(flatten)]
    reading: ReadArgs,
}

#[derive(Args, Debug)]
struct UsersArguments {
    /// Only users of this level or a higher one: low, medium or high
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    min_level: Option<RiskLevel>,
    /// Only users with an event in this time before now: 7d, 12h, 2w, 1month
    #[arg(long, value_name = "SPAN", value_parser = before_now)]
    since: Option<Timestamp>,
    /// Only users with this text: in their name, e-mail address, id or pseudonym
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    privacy: PrivacyArguments,
    #[command(flatten)]
    reading: ReadArgs,
}

#[derive(Args, Debug)]
struct UserArguments {
    /// The user's id or e-mail address
    #[arg(value_name = "USER")]
    user: UserRef,
    #[command(flatten)]
    privacy: PrivacyArguments,
    #[command(flatten)]
    reading: ReadArgs,
}

/// Whether people are shown by their names.
#[derive(Args, Debug)]
pub(crate) struct PrivacyArguments {
    /// Show people by stable pseudonyms; without e-mail addresses, names and details of events
    #[arg(long)]
    redact: bool,
}

impl PrivacyArguments {
    pub(crate) fn privacy(&self) -> Privacy {
        if self.redact {
            Privacy::Redacted
        } else {
            Privacy::Named
        }
    }
}

impl GetArguments {
    /// Says whether standard output must be one JSON document, whatever happens.
    pub(crate) fn prints_json(&self) -> bool {
        self.resource.reading().formats.prints_json()
    }
}

impl Resource {
    fn reading(&self) -> &ReadArgs {
        match self {
            Resource::Behaviors(reading) | Resource::Integrations(reading) => reading,
            Resource::Integration(arguments) => &arguments.reading,
            Resource::Users(arguments) => &arguments.reading,
            Resource::User(arguments) => &arguments.reading,
        }
    }
}

/// Reads what was asked for, and shows it.
pub(crate) async fn run(arguments: GetArguments, output: &Output) -> Result<Exit, CommandError> {
    let GetArguments { resource } = arguments;
    let reading = resource.reading();
    let view = GetOutput {
        formats: reading.formats.read(output)?,
        account: Account::open(&reading.who, &reading.connect, output)?,
        output,
    };
    let account = &view.account.id;
    let reader = view.account.connection.reader();
    match &resource {
        Resource::Behaviors(_) => {
            let behaviors = reader.behaviors(account).await.map_err(failed)?.value;
            view.show(&Behaviors { behaviors })
        }
        Resource::Integrations(_) => {
            let mut integrations = reader.integrations(account).await.map_err(failed)?.value;
            integrations.sort_by_key(|integration| integration.id);
            view.show(&Integrations { integrations })
        }
        Resource::Integration(arguments) => {
            let integration = match (&arguments.id, &arguments.reference_id) {
                (Some(id), _) => reader.integration(account, *id).await,
                (None, Some(reference)) => {
                    reader.integration_by_reference(account, reference).await
                }
                (None, None) => {
                    return Err(CommandError::Usage(
                        "name an id, or a --reference-id".to_owned(),
                    ));
                }
            };
            let integration = integration.map_err(failed)?.value;
            view.show(&OneIntegration { integration })
        }
        Resource::Users(arguments) => {
            let filter = UserFilter {
                min_level: arguments.min_level,
                since: arguments.since,
                search: arguments.search.clone(),
            };
            let users = reader.users(account).await.map_err(failed)?.value;
            view.show(&Users::new(users, &filter, arguments.privacy.privacy()))
        }
        Resource::User(arguments) => {
            let id = match &arguments.user {
                UserRef::Id(id) => *id,
                UserRef::Email(email) => {
                    let users = reader.users(account).await.map_err(failed)?.value;
                    with_email(email, &users)
                        .map_err(|problem| CommandError::UserLookup(vec![problem]))?
                        .user_id
                }
            };
            let user = reader.user(account, id).await.map_err(failed)?.value;
            view.show(&User::new(id, user, arguments.privacy.privacy()))
        }
    }
}

/// Where what is read comes from and goes to.
struct GetOutput<'a> {
    formats: Formats<ReadFormat>,
    account: Account,
    output: &'a Output,
}

impl GetOutput<'_> {
    fn show(&self, shown: &impl Tabular) -> Result<Exit, CommandError> {
        let width = self.output.width();
        self.formats.write(self.output, |format| {
            render(&self.account.id, shown, format, width)
        })?;
        Ok(Exit::Done)
    }
}

fn failed(error: ApiError) -> CommandError {
    CommandError::Account(account_error(&error))
}

fn id(text: &str) -> Result<IntegrationId, &'static str> {
    // The name of an entry is known to its file alone.
    text.parse().map_err(|_| {
        "this is not the id of a live integration; riskform get integrations lists them, and --reference-id finds one by its reference"
    })
}

fn reference(text: &str) -> Result<ReferenceId, &'static str> {
    ReferenceId::new(text).ok_or("a reference is never empty")
}

/// The moment that lies a span before now. Days and months are the calendar's, in UTC.
pub(crate) fn before_now(text: &str) -> Result<Timestamp, String> {
    before(Timestamp::now(), text)
}

fn before(now: Timestamp, text: &str) -> Result<Timestamp, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "write a span of time such as 7d, 12h or 2w".to_owned())?;
    if span.is_negative() || span.is_zero() {
        return Err("a span of time before now is longer than nothing".to_owned());
    }
    now.to_zoned(TimeZone::UTC)
        .checked_sub(span)
        .map(|then| then.timestamp())
        .map_err(|_| "that is before the beginning of the calendar".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_a_span_before_now() {
        let now: Timestamp = "2026-03-31T12:00:00Z".parse().unwrap();
        let table = [
            ("7d", Some("2026-03-24T12:00:00Z")),
            ("12h", Some("2026-03-31T00:00:00Z")),
            ("1w 1d", Some("2026-03-23T12:00:00Z")),
            ("1month", Some("2026-02-28T12:00:00Z")),
            ("P1D", Some("2026-03-30T12:00:00Z")),
            ("-7d", None),
            ("0d", None),
            ("7", None),
            ("yesterday", None),
            ("19998y", None),
        ];
        for (text, then) in table {
            let then = then.map(|then| then.parse().unwrap());
            assert_eq!(before(now, text).ok(), then, "{text}");
        }
    }
}
