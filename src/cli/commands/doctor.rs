//! `riskform doctor`: checks files, credentials and the API.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::{FleetArgs, PathArgs};
use crate::cli::io::environment;
use crate::cli::io::output::Output;
use crate::cli::load::{self as cli_load, LoadContext, SelectedAccount};
use crate::cli::session::{self, EMAIL_AND_KEY, Session};
use crate::config::load;
use crate::doctor::{
    CREDENTIALS, FILES, PROXY, ProbeResults, account_findings, is_auth_check, probe_account,
};
use crate::model::finding::{CheckStatus, CheckedAccount, Finding};
use crate::model::text::{abbreviate_list, pluralize};
use crate::report;

/// Flags of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Runs all checks and shows the findings.
pub(crate) async fn run(arguments: DoctorArguments, output: &Output) -> Result<Exit, CommandError> {
    let fleet = &arguments.fleet;
    let connect = &fleet.connect;
    let (files, targets) = targets(fleet, output)?;
    let uses_proxy = !connect.sandbox && session::base_url(connect)?.is_https();
    let mut findings = vec![files.of(FILES)];
    let mut missing = None;
    if uses_proxy && let Err(invalid) = environment::proxy() {
        let invalid = Finding::fail(invalid.to_string()).help("correct or unset the variable");
        findings.push(invalid.of(PROXY));
        missing = Some("a valid proxy");
    } else {
        let session = Session::open(connect, output)?.without_retries();
        if let Some((credentials, lacking)) = obstacle(&targets, &session) {
            findings.push(credentials.of(CREDENTIALS));
            missing = Some(lacking);
        } else {
            let are_valid = findings[0].status != CheckStatus::Fail;
            let checked = stream::iter(targets)
                .map(|target| check(target, are_valid, &session))
                .buffered(fleet.parallelism());
            findings.extend(checked.collect::<Vec<_>>().await.concat());
        }
    }
    output.result(report::doctor(&findings, missing));
    let failures = findings.iter();
    let failures = failures.filter(|finding| finding.status == CheckStatus::Fail);
    let exits = failures.map(|finding| match is_auth_check(finding.check) {
        true => Exit::Auth,
        false => Exit::Error,
    });
    Ok(Exit::most_severe(exits))
}

/// Returns the finding about credentials and what the other checks lack, if no account can be checked.
fn obstacle(targets: &[SelectedAccount], session: &Session) -> Option<(Finding, &'static str)> {
    let mut variables: Vec<Option<&str>> = targets.iter().map(|one| one.token_variable()).collect();
    if variables.is_empty() {
        variables.push(None);
    }
    let mut errors = BTreeMap::new();
    for variable in &variables {
        match session.credentials(*variable) {
            Ok(_) if !targets.is_empty() => return None,
            Ok((source, _)) => {
                let finding = Finding::pass(format!("set by {source}"));
                let help = "pass --account-id, or correct the file";
                return Some((finding.help(help), "an account"));
            }
            Err(error) => {
                let name = variable.unwrap_or(environment::API_TOKEN);
                errors.insert(name, error.message)
            }
        };
    }
    let finding = Finding::fail(abbreviate_list(errors.values()));
    let help = format!("set {}", abbreviate_list(errors.keys()));
    Some((finding.help(help), "a token"))
}

/// Checks the files and returns the accounts to check: the declared ones, else the one of the command line.
fn targets(
    fleet: &FleetArgs,
    output: &Output,
) -> Result<(Finding, Vec<SelectedAccount>), CommandError> {
    let desired = &fleet.desired;
    let context = LoadContext::of(desired, output)?;
    let given = desired.who.account_id.as_ref();
    let undeclared =
        || cli_load::account_id(given, fleet.connect.sandbox).map(SelectedAccount::from);
    let default = Path::new(PathArgs::DEFAULT);
    if desired.paths.paths == [default] && !default.exists() {
        let finding = Finding::warn(format!("{} not found", PathArgs::DEFAULT))
            .help("run `riskform init` to create it, or pass the files to check");
        return Ok((finding, vec![undeclared()?]));
    }
    cli_load::check_paths(&desired.paths.paths)?;
    let checked = load::check(&context.options(&desired.paths.paths, given)?, None);
    let found = report::diagnostic_findings(&checked.diagnostics);
    let mut accounts = checked.accounts;
    let files = match found.iter().min_by_key(|one| Reverse(one.status)) {
        Some(first) => {
            let (at, help) = (first.location.iter(), first.help.iter());
            let mut message: String = at.map(|at| format!("{at}: ")).collect();
            message.push_str(&first.message);
            message.extend(help.map(|help| format!("; {help}")));
            if found.len() > 1 {
                message.push_str(&format!(" ({} in total)", found.len()));
            }
            let help = "riskform validate shows every mistake in the files";
            Finding::new(first.status, message).help(help)
        }
        None => Finding::pass(format!(
            "valid, for {}",
            pluralize(accounts.len(), "account")
        )),
    };
    if files.status == CheckStatus::Fail {
        // The accounts that invalid files declare in spite of it are still checked.
        let given = given.cloned().or(cli_load::account_id_from_env()?);
        accounts.retain(|account| given.as_ref().is_none_or(|id| *id == account.account_id));
    } else {
        cli_load::expect(desired, accounts.len())?;
    }
    let mut targets: Vec<_> = accounts.into_iter().map(SelectedAccount::from).collect();
    if targets.is_empty() {
        targets.extend(undeclared());
    }
    Ok((files, targets))
}

async fn check(target: SelectedAccount, are_valid: bool, session: &Session) -> Vec<Finding> {
    let desired = target.desired.as_ref();
    let account = Arc::new(match desired {
        Some(desired) => desired.into(),
        None => CheckedAccount {
            account_id: target.id.clone(),
            name: None,
            source: Arc::default(),
        },
    });
    let credentials = session.credentials(target.token_variable());
    let connection = credentials
        .and_then(|(source, _)| Ok((source, session.client_with(target.token_variable())?)));
    let (source, client) = match connection {
        Ok(connection) => connection,
        Err(error) => {
            return vec![Finding {
                account: Some(account),
                ..Finding::fail(error.message).of(CREDENTIALS)
            }];
        }
    };
    let mut probed = ProbeResults {
        has_token: source != EMAIL_AND_KEY,
        is_simulated: session.is_sandbox(),
        source,
        proxy: session.proxy().cloned(),
        desired: desired.filter(|_| are_valid),
        now: Timestamp::now(),
        ..ProbeResults::default()
    };
    probe_account(&mut probed, &client, &target.id).await;
    account_findings(&probed, &account)
}
