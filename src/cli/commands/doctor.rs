//! `riskform doctor`: look at files, credentials and the API, and say what to fix.

use std::path::Path;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use crate::api::BaseUrl;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::flags::{Fleet, Paths};
use crate::cli::io::environment::check_proxies;
use crate::cli::io::formats::FormatArguments;
use crate::cli::io::output::Output;
use crate::cli::run::session::{self, CredentialSource, Session};
use crate::cli::run::surroundings::{self, Surroundings};
use crate::cli::run::{documents, fleet};
use crate::config::diagnostic::Diagnostics;
use crate::config::rule::Rule;
use crate::doctor::{
    Access, AccountDiagnosis, Declared, Diagnosis, Files, Means, Standing, Way, account_findings,
    examine, files_finding, no_credentials_finding, wrong_proxy_finding,
};
use crate::model::account::{AccountId, DesiredAccount};
use crate::report::{self, DoctorFormat};

/// Flags of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    fleet: Fleet,
    /// Look as well at the SSF document behind each integration's well_known_url, which Okta reads
    #[arg(long)]
    ssf: bool,
    #[command(flatten)]
    pub(crate) formats: FormatArguments<DoctorFormat>,
}

/// Looks at everything, and shows how it stands.
pub(crate) async fn run(arguments: DoctorArguments, output: &Output) -> Result<Exit, Error> {
    let formats = arguments.formats.read(output)?;
    let (files, patients) = patients(&arguments.fleet, output)?;
    let connect = &arguments.fleet.connect;
    let base_url = match connect.sandbox {
        true => None,
        false => Some(session::base_url(connect)?).filter(BaseUrl::is_https),
    };
    let files = files_finding(&files);
    let diagnosis = match base_url
        .as_ref()
        .map(|base_url| (base_url, check_proxies()))
    {
        Some((base_url, Err(wrong))) => {
            let findings = vec![files, wrong_proxy_finding(wrong.to_string())];
            Diagnosis::new(base_url.to_string(), findings, Vec::new())
        }
        Some((_, Ok(()))) | None => {
            let session = Session::open(connect, output)?.without_retries();
            let accounts = stream::iter(patients)
                .map(|patient| diagnose(patient, &session, arguments.ssf))
                .buffered(arguments.fleet.parallelism())
                .collect()
                .await;
            Diagnosis::new(session.base_url().to_string(), vec![files], accounts)
        }
    };
    formats.write(output, |format| {
        report::doctor(&diagnosis, format, output.width())
    })?;
    Ok(exit(&diagnosis))
}

/// One account to look at.
struct Patient {
    account_id: AccountId,
    label: String,
    api_token_env: Option<String>,
    declared: Option<Declared>,
}

impl From<DesiredAccount> for Patient {
    fn from(desired: DesiredAccount) -> Self {
        Patient {
            label: desired.label().to_owned(),
            account_id: desired.account_id,
            api_token_env: desired.api_token_env,
            declared: Some(Declared {
                covers_every_other: desired.every_behavior.is_some(),
                behaviors: (desired.behaviors.into_keys())
                    .chain(desired.unmanaged.into_keys())
                    .collect(),
            }),
        }
    }
}

/// How it stands with the files, and the accounts to look at: those that the files declare, else the one of the command line.
fn patients(fleet: &Fleet, output: &Output) -> Result<(Files, Vec<Patient>), Error> {
    let surroundings = Surroundings::of(&fleet.desired)?;
    let alone = || {
        session::id(&fleet.desired.who, &fleet.connect).map(|account_id| Patient {
            label: account_id.to_string(),
            account_id,
            api_token_env: None,
            declared: None,
        })
    };
    if let [path] = fleet.desired.paths.paths.as_slice()
        && path == Path::new(Paths::USUAL)
        && !path.exists()
    {
        let path = path.display().to_string();
        return Ok((Files::Absent { path }, vec![alone()?]));
    }
    match fleet::load(fleet, &surroundings, output) {
        Ok(accounts) => {
            let files = Files::Valid {
                accounts: accounts.len(),
            };
            Ok((files, accounts.into_iter().map(Patient::from).collect()))
        }
        // Files that are wrong are a finding among others, and whoever names an account has it looked at all the same.
        Err(Error::Files(diagnostics)) => {
            let files = Files::Invalid {
                unknown_keys: unknown_keys(&diagnostics),
            };
            Ok((files, alone().into_iter().collect()))
        }
        Err(error) => Err(error),
    }
}

/// The keys that this version of riskform doesn't know, each with its place.
fn unknown_keys(diagnostics: &Diagnostics) -> Vec<String> {
    let unknown = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.rule == Rule::UnknownKey);
    unknown
        .map(|diagnostic| {
            let place = &diagnostic.primary.place;
            let line = place.region.as_ref();
            let line = line.map_or_else(String::new, |region| format!(":{}", region.line));
            format!("{} ({}{line})", diagnostic.message, place.file)
        })
        .collect()
}

async fn diagnose(patient: Patient, session: &Session, ssf: bool) -> AccountDiagnosis {
    let Patient {
        account_id,
        label,
        api_token_env,
        declared,
    } = patient;
    let api_token_env = api_token_env.as_deref();
    let connection = session
        .source(&label, api_token_env)
        .and_then(|source| Ok((source, session.connection_to(&label, api_token_env)?)));
    let (findings, ssf) = match connection {
        Ok((source, connection)) => {
            let access = Access {
                way: match source {
                    CredentialSource::Sandbox => Way::InProcess,
                    CredentialSource::Token(_) | CredentialSource::Key => Way::Network,
                },
                means: match source {
                    CredentialSource::Sandbox | CredentialSource::Token(_) => Means::Token,
                    CredentialSource::Key => Means::Key,
                },
                source: source.to_string(),
                proxy: session.proxy(),
            };
            let today = surroundings::today();
            let evidence = examine(&connection, &account_id, access, declared, today).await;
            // An account that can't be read has a finding that says so already.
            let documents = match ssf {
                true => match connection.reader().integrations(&account_id).await {
                    Ok(integrations) => documents::look(session, &integrations.value).await,
                    Err(_) => Vec::new(),
                },
                false => Vec::new(),
            };
            (account_findings(&evidence, Timestamp::now()), documents)
        }
        Err(error) => (
            vec![no_credentials_finding(error.message, error.help)],
            Vec::new(),
        ),
    };
    AccountDiagnosis {
        account_id,
        label,
        findings,
        ssf,
    }
}

/// What keeps somebody out is told apart from everything else.
fn exit(diagnosis: &Diagnosis) -> Exit {
    let findings = diagnosis.all();
    let failures = findings.filter(|finding| finding.status == Standing::Fail);
    Exit::gravest(failures.map(|finding| {
        if finding.check.is_about_access() {
            Exit::Access
        } else {
            Exit::Error
        }
    }))
}
