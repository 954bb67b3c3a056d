//! `riskform get`: reads and shows live resources and users.

use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::api::Client;
use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::{ConnectionArgs, OneAccountArgs, PathArgs, level};
use crate::cli::io::formats::{FormatArgs, offer};
use crate::cli::io::output::Output;
use crate::cli::load::{SelectedAccount, default_accounts};
use crate::cli::planner;
use crate::cli::session::Session;
use crate::cli::user_selection::{UserRef, choose};
use crate::model::address::{Address, Name};
use crate::model::behavior::RiskLevel;
use crate::model::integration::{Integration, ReferenceId, TenantUrl};
use crate::model::text::abbreviate_list;
use crate::plan::{AccountError, Purpose, matches};
use crate::report::OutputFormat::{Json, Table};
use crate::report::get::{self, Privacy, UserFilter, Users};

/// Flags of `get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(subcommand)]
    resource: Resource,
}

/// Readable resources.
#[derive(Debug, Subcommand)]
enum Resource {
    /// All behaviors of the account and their settings
    Behaviors(ReadArgs),
    /// All integrations of the account
    Integrations(ReadArgs),
    /// One integration
    Integration(IntegrationArgs),
    /// Users with a risk score, highest first
    ///
    /// Shows totals per level, too.
    Users(UsersArgs),
    /// A user's score and events
    User(UserArgs),
}

/// Flags of every resource.
#[derive(Args, Debug)]
#[command(mut_arg("formats", |arg| offer(arg, &[Table, Json])))]
struct ReadArgs {
    #[command(flatten)]
    formats: FormatArgs,
    #[command(flatten)]
    who: OneAccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
}

#[derive(Args, Debug)]
struct IntegrationArgs {
    /// ID, tenant URL or name in riskform.yaml
    #[arg(value_name = "INTEGRATION", required_unless_present = "reference_id")]
    integration: Option<String>,
    /// Find the integration by reference_id
    #[arg(long, value_name = "REFERENCE", conflicts_with = "integration", value_parser = reference)]
    reference_id: Option<ReferenceId>,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Args, Debug)]
