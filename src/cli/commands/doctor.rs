//! `riskform doctor`: checks files, credentials and the API.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use crate::cli::error::{CommandError, ErrorKind};
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, PathArgs};
use crate::cli::io::environment;
use crate::cli::io::output::Output;
use crate::cli::load::{self as cli_load, LoadContext, LoadedFiles};
use crate::cli::session::{self, CredentialSource, Session};
use crate::config::code::Severity;
use crate::config::diagnostic::Diagnostics;
use crate::config::load;
use crate::doctor::{
    Access, ApiTransport, CredentialKind, Declared, Files, account_findings, credentials_finding,
    files_finding, invalid_proxy_finding, is_auth_check, no_credentials_finding, probe_account,
};
use crate::model::account::DesiredAccount;
use crate::model::finding::{CheckStatus, CheckedAccount, Finding};
use crate::model::text::abbreviate_list;
use crate::report;

/// Flags of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Runs all checks and shows the findings.
pub(crate) async fn run(arguments: DoctorArguments, output: &Output) -> Result<Exit, CommandError> {
    let (files, targets) = targets(&arguments.fleet, output)?;
    let connect = &arguments.fleet.connect;
    let needs_proxy = !connect.sandbox && session::base_url(connect)?.is_https();
    let proxy = needs_proxy.then(environment::proxy);
    let mut findings = vec![files_finding(&files)];
    let mut missing = None;
    if let Some(Err(invalid)) = proxy {
        findings.push(invalid_proxy_finding(invalid.to_string()));
        missing = Some("a valid proxy");
    } else {
        let session = Session::open(connect, output)?.without_retries();
        if let Some((credentials, lacking)) = without_targets(&targets, &session) {
            findings.push(credentials);
            missing = Some(lacking);
        } else {
            let checked = stream::iter(targets)
                .map(|target| check(target, &session))
                .buffered(arguments.fleet.parallelism());
            findings.extend(checked.collect::<Vec<_>>().await.concat());
        }
    }
    output.result(report::doctor(&findings, missing));
    Ok(exit(&findings))
}

/// Returns the finding about credentials and why the other checks are skipped, if no account can be checked.
fn without_targets(targets: &[DoctorTarget], session: &Session) -> Option<(Finding, &'static str)> {
    let named = targets.iter().map(|target| target.api_token_env.as_deref());
    let mut named: Vec<Option<&str>> = named.collect();
    if named.is_empty() {
        named.push(None);
    }
    let is_unset = |name: &Option<&str>| match name {
        Some(name) => environment::variable(name).is_none(),
        None => !environment::has_credentials(),
    };
    if !session.is_sandbox() && named.iter().all(is_unset) {
        let names = named
            .iter()
            .map(|name| name.unwrap_or(environment::API_TOKEN));
        let names: BTreeSet<&str> = names.collect();
        let (message, help) = match names.first() {
            Some(name) if names.len() == 1 => (format!("{name} is not set"), format!("set {name}")),
            _ => {
                let message = format!("not set: {}", abbreviate_list(&names));
                (message, "set these variables".to_owned())
            }
        };
        return Some((no_credentials_finding(message, Some(help)), "a token"));
    }
    targets.is_empty().then(|| {
        let credentials = match session.credentials(None) {
            Ok((source, _)) => credentials_finding(&source.to_string())
                .help("pass --account-id, or correct the file"),
            Err(error) => no_credentials_finding(error.message, error.help),
        };
        (credentials, "an account")
    })
}

/// An account to check.
struct DoctorTarget {
    account: CheckedAccount,
    api_token_env: Option<String>,
    declared: Option<Declared>,
}

impl From<DesiredAccount> for DoctorTarget {
    fn from(desired: DesiredAccount) -> Self {
        DoctorTarget {
            account: CheckedAccount {
                label: desired.label().to_owned(),
                id: desired.account_id,
                source: desired.source,
            },
            api_token_env: desired.api_token_env,
            declared: Some(Declared {
                covers_every_other: desired.wildcard.is_some(),
                behaviors: (desired.behaviors.into_keys())
                    .chain(desired.unmanaged.into_keys())
                    .collect(),
            }),
        }
    }
}

