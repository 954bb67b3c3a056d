//! `riskform get`: reads and shows live resources and users.

use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::api::ApiError;
use crate::cli::error::{CommandError, account_error, plan_error};
use crate::cli::exit::Exit;
use crate::cli::flags::{ConnectionArgs, OneAccountArgs, level};
use crate::cli::io::formats::{FormatArgs, Formats};
use crate::cli::io::output::Output;
use crate::cli::run::session::Account;
use crate::cli::run::user_selection::{UserRef, with_email};
use crate::model::address::{Address, Name};
use crate::model::behavior::RiskLevel;
use crate::model::integration::{Integration, IntegrationId, ReferenceId, TenantUrl};
use crate::model::text::abbreviate_list;
use crate::plan::{Purpose, matches, needs_identity_providers, resolve_identity_providers};
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

/// Readable resources.
#[derive(Debug, Subcommand)]
enum Resource {
    /// All behaviors of the account and their settings
    Behaviors(ReadArgs),
    /// All integrations of the account
    Integrations(ReadArgs),
    /// One integration
    Integration(IntegrationArguments),
    /// Users with a risk score, highest first
    ///
    /// Shows totals per level, too.
    Users(UsersArguments),
    /// A user's score and events
    User(UserArguments),
}

/// Flags of every resource.
#[derive(Args, Debug)]
struct ReadArgs {
    #[command(flatten)]
    formats: FormatArgs<ReadFormat>,
    #[command(flatten)]
    who: OneAccountArgs,
    #[command(flatten)]
    connect: ConnectionArgs,
}

#[derive(Args, Debug)]
struct IntegrationArguments {
    /// ID, tenant URL or name in riskform.yaml
    #[arg(value_name = "INTEGRATION", required_unless_present = "reference_id", value_parser = integration_ref)]
    integration: Option<IntegrationRef>,
    /// Find the integration by reference_id
    #[arg(long, value_name = "REFERENCE", conflicts_with = "integration", value_parser = reference)]
    reference_id: Option<ReferenceId>,
    #[command(flatten)]
    reading: ReadArgs,
}

#[derive(Args, Debug)]
struct UsersArguments {
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
    privacy: PrivacyArguments,
    #[command(flatten)]
    reading: ReadArgs,
}

#[derive(Args, Debug)]
struct UserArguments {
    /// User ID or email address
    #[arg(value_name = "USER")]
    user: UserRef,
    #[command(flatten)]
    privacy: PrivacyArguments,
    #[command(flatten)]
    reading: ReadArgs,
}

/// Flag to hide personal data.
#[derive(Args, Debug)]
pub(crate) struct PrivacyArguments {
    /// Replace names and email addresses with pseudonyms
    ///
    /// Hides event details, too.
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
    /// Returns true if standard output must be one JSON document, even after an error.
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

/// Reads and shows the resource.
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
            let integration = match (&arguments.integration, &arguments.reference_id) {
                (Some(wanted), _) => view.find_integration(wanted).await?,
                (None, Some(reference)) => {
                    let found = reader.integration_by_reference(account, reference).await;
                    found.map_err(failed)?.value
                }
                (None, None) => {
                    return Err(CommandError::Usage(
                        "expected an integration or --reference-id".to_owned(),
                    ));
                }
            };
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

/// Source account and output formats.
struct GetOutput<'a> {
    formats: Formats<ReadFormat>,
    account: Account,
    output: &'a Output,
}