struct UsersArgs {
    /// Only users at or above this level
    ///
    /// LEVEL is low, medium or high.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    min_level: Option<RiskLevel>,
    /// Only users with an event since a date or within a period
    ///
    /// Examples: 2026-11-01 (UTC), 7d, 12h, 2w, 1month.
    #[arg(long, value_name = "DATE|PERIOD", value_parser = before_now)]
    since: Option<Timestamp>,
    /// Only users matching TEXT
    ///
    /// Searches names, email addresses, IDs and pseudonyms.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    privacy: PrivacyArgs,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Args, Debug)]
struct UserArgs {
    /// User ID or email address
    #[arg(value_name = "USER")]
    user: UserRef,
    #[command(flatten)]
    privacy: PrivacyArgs,
    #[command(flatten)]
    read: ReadArgs,
}

/// Flag to hide personal data.
#[derive(Args, Debug)]
pub(crate) struct PrivacyArgs {
    /// Replace names and email addresses with pseudonyms
    ///
    /// Hides event details, too.
    #[arg(long)]
    redact: bool,
}

impl PrivacyArgs {
    pub(crate) fn privacy(&self) -> Privacy {
        match self.redact {
            true => Privacy::Redacted,
            false => Privacy::Named,
        }
    }
}

impl Resource {
    fn read_args(&self) -> &ReadArgs {
        match self {
            Resource::Behaviors(read) | Resource::Integrations(read) => read,
            Resource::Integration(args) => &args.read,
            Resource::Users(args) => &args.read,
            Resource::User(args) => &args.read,
        }
    }
}

/// Reads and shows the resource.
pub(crate) async fn run(args: GetArgs, output: &Output) -> Result<Exit, CommandError> {
    let read = args.resource.read_args();
    let formats = read.formats.read(output)?;
    let (account, client) = Session::account(&read.who, &read.connect, output)?;
    let (id, reader) = (&account.id, client.reader());
    match &args.resource {
        Resource::Behaviors(_) => {
            let behaviors = reader.behaviors(id).await?;
            formats.write(output, |format| get::behaviors(id, &behaviors, format));
        }
        Resource::Integrations(_) => {
            let mut integrations = reader.integrations(id).await?;
            integrations.sort_by_key(|integration| integration.id);
            formats.write(output, |format| {
                get::integrations(id, &integrations, format)
            });
        }
        Resource::Integration(args) => {
            let integration = match (&args.integration, &args.reference_id) {
                (_, Some(reference)) => {
                    let found = reader.integration_by_reference(id, reference);
                    found.await?
                }
                (wanted, None) => {
                    let wanted = wanted.as_deref().unwrap_or_default();
                    find_integration(wanted, &account, &client, output).await?
                }
            };
            formats.write(output, |format| get::integration(id, &integration, format));
        }
        Resource::Users(args) => {
            let filter = UserFilter {
                min_level: args.min_level,
                since: args.since,
                search: args.search.clone(),
            };
            let users = reader.users(id).await?;
            let users = Users::new(users, &filter, args.privacy.privacy());
            formats.write(output, |format| users.render(id, format));
        }
        Resource::User(args) => {
            let user_id = match &args.user {
                UserRef::Id(id) => *id,
                UserRef::Email(_) => {
                    let name = std::slice::from_ref(&args.user);
                    let chosen = choose(name, &[], &reader.users(id).await?)?;
                    *chosen.keys().next().expect("an address selects one user")
                }
            };
            let user = reader.user(id, user_id).await?;
            let privacy = args.privacy.privacy();
            formats.write(output, |format| {
                get::user(id, user_id, user.clone(), privacy, format)
            });
        }
    }
    Ok(Exit::Done)
}

/// Finds an integration by ID, by tenant URL, or by the name of its entry.
async fn find_integration(
    wanted: &str,
    account: &SelectedAccount,
    client: &Client,
    output: &Output,
) -> Result<Integration, CommandError> {
    let (id, reader) = (&account.id, client.reader());
    if let Ok(integration) = wanted.parse() {
        return Ok(reader.integration(id, integration).await?);
    }
    let usage = |message: &str| CommandError::new(ErrorKind::Usage, message);
    if wanted.contains("://") {
        let url: Result<TenantUrl, _> = wanted.parse();
        let url = url.map_err(usage)?;
        let mut found = reader.integrations(id).await?;
        found.retain(|integration| integration.fields.tenant_url() == Some(&url));
        return match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(not_found(format!(
                "no live integration has the tenant_url {url}"
            ))),
            several => {
                let ids = abbreviate_list(several.iter().map(|integration| integration.id));
                let number = several.len();
                let error = format!("{number} live integrations have the tenant_url {url}");
                Err(CommandError::error(error).with_help(format!("pass one of their IDs: {ids}")))
            }
        };
    }
    let name = wanted.strip_prefix("integration.").unwrap_or(wanted);
    let name: Result<Name, _> = name.parse();
    let name = name.map_err(|_| usage("expected an integration's ID, tenant URL or name"))?;
    let desired = match &account.desired {
        Some(desired) => Some(desired.clone()),
        None => (default_accounts(output)?.into_iter()).find(|one| one.account_id == *id),
    };
    let names = desired
        .iter()
        .flat_map(|desired| desired.integrations.keys());
    let names = abbreviate_list(names);
    let source = desired
        .as_ref()
        .map_or(PathArgs::DEFAULT, |one| &one.source);
    let message = format!("{source} declares no integration.{name}");
    let desired = desired.filter(|desired| desired.integrations.contains_key(&name));
    let Some(mut desired) = desired else {
        let help = match names.as_str() {
            "" => "pass the ID or the tenant_url".to_owned(),
            names => format!("the file declares {names}"),
        };
        return Err(CommandError::usage(message, help));
    };
    let live = planner::read(&reader, &mut desired, Purpose::Apply).await?;
    let matches = matches(&desired, &live);
    let address = Address::Integration(name.clone());
    if let Some(error) = matches.errors.iter().find(|one| one.address == address) {
        return Err(AccountError::from(vec![error.clone()]).into());
    }
    let mut entries = matches.entries.iter();
    let entry = entries.find(|entry| *entry.name == name);
    match entry.and_then(|entry| entry.found) {
        Some((integration, _)) => Ok(integration.clone()),
        None => Err(not_found(format!("{address} matches no live integration"))),
    }
}

fn not_found(message: String) -> CommandError {
    CommandError::error(message).with_help("run `riskform get integrations` to list them")
}

fn reference(text: &str) -> Result<ReferenceId, &'static str> {
    ReferenceId::new(text).ok_or("reference_id must not be empty")
}

/// Returns the start of a day, or the time one period before now. Days and months are calendar units in UTC.
fn before_now(text: &str) -> Result<Timestamp, String> {
    before(Timestamp::now(), text)
}

fn before(now: Timestamp, text: &str) -> Result<Timestamp, String> {
    let then = match text.parse::<Date>() {
        Ok(day) => day.to_zoned(TimeZone::UTC),
        Err(_) => {
            let span: Result<Span, _> = text.parse();
            let span = span.map_err(
                |_| "expected a date such as 2026-11-01, or a period such as 7d, 12h or 2w",
            )?;
            if !span.is_positive() {
                return Err("the period must be longer than 0".to_owned());
            }
            now.to_zoned(TimeZone::UTC).checked_sub(span)
        }
    };
    let then = then.map(|then| then.timestamp());
    then.map_err(|_| "the period is too long".to_owned())
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
            ("2026-03-01", Some("2026-03-01T00:00:00Z")),
            ("2026-02-30", None),
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