/// Checks the files and returns the accounts to check: the declared ones, else the one of the command line.
fn targets(fleet: &FleetArgs, output: &Output) -> Result<(Files, Vec<DoctorTarget>), CommandError> {
    let surroundings = LoadContext::of(&fleet.desired, output)?;
    let undeclared = || -> Result<DoctorTarget, CommandError> {
        let id = fleet.desired.who.account_id.as_ref();
        let id = cli_load::account_id(id, fleet.connect.sandbox)?;
        Ok(DoctorTarget {
            account: CheckedAccount {
                label: id.to_string(),
                id,
                source: "".into(),
            },
            api_token_env: None,
            declared: None,
        })
    };
    if let [path] = fleet.desired.paths.paths.as_slice()
        && path == Path::new(PathArgs::DEFAULT)
        && !path.exists()
    {
        let path = path.display().to_string();
        return Ok((Files::Absent { path }, vec![undeclared()?]));
    }
    match cli_load::load(&fleet.desired, &surroundings, output) {
        Ok(LoadedFiles { accounts, .. }) => {
            let files = Files::Valid {
                accounts: accounts.len(),
            };
            Ok((
                files,
                accounts.into_iter().map(DoctorTarget::from).collect(),
            ))
        }
        // Invalid files are a finding. The accounts that they declare in spite of it are still checked.
        Err(error) if error.kind == ErrorKind::Files => {
            let checked = load::check(&surroundings.request(&fleet.desired)?);
            let files = Files::Invalid {
                first: first_error(&checked.diagnostics),
                errors: checked.diagnostics.errors(),
            };
            let declared = checked.accounts;
            let who = &fleet.desired.who.account_id;
            let given = who.clone().or(cli_load::account_id_from_env()?);
            let accounts: Vec<DoctorTarget> = (declared.into_iter())
                .filter(|account| given.as_ref().is_none_or(|id| *id == account.account_id))
                .map(|account| DoctorTarget {
                    declared: None,
                    ..account.into()
                })
                .collect();
            match accounts.is_empty() {
                true => Ok((files, undeclared().into_iter().collect())),
                false => Ok((files, accounts)),
            }
        }
        Err(error) => Err(error),
    }
}

/// Returns the first error on one line.
fn first_error(diagnostics: &Diagnostics) -> String {
    let mut errors = diagnostics.iter();
    let first = errors.find(|diagnostic| diagnostic.severity == Severity::Error);
    first.map_or_else(String::new, |error| {
        let place = &error.primary.place;
        let region = place.region.as_ref();
        let region = region.map(|region| format!(":{}:{}", region.line, region.column));
        let help = error.help.as_ref().map(|help| format!("; {help}"));
        let (region, help) = (region.unwrap_or_default(), help.unwrap_or_default());
        format!("{}{region}: {}{help}", place.file, error.message)
    })
}

async fn check(target: DoctorTarget, session: &Session) -> Vec<Finding> {
    let DoctorTarget {
        account,
        api_token_env,
        declared,
    } = target;
    let account = Arc::new(account);
    let api_token_env = api_token_env.as_deref();
    let connection = session
        .credentials(api_token_env)
        .and_then(|(source, _)| Ok((source, session.client_with(api_token_env)?)));
    let (source, connection) = match connection {
        Ok(connection) => connection,
        Err(error) => {
            let finding = no_credentials_finding(error.message, error.help);
            let account = Some(account);
            return vec![Finding { account, ..finding }];
        }
    };
    let access = Access {
        transport: match source {
            CredentialSource::Sandbox => ApiTransport::InProcess,
            CredentialSource::Token(_) | CredentialSource::Key => ApiTransport::Network,
        },
        credentials: match source {
            CredentialSource::Sandbox | CredentialSource::Token(_) => CredentialKind::Token,
            CredentialSource::Key => CredentialKind::Key,
        },
        source: source.to_string(),
        proxy: session.proxy(),
    };
    let now = Timestamp::now();
    let probed = probe_account(&connection, &account.id, access, declared, now).await;
    account_findings(&probed, &account)
}

/// Returns the exit code: authentication problems have their own.
fn exit(findings: &[Finding]) -> Exit {
    let failures = findings.iter();
    let failures = failures.filter(|finding| finding.status == CheckStatus::Fail);
    Exit::most_severe(failures.map(|finding| match is_auth_check(finding.check) {
        true => Exit::Auth,
        false => Exit::Error,
    }))
}