impl GetOutput<'_> {
    async fn find_integration(&self, wanted: &IntegrationRef) -> Result<Integration, CommandError> {
        let Account { id, connection, .. } = &self.account;
        let reader = connection.reader();
        match wanted {
            IntegrationRef::Id(integration) => {
                let integration = reader.integration(id, *integration).await;
                Ok(integration.map_err(failed)?.value)
            }
            IntegrationRef::TenantUrl(url) => {
                let integrations = reader.integrations(id).await.map_err(failed)?.value;
                let of_tenant = |one: &Integration| one.settings.tenant_url == *url;
                let mut found: Vec<Integration> =
                    integrations.into_iter().filter(of_tenant).collect();
                match found.len() {
                    1 => Ok(found.remove(0)),
                    0 => Err(not_found(format!(
                        "no live integration has the tenant_url {url}"
                    ))),
                    number => {
                        let ids = abbreviate_list(found.iter().map(|one| one.id));
                        let message =
                            format!("{number} live integrations have the tenant_url {url}");
                        let error = CommandError::Other(anyhow::anyhow!(message));
                        Err(error.with_help(format!("pass one of their IDs: {ids}")))
                    }
                }
            }
            IntegrationRef::Name(name) => {
                let mut desired = self.account.declared(self.output)?;
                if !desired.integrations.contains_key(name) {
                    let names: Vec<&Name> = desired.integrations.keys().collect();
                    let help = match names.is_empty() {
                        true => "pass the ID or the tenant_url".to_owned(),
                        false => format!("the file declares {}", abbreviate_list(names)),
                    };
                    let message = format!("{} declares no integration.{name}", desired.source);
                    return Err(CommandError::usage(message, help));
                }
                if needs_identity_providers(&desired) {
                    let providers = reader.identity_providers(id).await.map_err(failed)?;
                    let providers = &providers.providers;
                    resolve_identity_providers(&mut desired, providers, Purpose::Apply)
                        .map_err(|errors| CommandError::Account(plan_error(&errors)))?;
                }
                let live = reader.live_account(id).await.map_err(failed)?;
                let matches = matches(&desired, &live);
                let address = Address::Integration(name.clone());
                if let Some(error) = matches.errors.iter().find(|one| one.address == address) {
                    let ambiguous = plan_error(std::slice::from_ref(error));
                    return Err(CommandError::Account(ambiguous));
                }
                let mut entries = matches.entries().iter();
                let entry = entries.find(|entry| entry.declared.name == *name);
                match entry.and_then(|entry| entry.found) {
                    Some((integration, _)) => Ok(integration.clone()),
                    None => Err(not_found(format!("{address} matches no live integration"))),
                }
            }
        }
    }

    fn show(self, shown: &impl Tabular) -> Result<Exit, CommandError> {
        self.formats.write(self.output, |format| {
            render(&self.account.id, shown, format)
        });
        Ok(Exit::Done)
    }
}

fn failed(error: ApiError) -> CommandError {
    CommandError::Account(account_error(&error))
}

fn not_found(message: String) -> CommandError {
    let error = CommandError::Other(anyhow::anyhow!(message));
    error.with_help("run `riskform get integrations` to list them")
}

/// An integration's ID, its tenant, or the name of its entry.
#[derive(Clone, Debug)]
enum IntegrationRef {
    Id(IntegrationId),
    TenantUrl(TenantUrl),
    Name(Name),
}

fn integration_ref(text: &str) -> Result<IntegrationRef, String> {
    if let Ok(id) = text.parse() {
        return Ok(IntegrationRef::Id(id));
    }
    if text.contains("://") {
        let url = text.parse::<TenantUrl>().map(IntegrationRef::TenantUrl);
        return url.map_err(|error| error.to_string());
    }
    let name = text.strip_prefix("integration.").unwrap_or(text);
    let name = name.parse().map(IntegrationRef::Name);
    name.map_err(|_| "expected an integration's ID, tenant URL or name".to_owned())
}

fn reference(text: &str) -> Result<ReferenceId, &'static str> {
    ReferenceId::new(text).ok_or("reference_id must not be empty")
}

/// Returns the start of a day, or the time one period before now. Days and months are calendar units in UTC.
pub(crate) fn before_now(text: &str) -> Result<Timestamp, String> {
    before(Timestamp::now(), text)
}

fn before(now: Timestamp, text: &str) -> Result<Timestamp, String> {
    let too_long = |_| "the period is too long".to_owned();
    if let Ok(day) = text.parse::<Date>() {
        let start = day.to_zoned(TimeZone::UTC).map_err(too_long)?;
        return Ok(start.timestamp());
    }
    let span: Span = text.parse().map_err(|_| {
        "expected a date such as 2026-11-01, or a period such as 7d, 12h or 2w".to_owned()
    })?;
    if span.is_negative() || span.is_zero() {
        return Err("the period must be longer than 0".to_owned());
    }
    now.to_zoned(TimeZone::UTC)
        .checked_sub(span)
        .map(|then| then.timestamp())
        .map_err(too_long)
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
