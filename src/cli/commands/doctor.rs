//! `riskform doctor`: look at files, credentials and the API, and say what to fix.

use std::path::Path;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use serde::Serialize;

use crate::api::Reader;
use crate::cli::flags::{Fleet, Paths};
use crate::cli::io::formats::FormatArguments;
use crate::cli::io::output::Output;
use crate::cli::run::ending::{Error, Exit};
use crate::cli::run::fleet;
use crate::cli::run::session::{self, CredentialSource, Session};
use crate::cli::run::surroundings::Surroundings;
use crate::doctor::{
    Access, Declared, Files, Finding, Means, SsfFinding, Status, Way, account_findings, examine,
    files_finding, inspect, no_credentials_finding,
};
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::integration::IntegrationId;
use crate::model::text::Visible;
use crate::report::DoctorFormat;
use crate::report::read::json;
use crate::report::read::table::{Column, grid};
use crate::report::text::count;

/// The format of the findings' document.
const FORMAT: &str = "riskform.doctor/1";

/// How many SSF documents of one account are asked for side by side.
const DOCUMENTS_AT_ONCE: usize = 4;

/// Flags of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    fleet: Fleet,
    /// Look as well at the SSF document behind each integration's well_known_url, which Okta reads
    #[arg(long)]
    ssf: bool,
    #[command(flatten)]
    pub(crate) formats: FormatArguments<DoctorFormat>,
}

/// Looks at everything, and shows how it stands.
pub(crate) async fn run(arguments: Arguments, output: &Output) -> Result<Exit, Error> {
    let formats = arguments.formats.read(output)?;
    let (files, patients) = patients(&arguments.fleet, output)?;
    let session = Session::open(&arguments.fleet.connect, output)?.without_retries();
    let accounts = stream::iter(patients)
        .map(|patient| diagnose(patient, &session, arguments.ssf))
        .buffered(arguments.fleet.parallelism())
        .collect()
        .await;
    let diagnosis = Diagnosis {
        format: FORMAT,
        base_url: session.base_url().to_string(),
        findings: vec![files_finding(&files)],
        accounts,
    };
    formats.write(output, |format| match format {
        DoctorFormat::Table => diagnosis.table(output.width()),
        DoctorFormat::Json => json(&diagnosis),
    })?;
    Ok(diagnosis.exit())
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
                behaviors: desired.behaviors.into_keys().collect(),
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
        Err(Error::Files(_)) => Ok((Files::Invalid, alone().into_iter().collect())),
        Err(error) => Err(error),
    }
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
    let (findings, documents) = match connection {
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
            let evidence = examine(&connection, &account_id, access, declared).await;
            let documents = match ssf {
                true => inspect_documents(&connection.reader(), &account_id, session).await,
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
        ssf: documents,
    }
}

/// Looks at the document behind each integration of an account. An account that can't be read has a finding that says so already.
async fn inspect_documents(
    reader: &Reader,
    account_id: &AccountId,
    session: &Session,
) -> Vec<Document> {
    let Ok(integrations) = reader.integrations(account_id).await else {
        return Vec::new();
    };
    let (transport, destination) = session.documents();
    let inspected = stream::iter(integrations.value).map(|integration| {
        let (transport, destination) = (&transport, &destination);
        async move {
            Document {
                integration_id: integration.id,
                tenant_url: integration.settings.tenant_url.to_string(),
                findings: inspect(transport, destination, &integration.well_known_url).await,
            }
        }
    });
    inspected.buffered(DOCUMENTS_AT_ONCE).collect().await
}

/// Everything that was found.
#[derive(Serialize)]
struct Diagnosis {
    format: &'static str,
    base_url: String,
    /// What is about no single account.
    findings: Vec<Finding>,
    accounts: Vec<AccountDiagnosis>,
}

#[derive(Serialize)]
struct AccountDiagnosis {
    account_id: AccountId,
    #[serde(rename = "name")]
    label: String,
    findings: Vec<Finding>,
    /// Where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssf: Vec<Document>,
}

/// The SSF document of one integration.
#[derive(Serialize)]
struct Document {
    integration_id: IntegrationId,
    tenant_url: String,
    findings: Vec<SsfFinding>,
}

impl Document {
    fn table(&self, width: u16) -> String {
        let rows = self.findings.iter().map(|finding| {
            let SsfFinding {
                rule,
                status,
                message,
            } = finding;
            vec![status.to_string(), rule.to_string(), message.clone()]
        });
        let heading = format!(
            "\nSSF document of integration {} ({})\n\n",
            self.integration_id,
            Visible(&self.tenant_url)
        );
        heading + &grid(width, &columns("RULE"), rows)
    }
}

impl Diagnosis {
    fn all(&self) -> impl Iterator<Item = &Finding> {
        let of_accounts = self.accounts.iter().flat_map(|account| &account.findings);
        self.findings.iter().chain(of_accounts)
    }

    fn table(&self, width: u16) -> String {
        let mut text = match self.accounts.as_slice() {
            [account] => {
                let findings = self.findings.iter().chain(&account.findings);
                let mut text = format!("{}\n\n{}", account.label, table(findings, width));
                text.extend(account.ssf.iter().map(|document| document.table(width)));
                text
            }
            accounts => {
                let mut text = table(self.findings.iter(), width);
                for account in accounts {
                    let findings = table(account.findings.iter(), width);
                    text.push_str(&format!("\n{}\n\n{findings}", account.label));
                    text.extend(account.ssf.iter().map(|document| document.table(width)));
                }
                text
            }
        };
        let of_documents = self.accounts.iter().flat_map(|account| &account.ssf);
        let of_documents = of_documents.flat_map(|document| &document.findings);
        let all = self.all().map(|finding| finding.status);
        let all: Vec<Status> = all.chain(of_documents.map(|one| one.status)).collect();
        let with = |status| all.iter().filter(|found| **found == status).count();
        let failures = count(with(Status::Fail), "failure");
        let warnings = count(with(Status::Warn), "warning");
        text.push_str(&format!("\n{failures}, {warnings}.\n"));
        text
    }

    /// What keeps somebody out is told apart from everything else.
    fn exit(&self) -> Exit {
        let failures = self.all().filter(|finding| finding.status == Status::Fail);
        Exit::gravest(failures.map(|finding| {
            if finding.check.is_about_access() {
                Exit::Access
            } else {
                Exit::Error
            }
        }))
    }
}

fn columns(second: &str) -> [(&str, Column); 3] {
    [
        ("", Column::Words),
        (second, Column::Words),
        ("FINDING", Column::Words),
    ]
}

fn table<'a>(findings: impl Iterator<Item = &'a Finding>, width: u16) -> String {
    let rows = findings.map(|finding| {
        let Finding {
            check,
            status,
            message,
            help,
        } = finding;
        let mut text = Visible(message).to_string();
        if let Some(help) = help {
            text.push_str(&format!("\nhelp: {}", Visible(help)));
        }
        vec![status.to_string(), check.title().to_owned(), text]
    });
    grid(width, &columns("CHECK"), rows)
}
